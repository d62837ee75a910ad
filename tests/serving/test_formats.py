"""Exports for ONNX Runtime, OpenVINO and LiteRT give what the Keras model gives."""

import json
import subprocess
import sys

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

from landslide_tf import serving
from landslide_tf.cli.model_files import load_member
from landslide_tf.errors import ModelError, RunError
from landslide_tf.layers import Conv2D, Resize2D
from landslide_tf.layers.conv import _dilation_works
from landslide_tf.metadata import describe
from tests.serving.conftest import toy_metadata

pytestmark = pytest.mark.integration  # every test exports

FORMATS = ("onnx", "openvino", "litert")
FILES = {"onnx": "model.onnx", "openvino": "model.xml", "litert": "model.tflite"}


@pytest.fixture(scope="module")
def dilated():
    """A network of what conversions trip over: strides, dilations, a resize, a pool."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    image = keras.Input((None, None, 3), name="image")
    factors = keras.Input((None, None, 2), name="factors")
    x = layers.Concatenate()([layers.Rescaling(1 / 255)(image), factors])
    x = skip = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = Conv2D(8, 3, dilation_rate=6, padding="same", activation="relu")(x)
    x = Conv2D(8, (5, 2), dilation_rate=2, padding="same")(x)
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(skip)
    x = Resize2D()(x, skip)
    x = layers.Concatenate()([x, skip + pooled])
    x = layers.Conv2D(3, 1, activation="softmax", name="probabilities")(x)
    return keras.Model([image, factors], x, name="dilated")


@pytest.fixture(scope="module")
def metadata():
    return toy_metadata(temperature=1.7, tile=32, threshold=0.4)


def random_inputs(*shape):
    random = np.random.default_rng(len(shape))
    return {
        "image": random.uniform(0, 255, (*shape, 3)).astype("float32"),
        "factors": random.uniform(0, 1, (*shape, 2)).astype("float32"),
    }


def calibrated(model, inputs):
    """The model's probabilities with their logits divided by the temperature."""
    powers = model.predict(inputs, verbose=0) ** (1 / 1.7)
    return powers / powers.sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def folders(dilated, metadata, tmp_path_factory):
    """The folder of each format."""
    folder = tmp_path_factory.mktemp("formats")
    for name in FORMATS:
        serving.export(dilated, folder / name, metadata=metadata, format=name)
    return {name: folder / name for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", [(2, 32, 48), (1, 5, 7), (3, 41, 9)])
def test_values_of_any_size_are_those_of_keras(folders, dilated, name, shape):
    loaded = serving.load(folders[name])
    assert loaded.path == folders[name] / "1" / FILES[name]
    assert loaded.metadata.temperature is None  # the graph applies it
    inputs = random_inputs(*shape)
    np.testing.assert_allclose(
        loaded(inputs)["probabilities"], calibrated(dilated, inputs), atol=1e-5
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_command_takes_the_file(folders, dilated, name):
    member = load_member(str(folders[name] / "1" / FILES[name]))
    inputs = random_inputs(1, 16, 16)
    found = member.predict(inputs)
    np.testing.assert_allclose(found, calibrated(dilated, inputs), atol=1e-5)
    assert member.metadata.threshold == 0.4 and member.identity


WITHOUT = """
import sys
sys.modules["keras"] = None  # as if it were not installed
import numpy as np
from landslide_tf import serving
inputs = {"image": np.ones((1, 6, 7, 3)), "factors": np.ones((1, 6, 7, 2))}
for folder in sys.argv[1:]:
    print(serving.load(folder)(inputs)["probabilities"].shape)
assert "tensorflow" not in sys.modules
"""


def test_files_are_run_without_keras_and_tensorflow(folders):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, folders.values())],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split("\n")[:3] == ["(1, 6, 7, 3)"] * 3


def test_a_file_is_told_by_what_it_is_read_from(folders, tmp_path):
    """Not by what lies beside it, such as the map that is written."""
    for name in ("model.xml", "model.bin", "model.json"):
        (tmp_path / name).write_bytes((folders["openvino"] / "1" / name).read_bytes())
    before = load_member(str(tmp_path / "model.xml")).identity
    (tmp_path / "map.tif").write_bytes(b"half a map")
    assert load_member(str(tmp_path / "model.xml")).identity == before
    names = [path.name for path in serving.load(tmp_path / "model.xml").files]
    assert names == ["model.xml", "model.json", "model.bin"]
    metadata = tmp_path / "model.json"
    metadata.write_text(metadata.read_text() + "\n")
    assert load_member(str(tmp_path / "model.xml")).identity != before


def test_either_runtime_runs_onnx(folders):
    inputs = random_inputs(1, 16, 24)
    found = [
        serving.load(folders["onnx"], runtime=name)(inputs)["probabilities"]
        for name in ("onnxruntime", "openvino")
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    with pytest.raises(RunError, match=r"needs the runtime `openvino`, received `onnx"):
        serving.load(folders["openvino"], runtime="onnxruntime")
    with pytest.raises(RunError, match="one of onnxruntime, openvino, litert"):
        serving.load(folders["onnx"], runtime="tensorrt")


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_fewer_bits_are_smaller_and_near(
    folders, dilated, metadata, tmp_path, name, precision
):
    batches = [random_inputs(1, 32, 32)] if precision == "int8" else []
    folder = serving.export(
        dilated,
        tmp_path,
        metadata=metadata,
        format=name,
        precision=precision,
        calibration=batches,
    )
    inputs = random_inputs(1, 32, 32)
    found = serving.load(folder)(inputs)["probabilities"]
    limit = 0.06 if precision == "int8" else 2e-3
    np.testing.assert_allclose(found, calibrated(dilated, inputs), atol=limit)
    assert not np.array_equal(
        found, serving.load(folders[name])(inputs)["probabilities"]
    )


@pytest.mark.slow
def test_bfloat16_is_asked_for(dilated, metadata, tmp_path):
    folder = serving.export(
        dilated, tmp_path, metadata=metadata, format="openvino", precision="bfloat16"
    )
    found = serving.load(folder)(random_inputs(1, 16, 16))["probabilities"]
    wanted = calibrated(dilated, random_inputs(1, 16, 16))
    np.testing.assert_allclose(found, wanted, atol=0.03)


@pytest.mark.parametrize("name", FORMATS)
def test_a_fixed_size_takes_no_other(dilated, metadata, tmp_path, name):
    serving.export(dilated, tmp_path, metadata=metadata, format=name, size=(24, 40))
    loaded = serving.load(tmp_path)
    assert loaded.input_shapes["image"][1:] == (24, 40, 3)
    inputs = random_inputs(1, 24, 40)
    np.testing.assert_allclose(
        loaded(inputs)["probabilities"], calibrated(dilated, inputs), atol=1e-5
    )
    with pytest.raises(ModelError, match=r"24, 40, .*received \(1, 40, 24, "):
        loaded(random_inputs(1, 40, 24))


@pytest.fixture
def square():
    """A network of images of 16 x 16 pixels alone."""
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(3, 1, activation="softmax", name="probabilities")(image)
    return keras.Model(image, x, name="square")


def test_a_network_of_one_size_is_written_at_that_size(square, tmp_path):
    metadata = toy_metadata(factors=[], tile=32)
    with pytest.raises(ModelError, match=r"takes images of 16 x 16 .* `size` 24 x 24"):
        serving.export(
            square, tmp_path, metadata=metadata, format="onnx", size=(24, 24)
        )
    assert list(tmp_path.iterdir()) == []
    folder = serving.export(square, tmp_path, metadata=metadata, format="deepness")
    session = onnxruntime.InferenceSession(folder / "deepness.onnx")
    assert session.get_inputs()[0].shape[1:] == [3, 16, 16]


def test_deepness_reads_its_entries_and_the_model_its_tiles(
    dilated, metadata, tmp_path
):
    folder = serving.export(dilated, tmp_path, metadata=metadata, format="deepness")
    session = onnxruntime.InferenceSession(folder / "deepness.onnx")
    (given,), (shown,) = session.get_inputs(), session.get_outputs()
    assert given.shape[1:] == [5, 32, 32]  # square, of known size, channels first
    inputs = random_inputs(1, 32, 32)
    both = np.concatenate([inputs["image"], inputs["factors"]], -1)
    tiles = np.moveaxis(both, -1, 1) / np.float32(255)
    (found,) = session.run([shown.name], {given.name: tiles})
    wanted = np.moveaxis(calibrated(dilated, inputs), -1, 1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    entries = session.get_modelmeta().custom_metadata_map
    assert json.loads(entries["model_type"]) == "Segmentor"
    names = {"0": "other", "1": "bare", "2": "landslide"}
    assert json.loads(entries["class_names"]) == names
    assert json.loads(entries["seg_thresh"]) == 0.4
    assert json.loads(entries["resolution"]) == 125  # centimetres: 0.5 to 2 m
    with pytest.raises(RunError, match=r"takes `input`, not an image and factors"):
        load_member(str(folder / "deepness.onnx"))


def test_no_dilated_convolution_names_its_padding_only(folders):
    graph = onnx.load(folders["onnx"] / "1" / "model.onnx").graph
    found = [
        {a.name: a for a in node.attribute}
        for node in graph.node
        if node.op_type == "Conv"
    ]
    dilated = [f for f in found if max(f["dilations"].ints, default=1) > 1]
    # Elsewhere TensorFlow cuts the image for them into several without dilation.
    assert len(dilated) == (2 if _dilation_works("float32", "CPU") else 0)
    assert all("auto_pad" not in f and len(f["pads"].ints) == 4 for f in dilated)


def test_what_does_not_fit_is_refused_before_anything_is_written(
    dilated, metadata, tmp_path
):
    def refused(match, **changes):
        with pytest.raises(ModelError, match=match):
            serving.export(dilated, tmp_path / "m", metadata=metadata, **changes)
        assert not (tmp_path / "m").exists()

    refused("float32, float16, int8, received `bfloat16`", format="onnx",
            precision="bfloat16")  # fmt: skip
    refused("needs inputs to calibrate with", format="litert", precision="int8")
    refused("no other takes them", format="litert", calibration=[{}])
    refused("takes squares, received 32 x 48", format="deepness", size=(32, 48))
    refused("at least 1 x 1", format="onnx", size=(0, 8))
    refused("are for other formats", precision="float16")
    refused("are for other formats", size=(32, 32))
    refused("`factors`, `image` of `dilated`, received `image`", format="onnx",
            precision="int8", calibration=[{"image": np.zeros(3)}])  # fmt: skip
    refused("one of saved_model, onnx", format="pickle")


def test_damaged_and_foreign_files_are_one_line(folders, tmp_path):
    for name, file in FILES.items():
        whole = folders[name] / "1" / file
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.json").write_bytes(
            (folders[name] / "1" / "model.json").read_bytes()
        )
        (folder / file).write_bytes(whole.read_bytes()[:200])
        with pytest.raises(RunError, match=f"`{folder / file}` cannot be loaded"):
            serving.load(folder / file)
    alone = tmp_path / "alone.onnx"
    alone.write_bytes((folders["onnx"] / "1" / "model.onnx").read_bytes())
    with pytest.raises(RunError, match=r"model.json` does not exist"):
        serving.load(alone)


def test_inputs_that_do_not_fit_are_refused(folders):
    loaded, inputs = serving.load(folders["onnx"]), random_inputs(1, 16, 16)
    with pytest.raises(ModelError, match="takes the inputs `factors`, `image`"):
        loaded({"image": inputs["image"]})
    with pytest.raises(ModelError, match=r"must have the shape .* received \(16, 16"):
        loaded(inputs | {"image": inputs["image"][0]})
    with pytest.raises(ModelError, match="must be of one size"):
        loaded(inputs | {"factors": inputs["factors"][:, :8]})
    with pytest.raises(ModelError, match="at least 1"):
        loaded({name: array[:0] for name, array in inputs.items()})


@pytest.mark.parametrize("name", ["onnx", "openvino", "litert"])
def test_an_operation_that_a_format_has_not_is_one_line(name, tmp_path):
    image = keras.Input((None, None, 3), name="image")
    colours = keras.layers.Lambda(tf.image.rgb_to_hsv, name="colours")(image)
    model = keras.Model(image, keras.layers.Softmax()(colours))
    metadata = describe(model, landslide_class=1)
    with pytest.raises(ModelError, match=f"cannot be written as `{name}`"):
        serving.export(model, tmp_path / "out", metadata=metadata, format=name)
    assert not any((tmp_path / "out").rglob("*.*"))

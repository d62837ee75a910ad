"""Exports: what lies in them, that they equal the model, and all or nothing."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from landslide_tf import models, serving
from landslide_tf.errors import ModelError, RunError
from landslide_tf.layers.conv import Conv2D, _dilation_works
from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.serving.verification import operations

from .conftest import toy_metadata, toy_model


def inputs(size=(19, 26), batch=2):
    random = np.random.default_rng(0)
    return {
        "image": random.uniform(0, 255, (batch, *size, 3)).astype("float32"),
        "factors": random.uniform(0, 1, (batch, *size, 2)).astype("float32"),
    }


def names(folder: Path):
    return sorted(path.name for path in folder.iterdir())


def test_a_version_holds_graph_weights_metadata_card_and_warm_up(exported, metadata):
    assert names(exported) == ["1"]
    files = {
        str(path.relative_to(exported / "1"))
        for path in (exported / "1").rglob("*")
        if path.is_file()
    }
    assert files == {
        "saved_model.pb",
        "fingerprint.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "assets.extra/model.json",
        "assets.extra/README.md",
        "assets.extra/model.stac.json",
        "assets.extra/tf_serving_warmup_requests",
    }
    assert ModelMetadata.read(exported / "1" / "assets.extra") == metadata


@pytest.mark.parametrize("size", [(19, 26), (64, 64), (1, 5)])
def test_serves_the_keras_values_at_any_size_and_batch(exported, model, size):
    served = serving.load(exported)
    for batch in (1, 3):
        x = inputs(size, batch)
        seen = served(x)
        assert list(seen) == ["probabilities"]
        assert seen["probabilities"].dtype == np.float32
        np.testing.assert_allclose(seen["probabilities"], model(x), atol=1e-5)


def test_the_signature_names_inputs_and_leaves_sizes_open(exported):
    loaded = tf.saved_model.load(exported / "1")
    _, specs = loaded.signatures["serving_default"].structured_input_signature
    # A known rank would let TensorFlow remove the checks of the request.
    assert {n: s.shape.rank for n, s in specs.items()} == {
        "image": None,
        "factors": None,
    }


def test_every_variable_is_written_once(exported, model):
    written = tf.train.list_variables(str(exported / "1" / "variables" / "variables"))
    values = sum(np.prod(shape, dtype=int) for _, shape in written if shape)
    assert values == model.count_params()


def test_logits_are_served_as_probabilities(tmp_path, model):
    logits = toy_model(activation=None)
    logits.set_weights(model.get_weights())
    path = serving.export(logits, tmp_path / "toy", metadata=toy_metadata())
    x = inputs()
    seen = serving.load(path)(x)
    assert list(seen) == ["probabilities"]
    np.testing.assert_allclose(seen["probabilities"], model(x), atol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.7])
@pytest.mark.parametrize("classes", [1, 3])
def test_a_temperature_is_part_of_the_graph_and_applied_once(
    tmp_path, temperature, classes
):
    network = toy_model(activation=None, classes=classes)
    changes = {"temperature": temperature}
    if classes == 1:
        changes |= {"classes": ["landslide"], "landslide_class": "sigmoid"}
    path = serving.export(network, tmp_path / "toy", metadata=toy_metadata(**changes))
    served, x = serving.load(path), inputs()
    scaled = network(x) / temperature
    wanted = ops.sigmoid(scaled) if classes == 1 else ops.softmax(scaled)
    np.testing.assert_allclose(served(x)["probabilities"], wanted, atol=1e-5)
    assert served.metadata.temperature is None


def test_one_channel_of_logits_is_served_through_a_sigmoid(tmp_path):
    model = toy_model(activation=None, classes=1)
    metadata = toy_metadata(classes=["landslide"], landslide_class="sigmoid")
    path = serving.export(model, tmp_path / "toy", metadata=metadata)
    x = inputs()
    np.testing.assert_allclose(
        serving.load(path)(x)["probabilities"], ops.sigmoid(model(x)), atol=1e-5
    )


def test_a_dictionary_of_outputs_keeps_its_keys(tmp_path, model):
    middle = model.layers[-2].output
    both = keras.Model(model.inputs, {"final": model.output, "features": middle})
    path = serving.export(both, tmp_path / "toy", metadata=toy_metadata())
    x = inputs()
    seen, wanted = serving.load(path)(x), both(x)
    assert set(seen) == {"final", "features"}
    for name in seen:
        np.testing.assert_allclose(seen[name], wanted[name], atol=1e-5)


def test_a_temperature_is_applied_to_probabilities_among_others(tmp_path):
    network = toy_model(activation=None)
    logits, image = network.output, network.inputs
    outputs = {"probabilities": keras.layers.Softmax()(logits), "scores": logits}
    metadata = toy_metadata(temperature=1.7)
    path = serving.export(keras.Model(image, outputs), tmp_path, metadata=metadata)
    x = inputs()
    seen, scores = serving.load(path)(x), network(x)
    np.testing.assert_allclose(
        seen["probabilities"], ops.softmax(scores / 1.7), atol=1e-5
    )
    np.testing.assert_allclose(seen["scores"], scores, atol=1e-5)


def test_a_temperature_without_probabilities_is_refused(tmp_path):
    network = toy_model()
    model = keras.Model(network.inputs, {"map": network.output})
    metadata = toy_metadata(temperature=1.7)
    with pytest.raises(ModelError, match=r"none of its outputs \(`map`\)"):
        serving.export(model, tmp_path, metadata=metadata)
    assert not list(tmp_path.iterdir())


def test_a_classifier_may_have_a_size_of_its_own(tmp_path):
    image = keras.Input((32, 40, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    x = keras.layers.Dense(2, name="logits")(x)
    model = keras.Model(image, x)
    metadata = toy_metadata(
        task="classification", factors=[], classes=["no", "yes"], landslide_class=1
    )
    path = serving.export(model, tmp_path / "toy", metadata=metadata)
    x = inputs((32, 40), batch=3)["image"]
    seen = serving.load(path)({"image": x})["probabilities"]
    np.testing.assert_allclose(seen, ops.softmax(model(x)), atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_serves_float32(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = toy_model()
    finally:
        keras.config.set_dtype_policy("float32")
    path = serving.export(model, tmp_path / "toy", metadata=toy_metadata())
    x = inputs()
    seen = serving.load(path)(x)["probabilities"]
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen, ops.cast(model(x), "float32"), atol=2e-2)


@pytest.mark.integration
def test_versions_count_up_and_are_never_overwritten(tmp_path, model, metadata):
    folder = tmp_path / "toy"
    for version, wanted in ((None, "1"), (4, "4"), (None, "5")):
        path = serving.export(
            model, folder, metadata=metadata, version=version, warm_up=None
        )
        assert path == folder / wanted
    before = (folder / "4" / "saved_model.pb").stat().st_mtime_ns
    with pytest.raises(RunError, match=r"`.*4` exists and a version is never over"):
        serving.export(model, folder, metadata=metadata, version=4)
    assert (folder / "4" / "saved_model.pb").stat().st_mtime_ns == before
    assert names(folder) == ["1", "4", "5"]
    assert serving.load(folder).folder == folder / "5"
    assert serving.load(folder / "4").folder == folder / "4"


@pytest.mark.parametrize("version", [0, -1, 1.0, True, "1"])
def test_a_version_is_a_positive_whole_number(tmp_path, model, metadata, version):
    with pytest.raises(RunError, match="whole number >= 1, received"):
        serving.export(model, tmp_path, metadata=metadata, version=version)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": [Band(name="gray")]}, "`image` of `toy` has 3 channels, its"),
        ({"factors": []}, "`factors` of `toy` has 2 channels, .* names 0"),
        ({"classes": ["a", "landslide"], "landslide_class": 1}, "has 3 channels, its"),
        ({"landslide_class": "sigmoid"}, "has 3 channels, its metadata names 1"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(tmp_path, model, changes, message):
    with pytest.raises(ModelError, match=message) as caught:
        serving.export(model, tmp_path, metadata=toy_metadata(**changes))
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def image_model(outputs, shape=(None, None, 3)):
    image = keras.Input(shape, name="image")
    return keras.Model(image, outputs(image), name="toy")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: image_model(keras.layers.Dense(3), shape=(3,)),
            r"must be \(batch, height, width, channels\) .* received \(None, 3\)",
        ),
        (
            lambda: image_model(lambda x: [x, x]),
            "one output or a dictionary of outputs, received a list of 2",
        ),
        (
            lambda: image_model(keras.layers.Rescaling(1.0)),
            "must be probabilities, received values from .* name the output layer",
        ),
        (lambda: keras.Sequential([keras.layers.Conv2D(3, 1)]), "functional"),
    ],
    ids=["no image", "list", "not probabilities", "no inputs"],
)
def test_models_that_cannot_be_served_are_refused(tmp_path, build, message):
    with pytest.raises(ModelError, match=message) as caught:
        serving.export(build(), tmp_path, metadata=toy_metadata(factors=[]))
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_metadata_with_factors_needs_the_input(tmp_path):
    model = image_model(keras.layers.Conv2D(3, 1, activation="softmax"))
    with pytest.raises(ModelError, match="names factors, its inputs are `image`"):
        serving.export(model, tmp_path, metadata=toy_metadata())


class OtherWhereSizesAreUnknown(keras.layers.Layer):
    def call(self, x):
        return x if x.shape[1] is None else ops.flip(x, axis=-1)


class CallsPython(keras.layers.Layer):
    def call(self, x):
        y = tf.numpy_function(lambda a: a, [x], tf.float32)
        y.set_shape(x.shape)
        return y

    def compute_output_shape(self, shape):
        return shape


def test_a_written_model_with_other_values_is_refused(tmp_path):
    model = image_model(
        lambda x: OtherWhereSizesAreUnknown()(
            keras.layers.Conv2D(3, 1, activation="softmax")(x)
        )
    )
    with pytest.raises(RunError, match=r"`probabilities` .* to 1e-05, received"):
        serving.export(model, tmp_path / "toy", metadata=toy_metadata(factors=[]))
    assert names(tmp_path / "toy") == []


def test_python_in_the_graph_is_refused(tmp_path):
    """It would run here, where the function is registered, and fail on a server."""
    model = image_model(
        lambda x: CallsPython()(keras.layers.Conv2D(3, 1, activation="softmax")(x))
    )
    with pytest.raises(ModelError, match=r"core TensorFlow only, received `.*PyFunc"):
        serving.export(model, tmp_path / "toy", metadata=toy_metadata(factors=[]))
    assert names(tmp_path / "toy") == []


def test_broken_weights_are_refused(tmp_path):
    model = toy_model()
    model.layers[-1].bias.assign([np.nan, 0, 0])
    with pytest.raises(RunError, match="must be finite"):
        serving.export(model, tmp_path / "toy", metadata=toy_metadata())
    assert names(tmp_path / "toy") == []


def test_a_full_disk_leaves_nothing(tmp_path, metadata):
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(2000, 5, padding="same")(image)  # 600 kB of weights
    x = keras.layers.Conv2D(3, 1, activation="softmax")(x)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(RunError, match="cannot be written") as caught:
            serving.export(
                keras.Model(image, x),
                tmp_path / "toy",
                metadata=toy_metadata(factors=[]),
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert names(tmp_path / "toy") == []


def test_a_file_in_the_way_is_refused_in_one_line(tmp_path, model, metadata):
    (tmp_path / "toy").write_text("")
    with pytest.raises(ValueError, match="toy") as caught:
        serving.export(model, tmp_path / "toy", metadata=metadata)
    assert "\n" not in str(caught.value)


KILLED = """
import os, signal, sys
import keras
from landslide_tf import serving
from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.serving import saved_model

folder, moment = sys.argv[1:]

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "while comparing":
    saved_model.compare = kill
else:
    os.replace = kill
image = keras.Input((None, None, 3), name="image")
x = keras.layers.Conv2D(3, 1, activation="softmax")(image)
metadata = ModelMetadata(
    name="toy", builder="toy", arguments={}, inputs=[Band(name=n) for n in "rgb"],
    classes=list("abc"), landslide_class=0)
serving.export(keras.Model(image, x), folder, metadata=metadata)
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    "moment",
    [pytest.param("while comparing", marks=pytest.mark.slow), "before the rename"],
)
def test_a_killed_export_is_never_visible_and_swept_up(
    tmp_path, model, metadata, moment
):
    folder = tmp_path / "toy"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), moment], capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    (leftover,) = names(folder)
    assert leftover.startswith(".tmp-")
    assert (folder / leftover / "saved_model.pb").is_file()
    with pytest.raises(RunError, match="must be an export's folder or hold"):
        serving.load(folder)
    serving.export(model, folder, metadata=metadata, version=7, warm_up=None)
    assert names(folder) == ["7"]


def test_no_graph_holds_anything_but_core_operations(exported):
    found = set(operations(exported / "1"))
    assert "Conv2D" in found
    assert not [name for name in found if "PyFunc" in name]
    assert found <= set(dir(tf.raw_ops))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """FSTF-Net at an eighth of its width: the model and its version folder."""
    folder = tmp_path_factory.mktemp("models") / "fstf"
    small = {"width": 0.125, "backbone": "resnet18", "backbone_layout": "torchvision"}
    model = models.fstf_net(6, classifier_activation=None, **small)
    metadata = ModelMetadata(
        name="fstf",
        builder="fstf_net",
        arguments=small,
        inputs=[Band(name=n, range=(0, 255)) for n in ("red", "green", "blue")],
        factors=[
            Factor(name="slope", unit="degree", range=(0, 90)),
            Factor(name="aspect", unit="degree", range=(-1, 360)),
            Factor(name="ndvi", range=(-1, 1)),
        ],
        stride=16,
        classes=[f"class {i}" for i in range(6)],
        landslide_class=0,
    )
    return model, serving.export(model, folder, metadata=metadata)


def real_inputs(size):
    random = np.random.default_rng(1)
    factors = random.uniform(0, 1, (1, *size, 3)).astype("float32")
    factors[0, 0, 0] = np.nan
    return {
        "image": random.uniform(0, 255, (1, *size, 3)).astype("float32"),
        "factors": factors * np.float32([60, 359, 1]),
    }


@pytest.mark.integration
def test_fstf_net_serves_its_values_without_this_package_or_keras(real, tmp_path):
    model, path = real
    x = real_inputs((37, 53))
    wanted = ops.softmax(model.predict(x, verbose=0))
    np.savez(tmp_path / "x.npz", **x)
    code = """
    import sys
    sys.modules["landslide_tf"] = sys.modules["keras"] = None  # not installed
    import numpy as np, tensorflow as tf
    model = tf.saved_model.load(sys.argv[1])
    x = {k: tf.constant(v) for k, v in np.load(sys.argv[2]).items()}
    np.save(sys.argv[3], model.signatures["serving_default"](**x)["probabilities"])
    """
    files = [str(path), str(tmp_path / "x.npz"), str(tmp_path / "y.npy")]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *files],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Another convolution library on untrained, large logits: not the 1e-5 of one.
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), wanted, atol=5e-3)
    seen = serving.load(path)(x)["probabilities"]
    np.testing.assert_allclose(seen, wanted, atol=1e-5)


def test_fstf_net_holds_core_operations_and_no_batch_detour(real):
    found = set(operations(real[1]))
    assert found <= set(dir(tf.raw_ops))
    # TensorFlow uses oneDNN, which has dilated convolutions, on CPUs with AVX-512 only.
    assert ("SpaceToBatchND" not in found) == _dilation_works("float32", "CPU")
    assert any(
        isinstance(layer, Conv2D) and max(layer.dilation_rate) > 1
        for layer in real[0].layers
    )


@pytest.mark.integration
def test_saved_model_cli_shows_and_runs(real, tmp_path):
    _, path = real
    cli = Path(sys.executable).with_name("saved_model_cli")
    np.savez(tmp_path / "x.npz", **real_inputs((21, 18)))
    signature = ["--dir", str(path), "--tag_set", "serve"]
    signature += ["--signature_def", "serving_default"]
    shown = subprocess.run(
        [str(cli), "show", *signature], capture_output=True, text=True, check=True
    ).stdout
    for expected in (
        "inputs['image']",
        "inputs['factors']",
        "shape: unknown_rank",
        "outputs['probabilities']",
        "(-1, -1, -1, 6)",
    ):
        assert expected in shown
    given = ";".join(f"{n}={tmp_path / 'x.npz'}[{n}]" for n in ("image", "factors"))
    subprocess.run(
        [str(cli), "run", *signature, "--inputs", given, "--outdir", str(tmp_path)],
        capture_output=True,
        check=True,
    )
    probabilities = np.load(tmp_path / "probabilities.npy")
    assert probabilities.shape == (1, 21, 18, 6)
    np.testing.assert_allclose(probabilities.sum(-1), 1.0, atol=1e-5)


def test_the_graph_is_written_once(exported):
    """A second copy of the network's function is a third of a small export."""
    convolutions = [name for name in operations(exported / "1") if name == "Conv2D"]
    assert len(convolutions) == 2

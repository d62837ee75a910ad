"""A run trained on JAX, from arrays and without TensorFlow, is a run of TensorFlow."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from landslide_tf import models
from landslide_tf.errors import DataError, ModelError, RunError
from landslide_tf.train import RunFolder, Session, evaluate_run, import_weights, resume
from tests.contracts.jax_process import ON_JAX
from tests.models.weights.released_networks import OPTIONS, some_generator
from tests.models.weights.torch_writer import write_zip

pytestmark = pytest.mark.integration

TRAIN_AND_PREDICT = """
import sys
from pathlib import Path
import numpy as np
from landslide_tf.cli.main import main
from landslide_tf.models.prediction import prediction_function
from landslide_tf.train import RunFolder

run, inputs, out, *arguments = sys.argv[1:]
sys.argv = ["landslide-tf", "train", *arguments, "--out", run]
try:
    main()
except SystemExit as stop:
    if stop.code:
        raise
predict = prediction_function(RunFolder(Path(run)).load_model())
np.save(out, predict(dict(np.load(inputs))))
"""


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return {"image": rng.uniform(0, 255, (2, 48, 40, 3)).astype(np.float32)}


@pytest.fixture(scope="module")
def on_jax(jax_trainer, inputs):
    """A run on JAX, the arrays it was trained from, and what it predicts there."""
    folder = jax_trainer.folder
    run, arrays = folder / "run", folder / "arrays"
    np.savez(folder / "inputs.npz", **inputs)
    files = (run, folder / "inputs.npz", folder / "p.npy")
    changes = ("--set=training.epochs=1", "--set=decision.threshold=true")
    arguments = (jax_trainer.recipe, "--arrays", arrays, "--no-report", *changes)
    result = subprocess.run(
        [sys.executable, "-c", TRAIN_AND_PREDICT, *map(str, (*files, *arguments))],
        capture_output=True,
        text=True,
        cwd=folder,
        env=ON_JAX,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return run, arrays, np.load(folder / "p.npy")


@pytest.fixture(scope="module")
def trained(on_jax):
    """Folders of the run and of its arrays."""
    return on_jax[:2]


def predicted(run, inputs):
    from landslide_tf.models.prediction import prediction_function

    return prediction_function(run.load_model())(inputs)


def test_the_run_says_where_it_comes_from(trained):
    run, arrays = RunFolder(trained[0]), trained[1]
    assert run.read_recipe().data.arrays == str(arrays)
    assert '"backend": "jax"' in run.environment.read_text()
    metadata = run.read_metadata()
    assert "jax" in metadata.versions and "tensorflow" not in metadata.versions
    assert not run.tensorboard.exists()


def test_imported_weights_predict_as_they_did_on_jax(
    on_jax, trained, inputs, tiny_data, tmp_path
):
    run = import_weights(trained[0], tmp_path / "run", command="a command")
    found = predicted(run, inputs)
    assert keras.backend.backend() == "tensorflow"
    np.testing.assert_allclose(found, on_jax[2], atol=1e-4)
    assert np.ptp(found) > 0.1
    before, after = RunFolder(trained[0]).read_metadata(), run.read_metadata()
    assert after.name == "run" and after.command == "a command"
    assert after.threshold == before.threshold and after.metrics == before.metrics
    assert "tensorflow" in after.versions
    assert run.metrics.read_text() == RunFolder(trained[0]).metrics.read_text()
    # The arrays stay behind; the same examples come from TFDS.
    assert run.read_recipe().data.arrays is None
    one = evaluate_run(run, pictures=0, session=Session(tiny_data))
    other = evaluate_run(RunFolder(trained[0]), pictures=0)
    explicit = evaluate_run(run, pictures=0, session=Session(arrays=trained[1]))
    assert one.scores.as_dict() == other.scores.as_dict() == explicit.scores.as_dict()


@pytest.mark.parametrize("name", ["w.weights.h5", "w.keras"])
def test_a_file_of_weights_becomes_a_run(trained, inputs, tmp_path, name):
    model = RunFolder(trained[0]).load_model()
    model.set_weights([w + 0.01 for w in model.get_weights()])
    write = model.save if name.endswith(".keras") else model.save_weights
    write(tmp_path / name)
    run = import_weights(tmp_path / name, tmp_path / "run", like=trained[0])
    for one, other in zip(
        run.load_model().get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    metadata = run.read_metadata()
    # Fitted and measured with other weights.
    assert metadata.threshold is None and metadata.metrics == {}
    assert not run.metrics.exists()


def test_what_cannot_be_imported_is_refused(trained, tmp_path):
    out = tmp_path / "out"
    small = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 1)])
    small.save(tmp_path / "small.keras")
    small.save_weights(tmp_path / "small.weights.h5")
    (tmp_path / "torn.keras").write_bytes(b"torn")
    (tmp_path / "torn.weights.h5").write_bytes(b"torn")
    (tmp_path / "w.npz").write_bytes(b"")
    for name in ("small.keras", "small.weights.h5"):
        with pytest.raises(RunError, match="does not fit the network") as caught:
            import_weights(tmp_path / name, out, like=trained[0])
        assert "\n" not in str(caught.value)
    for name in ("torn.keras", "torn.weights.h5"):
        with pytest.raises(RunError, match=name):
            import_weights(tmp_path / name, out, like=trained[0])
    with pytest.raises(ModelError, match="is not a whole file"):
        import_weights(tmp_path / "w.npz", out, like=trained[0])
    np.savez(tmp_path / "v.npz", a=np.zeros(2))
    with pytest.raises(ModelError, match="--names FILE"):
        import_weights(tmp_path / "v.npz", out, like=trained[0])
    with pytest.raises(RunError, match="`names` are for files of PyTorch's"):
        import_weights(tmp_path / "w.keras", out, like=trained[0], names="mffe_net")
    with pytest.raises(RunError, match="needs `model`"):
        import_weights(tmp_path / "w.npz", out, like=trained[0], arguments=["a=1"])
    with pytest.raises(RunError, match="does not exist"):
        import_weights(tmp_path / "nothing.keras", out, like=trained[0])
    with pytest.raises(RunError, match="with 0 of these"):
        import_weights(tmp_path / "small.keras", out)
    with pytest.raises(RunError, match="with 1 of these"):
        import_weights(trained[0], out, like=trained[0])
    unfinished = tmp_path / "unfinished"
    shutil.copytree(trained[0], unfinished)
    (unfinished / "model.json").unlink()
    with pytest.raises(RunError, match=r"model\.json"):
        import_weights(unfinished, out)
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="new or an empty folder"):
        import_weights(trained[0], out)
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_an_imported_run_is_replaced_by_the_same_command_alone(trained, tmp_path):
    run = import_weights(trained[0], tmp_path / "run", command="landslide-tf a")
    run.environment.write_text("{}")
    import_weights(trained[0], run.path, command="landslide-tf a")
    assert run.environment.read_text() != "{}"
    for command in ("landslide-tf b", None):
        with pytest.raises(DataError, match="`--overwrite`"):
            import_weights(trained[0], run.path, command=command)
    import_weights(trained[0], run.path, command="landslide-tf b", overwrite=True)
    assert run.read_metadata().command == "landslide-tf b"
    run.report.mkdir()
    with pytest.raises(DataError, match="`report` is there"):
        import_weights(trained[0], run.path, command="landslide-tf b", overwrite=True)
    with pytest.raises(DataError, match="cannot be written over"):
        import_weights(run.path, run.path, overwrite=True)


def test_a_run_goes_on_only_where_it_was_trained(trained, tmp_path):
    with pytest.raises(RunError, match="KERAS_BACKEND=jax"):
        resume(trained[0], Session(verbose=0))
    run = import_weights(trained[0], tmp_path / "run")
    before = run.model.read_bytes()
    with pytest.raises(RunError, match="nothing to resume"):
        resume(run.path, Session(verbose=0))
    assert run.model.read_bytes() == before


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """An image, its logits, and the file of the network that gives them."""
    image, logits, _, arrays = some_generator()
    folder = tmp_path_factory.mktemp("released")
    return image, logits, write_zip(folder / "w.pth.tar", {"state_dict": arrays})


ARGUMENTS = [f"{name}={value}" for name, value in OPTIONS.items()]


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", ["mffe_net", "ada_net"])
def test_a_released_network_becomes_a_run(released, name, tmp_path):
    image, logits, file = released
    run = import_weights(
        file, tmp_path / "run", model=name, arguments=ARGUMENTS, command="a command"
    )
    found = predicted(run, {"image": image})
    np.testing.assert_allclose(found[0], softmax(logits), atol=1e-4)
    metadata = run.read_metadata()
    assert metadata.builder == "mffe_net"  # the second output is left behind
    assert metadata.arguments == {"width": 0.125, "backbone": "resnet50"}
    assert [band.name for band in metadata.inputs] == ["red", "green", "blue"]
    assert metadata.classes[metadata.landslide_class] == "landslide"
    assert metadata.name == "run" and metadata.command == "a command"
    with pytest.raises(RunError, match="imported without a recipe"):
        run.read_recipe()
    # The run is one to import into, too.
    with pytest.raises(RunError, match="imported without a recipe"):
        import_weights(file, tmp_path / "again", like=run.path)
    assert not (tmp_path / "again").exists()


def test_a_name_alone_says_two_classes(released, tmp_path):
    out = tmp_path / "out"
    for arguments, words in (
        ([*ARGUMENTS, "num_classes=6"], "`like` a run"),
        (
            [*ARGUMENTS, "input_shape=[null, null, 4]", "normalization=[0, 1, 255]"],
            "`like` a run",
        ),
        ([*ARGUMENTS, "backbones=resnet50"], "backbones"),
        (["width=0.25", "backbone=resnet50"], "does not fit `mffe_net`"),
        (["width"], "as `"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            import_weights(released[2], out, model="mffe_net", arguments=arguments)
        assert "\n" not in str(caught.value) and not out.exists()
    with pytest.raises(ModelError, match="Did you mean"):
        import_weights(released[2], out, model="mffenet")
    with pytest.raises(RunError, match="with 2 of these"):
        import_weights(released[2], out, model="mffe_net", like=tmp_path)


def test_a_discriminator_is_a_model_alone(tmp_path):
    shapes = [(64, 2), (128, 64), (256, 128), (512, 256), (1, 512)]
    names = ["conv1", "conv2", "conv3", "conv4", "classifier"]
    arrays = {}
    for name, shape in zip(names, shapes, strict=True):
        arrays[f"{name}.weight"] = np.ones((*shape, 4, 4), "<f4")
        arrays[f"{name}.bias"] = np.zeros(shape[0], "<f4")
    file = write_zip(tmp_path / "d.pth", arrays)
    run = import_weights(file, tmp_path / "d", model="output_space_discriminator")
    assert run.load_model().count_params() == 2_763_713
    assert not run.recipe.exists() and not (run.path / "model.json").exists()


def test_networks_of_regions_say_which(tmp_path):
    """Here with names of one's own, as TSMU was not released for PyTorch."""
    options = {"variant": "code", "trunk_filters": [2], "decoder_filters": [2, 4]}
    model = models.tsmu_net(["MWCF", "NAD"], **options)
    arrays, names = {}, {}
    decoders = models.tsmu.decoders(model).values()
    for before, part in zip(
        ("trunk", "decoder1", "decoder2"),
        (models.tsmu.trunk(model), *decoders),
        strict=True,
    ):
        for layer in part.layers:
            if not layer.weights:
                continue
            there = f"net.{before}.{layer.name}"
            names[f"{before}/{layer.name}"] = there
            ends = ("weight", "bias", "running_mean", "running_var")
            for end, value in zip(ends, layer.get_weights(), strict=False):
                # PyTorch's first two axes are Keras's last, the other way round.
                axes = (3, 2, 0, 1) if value.ndim == 4 else (0,)
                arrays[f"{there}.{end}"] = value.transpose(axes)
    (tmp_path / "names.yaml").write_text(json.dumps({"layers": names}))
    run = import_weights(
        write_zip(tmp_path / "w.pth", arrays),
        tmp_path / "run",
        model="tsmu_net",
        arguments=[
            "regions=[MWCF, NAD]",
            *(f"{name}={value}" for name, value in options.items()),
        ],
        names=tmp_path / "names.yaml",
    )
    for one, other in zip(
        run.load_model().get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    metadata = run.read_metadata()
    regions = ["MARINE_WEST_COAST_FOREST", "NORTH_AMERICAN_DESERTS"]
    assert metadata.arguments["regions"] == regions
    assert metadata.landslide_class == "sigmoid"
    assert [band.name for band in metadata.inputs][::5] == ["pre_red", "post_blue"]

"""Data, models and runs that do not fit: one line, status 2, nothing half-written."""

import numpy as np
import pytest

from landslide_tf.train import RunFolder, Session, load_recipe, train
from tests.datasets import mmls_files

pytestmark = [
    pytest.mark.filterwarnings("ignore::landslide_tf.datasets.IncompleteDataWarning"),
    pytest.mark.filterwarnings("ignore:Epoch 1 predicts no landslide"),
]

# Training in this process: TensorFlow has started, its threads are set.
HERE = "training.deterministic=false"
SMALL = [
    HERE,
    "data.train=train[:8]",
    "data.validation=validation[:4]",
    "data.test=test[:4]",
    "model.arguments={width: 0.125, backbone: resnet18, backbone_layout: torchvision}",
    "training={epochs: 1, batch_size: 4, patch: 32, deterministic: false}",
]


@pytest.fixture
def manual(tmp_path):
    mmls_files.write_mmls(tmp_path / "manual" / "mmls" / "dataset")
    return tmp_path / "manual"


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_data):
    """A small run of the model that sees no terrain."""
    folder = tmp_path_factory.mktemp("runs") / "rae_d"
    recipe = load_recipe("rae_d_synthetic", SMALL)
    return train(recipe, folder, Session(tiny_data, None, "landslide-tf train"))


def harm(part, fault):
    """Harms a tile and returns what the message must say of it."""
    image = part / "images" / "Image_patch_13_5.tif"
    mask = part / "masks" / "Mask_patch_13_5.tif"
    if fault == "corrupt image":
        image.write_bytes(image.read_bytes()[:300_000])
        return f"`{image}` cannot be read as a TIFF"
    if fault == "wrong channel count":
        mmls_files.write_tiff(image, mmls_files.image(1)[..., :5])
        return f"`{image}` must be a TIFF of 128 pages that make (128, 128, 7)"
    if fault == "mask of another size":
        mmls_files.write_tiff(mask, np.zeros((128, 64), np.float32))
        return f"`{mask}` must be a mask of (128, 128) pixels like its image"
    mmls_files.write_tiff(mask, np.full((128, 128), 2, np.float32))
    return f"`{mask}` must hold the values 0 and 1 only, received 2"


@pytest.mark.parametrize(
    "fault",
    [
        "corrupt image",
        "wrong channel count",
        "mask of another size",
        "unknown label value",
    ],
)
def test_broken_files_are_named(command, manual, tmp_path, fault):
    message = harm(manual / "mmls" / "dataset" / "train_partition", fault)
    folders = ("--data-dir", tmp_path / "data", "--manual-dir", manual)
    command.refuses("datasets", "build", "mmls/published", *folders, message=message)
    out = tmp_path / "run"
    arguments = ("fstf_net_mmls", "--out", out, f"--set={HERE}", *folders)
    command.refuses("train", *arguments, message=message)
    assert not out.exists()
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("fstf_net_synthetic", "data.image=[red, green]", "received an image of 2"),
        ("rae_d_synthetic", "data.image=[red, green, blue, slope]", "image of 4"),
        ("fstf_net_synthetic", "data.factors=[]", "needs `data.factors`"),
        ("rae_d_synthetic", "data.factors=[slope]", "takes no `factors`"),
        ("fstf_net_synthetic", "data.factors=[slope, thermal]", "`thermal`"),
        ("fstf_net_synthetic", "model.arguments.factors=[slope]", "received 1"),
        ("rae_d_synthetic", "model.arguments.num_classes=3", "follows from the data"),
    ],
)
def test_channels_that_the_model_does_not_take(
    command, tiny_data, tmp_path, recipe, changes, message
):
    out = tmp_path / "run"
    options = (f"--out={out}", f"--data-dir={tiny_data}", f"--set={HERE}")
    command.refuses("train", recipe, f"--set={changes}", *options, message=message)
    assert not out.exists()


@pytest.mark.integration
def test_data_that_a_run_does_not_fit(command, run, tiny_data):
    before = sorted(run.path.rglob("*"))
    for data, message in (
        ("synthetic_landslides/tiny:tests", "no split `tests`"),
        ("synthetic_landslides/tinny", "no configuration `tinny`"),
        ("synthetic_landslids", "Did you mean `synthetic_landslides`"),
    ):
        arguments = ("--data", data, "--data-dir", tiny_data)
        command.refuses("evaluate", run.path, *arguments, message=message)
    arguments = ("--permute", "factors", "--data-dir", tiny_data)
    command.refuses(
        "evaluate", run.path, *arguments, message="no input, band or factor `factors`"
    )
    assert sorted(run.path.rglob("*")) == before


@pytest.mark.integration
@pytest.mark.parametrize("name", ["model.keras", "model.json"])
@pytest.mark.parametrize("content", [None, b"", b"garbage", "half"])
def test_a_harmed_run(command, run, tmp_path, tiny_data, name, content):
    path = run.path / name
    whole = path.read_bytes()
    try:
        if content is None:
            path.unlink()
        else:
            path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
        data = ("--data-dir", tiny_data)
        command.refuses("evaluate", run.path, *data, message=f"`{path}`")
        out = tmp_path / "export"
        command.refuses("export", run.path, "--out", out, message=f"`{path}`")
        assert not out.exists()
    finally:
        path.write_bytes(whole)
    assert RunFolder(run.path).read_metadata().builder == "rae_d"


def test_a_model_of_ones_own_is_no_run(command, tmp_path):
    model, out = tmp_path / "mine.keras", tmp_path / "export"
    model.write_bytes(b"PK\3\4\xa1")
    message = "exported in Python, by `landslide_tf.serving.export`"
    command.refuses("export", model, "--out", out, message=message)
    assert not out.exists()


@pytest.mark.integration
def test_options_for_other_models_and_formats(command, run, tmp_path):
    message = "is run by Keras: leave out `--runtime`"
    command.refuses("evaluate", run.path, "--runtime", "openvino", message=message)
    out = tmp_path / "export"
    for options, message in (
        (("--format=onnx", "--precision=int8"), "`--calibrate` belong together"),
        (("--calibrate=mmls:train",), "`--calibrate` belong together"),
        (("--format=onnx", "--precision=bfloat16"), "has the precisions float32"),
    ):
        command.refuses("export", run.path, "--out", out, *options, message=message)
    assert not out.exists()

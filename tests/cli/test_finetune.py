"""`landslide-tf finetune`."""

import json

import pytest

from landslide_tf.train import RunFolder, Session, load_recipe, train

pytestmark = pytest.mark.filterwarnings("ignore:Epoch 1 predicts no landslide")

SMALL = [
    "data.train=train[:8]",
    "data.validation=validation[:4]",
    "data.test=test[:4]",
    "model={name: unet, arguments: {width: 0.125}}",
    "training={epochs: 1, batch_size: 4, patch: 32, deterministic: false}",
]
DATA = "synthetic_landslides/tiny"


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_data):
    folder = tmp_path_factory.mktemp("runs") / "unet"
    return train(load_recipe("rae_d_synthetic", SMALL), folder, Session(tiny_data))


@pytest.mark.integration
def test_a_curve_from_the_run_itself_to_two_samples(command, run, tiny_data, tmp_path):
    out = tmp_path / "out"
    arguments = (
        *("finetune", run.path, "--data", DATA, "--samples", "2", "--samples", "0"),
        *("--out", out, "--set", "training.epochs=1", "--set", "data.test=test[:4]"),
        *("--freeze", "bn", "--freeze", "encoder", "--data-dir", tiny_data),
    )
    code, text, err = command(*arguments)
    assert code == 0, err
    assert "| 0 |" in text and "| 2 |" in text
    points = json.loads((out / "curve.json").read_text())["points"]
    assert [point["samples"] for point in points] == [0, 2]
    assert points[0]["run"] == str(run.path)
    assert (out / "curve.md").read_text() in text
    done = RunFolder(out / "samples-2")
    assert f"next: landslide-tf evaluate {done.path}" in text
    assert done.read_metadata().command.startswith("landslide-tf finetune")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", DATA, "--samples", "999"), "has 160 examples"),
        (("--data", DATA, "--samples", "1", "--freeze", "stage9"), "names no layer"),
        (("--data", "mmls", "--samples", "1"), "`mmls"),
        (("--data", f"{DATA}:test", "--samples", "1"), "other splits are"),
        (("--data", DATA, "--samples", "1", "--set", "loss.nam=dice"), "`name`"),
    ],
)
def test_what_does_not_fit_is_one_line(
    command, run, tiny_data, tmp_path, arguments, message
):
    out = tmp_path / "out"
    folders = ("--out", out, "--data-dir", tiny_data, "--manual-dir", tmp_path)
    command.refuses("finetune", run.path, *arguments, *folders, message=message)
    assert not list(out.glob("*/*"))


def test_a_folder_that_is_no_run_is_refused(command, tmp_path):
    arguments = ("finetune", tmp_path / "none", "--data", DATA, "--samples", "1")
    command.refuses(*arguments, message=str(tmp_path / "none"))

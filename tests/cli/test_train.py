"""`landslide-tf train`, then `evaluate`, `export` and `import-weights`."""

import json
import shutil

import numpy as np
import pytest

from landslide_tf.train import RunFolder

pytestmark = pytest.mark.filterwarnings("ignore:Epoch 1 predicts no landslide")

CHANGES = (
    "--set=data.train=train[:8]",
    "--set=data.validation=validation[:4]",
    "--set=data.test=test[:4]",
    "--set=model={name: unet, arguments: {width: 0.125}}",
    "--set=training={epochs: 1, batch_size: 4, patch: 32, deterministic: false}",
)


@pytest.mark.integration
def test_from_a_recipe_to_an_export(command, tiny_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = ("--data-dir", tiny_data)
    code, out, err = command("train", "rae_d_synthetic", *CHANGES, *data)
    assert code == 0, err
    run = RunFolder(tmp_path / "runs" / "rae_d_synthetic")
    following = f"evaluate runs/rae_d_synthetic --data-dir {tiny_data}"
    assert f"next: landslide-tf {following}" in out
    assert f"report: {run.page.relative_to(tmp_path)}" in out
    page = run.page.read_text()
    assert "validation[:4]" in page and page.count("<svg") >= 5
    assert run.read_metadata().command.startswith("landslide-tf train rae_d_synthetic")

    # A finished run is resumed to itself.
    metrics, weights = run.metrics.read_text(), run.load_model().get_weights()
    code, out, err = command("train", "--resume", run.path, "--no-report", *data)
    assert code == 0, err
    assert "report:" not in out
    assert run.metrics.read_text() == metrics
    for a, b in zip(run.load_model().get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)

    code, out, err = command("evaluate", run.path, *data, "--pictures", 1)
    assert code == 0, err
    (folder,) = run.report.glob("*test*")
    record = json.loads((folder / "evaluation.json").read_text())
    name = record["classes"][record["landslide_class"]]
    assert f"landslide IoU {record['scores']['classes'][name]['iou']:.4f}" in out
    assert str((folder / "pictures.png").relative_to(tmp_path)) in out
    text = run.page.read_text()
    assert record["title"] in text and "validation[:4]" in text  # both evaluations

    code, out, err = command("export", run.path, "--out", tmp_path / "e")
    assert code == 0, err
    assert out.split() == [str(tmp_path / "e" / "1")]

    # The export alone is scored as the run; it does not know on which data.
    split = record["facts"]["data"]
    code, out, err = command("evaluate", "e", "--data", split, *data, "--pictures", 1)
    assert code == 0, err
    (file,) = (tmp_path / "evaluations").glob("*/evaluation.json")
    assert json.loads(file.read_text())["scores"] == record["scores"]
    command.refuses("evaluate", "e", *data, message="give `--data` as well")
    command.refuses("evaluate", "none", "--data", split, message="`none`")
    whole = split.partition(":")[0]
    command.refuses("evaluate", "e", "--data", whole, *data, message="Name the split")

    command.refuses(
        "export",
        run.path,
        "--out",
        tmp_path / "e",
        "--version",
        1,
        message="never overwritten",
    )

    code, out, err = command("import-weights", run.path, "--out", tmp_path / "other")
    assert code == 0, err
    one, other = (RunFolder(p).load_model() for p in (run.path, tmp_path / "other"))
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def harm_an_image(folder):
    """Overwrites the middle of the first PNG of the first record with zeros."""
    (file,) = folder.rglob("*-train.tfrecord-*")
    data = bytearray(file.read_bytes())
    images, place = [], data.find(b"\x89PNG")
    while place >= 0 and len(images) < 2:  # image and mask, in any order
        images.append((data.find(b"IEND", place) - place, place))
        place = data.find(b"\x89PNG", place + 1)
    length, place = max(images)
    data[place + length // 2 : place + length // 2 + 200] = bytes(200)
    file.write_bytes(data)


def test_an_image_damaged_after_the_build_is_named(command, tiny_data, tmp_path):
    """It is found while a batch is made, inside of Keras's `fit`."""
    copy = shutil.copytree(tiny_data, tmp_path / "data")
    harm_an_image(copy)
    out = ("--out", tmp_path / "run", "--data-dir", copy)
    command.refuses(
        "train", "rae_d_synthetic", *CHANGES, *out, message="cannot be decoded"
    )

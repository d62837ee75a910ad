"""What a run folder says about its run, and the page made of it."""

import csv

import pytest
import yaml

from landslide_tf.cli.reporting import write_reports
from landslide_tf.errors import RunError
from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.train import RunFolder, Session, evaluate_run, load_recipe, run_facts


@pytest.fixture
def run(tmp_path):
    """A run that stopped after three of ten epochs."""
    folder = RunFolder(tmp_path / "one")
    changes = ["training.epochs=10", "training.patience=1", "training.seed=5"]
    load_recipe("fstf_net_synthetic", changes).write(folder.recipe)
    values = ("nan", 0.25, 0.125)
    folder.write_metrics(
        [{"epoch": n, "val_landslide_iou": v} for n, v in enumerate(values)]
    )
    return folder


def test_a_run_that_stopped_early(run):
    found = run_facts(run)
    assert found["title"] == "Training run “one”"
    facts = found["facts"]
    assert facts["epochs"].startswith("3 of 10; ends after 1 epoch without")
    assert facts["best epoch"] == "2, val_landslide_iou 0.25"
    assert facts["seed"] == 5
    assert [row["val_landslide_iou"] for row in found["epochs"]] == [
        "nan",
        "0.25",
        "0.125",
    ]
    assert yaml.safe_load(found["recipe"])["training"]["epochs"] == 10
    assert found["environment"] == {}


def test_the_smallest_can_be_the_best(run):
    load_recipe(run.recipe, ["training.mode=min"]).write(run.recipe)
    assert run_facts(run)["facts"]["best epoch"] == "3, val_landslide_iou 0.125"


def test_a_run_without_an_epoch(run):
    run.metrics.unlink()
    found = run_facts(run)
    assert found["epochs"] == [] and found["facts"]["best epoch"] is None


def test_decisions_of_a_finished_run(run):
    run.write_environment()
    ModelMetadata(
        name="one",
        builder="fstf_net",
        arguments={},
        inputs=[Band(name="red")],
        classes=["landslide", "rest"],
        landslide_class=0,
        threshold=0.375,
        command="landslide-tf train",
    ).write(run.path)
    found = run_facts(run)
    assert found["facts"]["threshold"] == 0.375
    assert found["facts"]["temperature"] == 1.0
    assert found["environment"]["backend"] == "tensorflow"


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        run_facts(RunFolder(tmp_path))


@pytest.mark.integration
@pytest.mark.filterwarnings(
    "ignore::landslide_tf.train.run.recorder.NoLandslideWarning"
)
def test_training_and_evaluation_write_the_page(trainer, command, tiny_data):
    folder = trainer.folder / "run"
    changes = ("--set=training.epochs=1", "--set=training.pictures=1")
    # In this process TensorFlow has started: its threads and determinism are set.
    changes += ("--set=training.threads=null", "--set=training.deterministic=false")
    place = ("--out", folder, "--data-dir", tiny_data)
    code, output, err = command("train", trainer.recipe, *place, *changes)
    assert code == 0, err
    run = RunFolder(folder)
    assert f"report: {run.page}" in output
    assert list((run.tensorboard / "pictures").glob("events.out.tfevents.*"))
    text = run.page.read_text()
    with run.metrics.open() as stream:
        (row,) = csv.DictReader(stream)
    assert f"validation, epoch 1: {float(row['val_loss']):.6g}</title>" in text
    # The best weights are those of the only epoch.
    assert f"<dd>{float(row['val_landslide_iou']):.4f}</dd>" in text
    assert "tiny:validation[:8]" in text and "tiny:test[:8]" not in text
    files = write_reports(
        run, evaluate_run(run, session=Session(tiny_data), pictures=1)
    )
    assert files["page"] == run.page
    text = run.page.read_text()
    assert "tiny:validation[:8]" in text and "tiny:test[:8]" in text
    assert text.count('<img src="data:image/png') == 2

import csv
import json

import numpy as np
import pytest

from landslide_tf.train import RunFolder, Session, evaluate_run
from landslide_tf.train.run.checkpoint import load_newest


def rows(run):
    with (run / "metrics.csv").open() as stream:
        return [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader(stream)
        ]


def assert_same(whole, broken):
    assert rows(whole) == rows(broken)
    for name in ("state", "best"):
        one = load_newest(whole / "checkpoints", name)
        other = load_newest(broken / "checkpoints", name)
        assert one.arrays.keys() == other.arrays.keys()
        for key, value in one.arrays.items():
            np.testing.assert_array_equal(value, other.arrays[key])


@pytest.mark.integration
def test_a_run_builds_its_data_and_holds_what_is_read(trainer, tiny_data):
    whole, own_data = trainer.folder / "whole", trainer.folder / "data"
    code, output = trainer.run(trainer.recipe, "--out", whole, data_dir=own_data)
    assert code == 0, output
    check_run(RunFolder(whole), tiny_data)


@pytest.mark.slow  # a kill within the loop is in `run/test_restart.py`
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(trainer):
    whole, broken = trainer.folder / "whole", trainer.folder / "broken"
    # This run builds its data itself, which must not change its numbers.
    own_data = trainer.folder / "data"
    code, output = trainer.run(trainer.recipe, "--out", whole, data_dir=own_data)
    assert code == 0, output
    states = broken / "checkpoints"
    trainer.kill_when(
        lambda: any(states.glob("state-*")), trainer.recipe, "--out", broken
    )
    assert len(list(states.glob("state-*"))) < 3
    code, output = trainer.run("--resume", broken)
    assert code == 0, output
    assert_same(whole, broken)


@pytest.mark.slow
def test_a_killed_run_on_jax_goes_on_from_its_arrays(jax_trainer):
    """Resumed without naming the arrays, and where TensorFlow is absent."""
    whole, broken = jax_trainer.folder / "whole", jax_trainer.folder / "broken"
    options = (jax_trainer.recipe, "--arrays", "arrays", "--set=optimizer.ema=0.9")
    options += ("--set=training.save_steps=2",)
    code, output = jax_trainer.run(*options, "--out", whole)
    assert code == 0, output
    states = broken / "checkpoints"
    jax_trainer.kill_when(
        lambda: any(states.glob("state-*")), *options, "--out", broken
    )
    assert not (broken / "model.keras").exists()
    code, output = jax_trainer.run("--resume", broken)
    assert code == 0, output
    assert_same(whole, broken)


def check_run(run, data_dir):
    """The finished run folder holds what its readers expect."""
    for path in (run.recipe, run.model, run.metrics, run.environment):
        assert path.is_file(), path
    assert list(run.tensorboard.rglob("events.out.tfevents.*"))
    metadata = run.read_metadata()
    assert metadata.builder == "unet"
    assert metadata.classes[metadata.landslide_class] == "landslide"
    assert metadata.stride == 16 and metadata.tile == 32
    assert [band.name for band in metadata.inputs] == ["red", "green", "blue"]
    assert metadata.dataset == "synthetic_landslides/tiny:1.0.0"
    assert metadata.command.startswith("landslide-tf train")
    facts = json.loads(run.environment.read_text())
    assert facts["threads"] == 1 and facts["precision"] == "float32"
    found = rows(run.path)
    best = max(float(row["val_landslide_iou"]) for row in found)
    # The best weights are the ones the run keeps.
    evaluation = evaluate_run(
        run,
        data="synthetic_landslides/tiny:validation[:8]",
        session=Session(data_dir),
    )
    assert evaluation.landslide_iou == pytest.approx(best, abs=1e-6)
    assert metadata.metrics["validation"]["landslide_iou"] == pytest.approx(best)


@pytest.mark.slow
def test_training_stops_when_patience_is_over_and_stays_stopped(trainer):
    run = trainer.folder / "run"
    changes = ["training.epochs=30", "training.patience=1", "training.monitor=loss"]
    changes += ["training.mode=max"]  # the loss falls: the first epoch stays best
    options = [f"--set={change}" for change in changes]
    code, output = trainer.run(trainer.recipe, "--out", run, *options)
    assert code == 0, output
    count = len(rows(run))
    assert 2 <= count < 30
    code, output = trainer.run("--resume", run)
    assert code == 0, output
    assert len(rows(run)) == count


def test_a_folder_in_use_is_not_overwritten(trainer, command):
    run = trainer.folder / "run"
    run.mkdir()
    (run / "mine.txt").write_text("keep")
    command.refuses("train", trainer.recipe, "--out", run, message="--resume")
    assert [p.name for p in run.iterdir()] == ["mine.txt"]
    command.refuses("train", "--resume", run, message="is not a run folder")

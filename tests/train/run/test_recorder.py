"""What a recorder keeps, epoch by epoch, without a network that learns."""

import json
import math

import keras
import numpy as np
import pytest

from landslide_tf.errors import RunError
from landslide_tf.train import RunFolder
from landslide_tf.train.recipe.schema import TrainingSection
from landslide_tf.train.run.recorder import NoLandslideWarning, RunRecorder


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="one")])
    model.compile(keras.optimizers.SGD(), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def recorder(folder, **section):
    folder.mkdir(exist_ok=True)
    settings = {"epochs": 9, "monitor": "val_score", "save_minutes": None, **section}
    return RunRecorder(RunFolder(folder), TrainingSection(**settings))


def run(kept, model, scores):
    """Ends an epoch a score, with the epoch's number as every weight."""
    for epoch, score in enumerate(scores, kept.epoch):
        if kept.finished:
            break
        model.set_weights([np.full(w.shape, epoch, float) for w in model.get_weights()])
        kept.start_epoch()
        kept.end_epoch(model, epoch, {"val_score": score})


@pytest.mark.parametrize(
    ("mode", "scores", "best"),
    [
        ("max", [0.1, 0.3, 0.3, 0.2], 1),  # the first of equals
        ("min", [0.3, 0.1, 0.2, 0.1], 1),
        ("max", [math.nan, 0.1, math.nan], 1),
        ("max", [math.nan, math.nan], 0),
        ("min", [0.2, math.nan, 0.1], 2),
    ],
)
def test_the_best_epoch_is_kept_and_restored(tmp_path, model, mode, scores, best):
    kept = recorder(tmp_path / "run", mode=mode)
    run(kept, model, scores)
    assert kept.best_epoch == best
    assert kept.restore_best(model) == best
    assert all((w == best).all() for w in model.get_weights())


def test_patience_counts_epochs_without_a_better_one(tmp_path, model):
    kept = recorder(tmp_path / "run", patience=2)
    run(kept, model, [0.1, 0.2, 0.1, 0.15, 0.9])
    assert kept.stopped and kept.finished and len(kept.rows) == 4
    assert model.stop_training


def test_a_resumed_run_has_every_row_and_the_last_weights(tmp_path, model):
    first = recorder(tmp_path / "run")
    run(first, model, [0.5, 0.25])
    model.set_weights([np.full(w.shape, -1.0) for w in model.get_weights()])
    second = recorder(tmp_path / "run")
    second.resume(model)
    assert (second.epoch, second.step, second.best_epoch) == (2, 0, 0)
    assert all((w == 1).all() for w in model.get_weights())
    run(second, model, [0.75])
    with (tmp_path / "run" / "metrics.csv").open() as stream:
        assert [line.split(",")[1] for line in stream][1:] == ["0.5", "0.25", "0.75"]


def test_steps_are_saved_when_they_are_due(tmp_path, model):
    kept = recorder(tmp_path / "run", save_steps=3)
    for step in range(7):
        kept.end_step(model, step, 7)
    states = sorted((tmp_path / "run" / "checkpoints").glob("state-*"))
    saved = [json.loads((s / "meta.json").read_text())["step"] for s in states]
    assert saved == [3, 6]  # none after the epoch's last step


def test_a_state_of_other_devices_is_refused(tmp_path, model):
    run(recorder(tmp_path / "run", devices=2), model, [0.5])
    with pytest.raises(RunError, match=r"state of 2 devices.*received 1"):
        recorder(tmp_path / "run").resume(model)


def test_nothing_to_restore_is_said(tmp_path, model):
    kept = recorder(tmp_path / "run")
    kept.resume(model)  # a run that was killed before its first checkpoint
    assert kept.epoch == 0
    with pytest.raises(RunError, match="holds no best weights"):
        kept.restore_best(model)


def test_a_network_that_finds_nothing_is_warned_of(tmp_path, model):
    kept = recorder(tmp_path / "run")
    kept.start_epoch()
    with pytest.warns(NoLandslideWarning, match="Epoch 1 predicts no landslide"):
        kept.end_epoch(model, 0, {"val_score": 0.0, "val_landslide_recall": 0.0})

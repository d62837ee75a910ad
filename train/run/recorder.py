"""Everything a run has to keep so that it can be resumed after a kill."""

from __future__ import annotations

import math
import time
from typing import Any

import keras

from landslide_tf.errors import RunError, warn
from landslide_tf.train.recipe.schema import TrainingSection
from landslide_tf.train.run.checkpoint import (
    Checkpoint,
    assign_variables,
    averages,
    groups,
    load_newest,
    save_checkpoint,
    variable_arrays,
)
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.processes import ALONE, Processes
from landslide_tf.words import counted


class NoLandslideWarning(UserWarning):
    """The model predicts no landslide at all."""


STATE, BEST = "state", "best"
# Attributes of a recorder that a checkpoint keeps.
POSITION = ("epoch", "step", "rows", "best", "best_epoch", "stopped")


class RunRecorder:
    """Position, rows and best value of a run, on disk and in memory.

    At the end of each epoch, in this order: the best weights where the epoch is the
    best so far, the checkpoint, `metrics.csv`. The checkpoint holds the rows, so that a
    kill between the last two loses nothing; a kill before the checkpoint repeats the
    steps since the last one, to the same result.

    Of several processes the first one writes; the others keep the same in memory.

    Attributes:
        run: Folder of the run.
        section: Length, monitor, patience and how often to save.
        epoch: Epoch the next step belongs to.
        step: Steps of that epoch that are done.
        rows: One row of `metrics.csv` an epoch.
        best: Best value of the monitor so far.
        best_epoch: Epoch of the best value.
        stopped: Whether `patience` has ended the run.
    """

    def __init__(
        self, run: RunFolder, section: TrainingSection, processes: Processes = ALONE
    ) -> None:
        self._processes = processes
        self.run = run
        self.section = section
        self.epoch = 0
        self.step = 0
        self.rows: list[dict[str, Any]] = []  # CSV cells: numbers
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.stopped = False
        self._resumed: Checkpoint | None = None
        self._saved_at = time.monotonic()
        self._started = time.perf_counter()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.stopped or self.epoch >= self.section.epochs

    def resume(self, model: keras.Model) -> None:
        """Puts the newest checkpoint, if any, into a compiled and built model.

        Args:
            model: The model, its optimiser and metrics built.

        Raises:
            RunError: If the checkpoint is that of another number of devices.
        """
        checkpoint = load_newest(self.run.checkpoints, STATE)
        if checkpoint is None:
            return
        meta = checkpoint.meta
        if meta["devices"] != self.section.devices:
            raise RunError(
                f"`{checkpoint.path}` is the state of "
                f"{counted(meta['devices'], 'device')} and fits no other number: "
                "expected `training.devices: "
                f"{meta['devices']}`, received {self.section.devices}."
            )
        assign_variables(groups(model), checkpoint)
        for name in POSITION:
            setattr(self, name, meta[name])
        self._resumed = checkpoint
        self._write_metrics()

    def restore_weights(self, model: keras.Model) -> None:
        """Puts the trained weights back where `fit` left their moving average."""
        self._processes.wait()  # until the first one has saved them
        checkpoint = load_newest(self.run.checkpoints, STATE)
        if checkpoint is not None:
            assign_variables({"model": groups(model)["model"]}, checkpoint)

    def restore_metrics(self, model: keras.Model) -> None:
        """Puts the metric sums of a broken epoch back, which `fit` has just reset."""
        if self._resumed is not None and self.step:
            assign_variables({"metrics": groups(model)["metrics"]}, self._resumed)

    def restore_best(self, model: keras.Model) -> int:
        """Puts the weights of the best epoch into a model and returns its number.

        Raises:
            RunError: If none were saved.
        """
        self._processes.wait()  # until the first one has saved them
        best = load_newest(self.run.checkpoints, BEST)
        if best is None:
            raise RunError(f"`{self.run.checkpoints}` holds no best weights.")
        assign_variables({"model": groups(model)["model"]}, best)
        return int(best.meta["epoch"])

    def start(self, model: keras.Model, logs: dict[str, float]) -> None:
        """Takes the state before the first step as the first candidate for the best.

        Its row and, where it stays the best, `best_epoch` have the epoch -1.

        Args:
            model: The model, nothing trained.
            logs: What validation gave, under the names that training logs.
        """
        row = {"epoch": -1, **logs}
        self.rows.append(row)
        self._keep_if_best(model, row)

    def start_epoch(self) -> None:
        """Starts the clock of an epoch."""
        self._started = time.perf_counter()

    def end_step(self, model: keras.Model, step: int, steps_per_epoch: int) -> None:
        """Saves after a step where a save is due.

        Nothing is saved after an epoch's last step: the epoch's end does that, and an
        epoch of no steps could not be resumed.

        Args:
            model: The model in training.
            step: Step of the epoch that has just ended, 0-based.
            steps_per_epoch: Steps of a whole epoch.
        """
        self.step = step + 1
        if self.step >= steps_per_epoch:
            return
        every, minutes = self.section.save_steps, self.section.save_minutes
        waited = (time.monotonic() - self._saved_at) / 60
        if (every and self.step % every == 0) or (minutes and waited >= minutes):
            self.save(model)

    def end_epoch(self, model: keras.Model, epoch: int, logs: dict[str, float]) -> None:
        """Records an epoch and ends training where patience is over.

        Args:
            model: The model in training.
            epoch: The epoch, 0-based.
            logs: What Keras logged, validation included.
        """
        row = {"epoch": epoch, **logs}
        if row.get("val_landslide_recall") == 0:
            warn(
                f"Epoch {epoch + 1} predicts no landslide on validation: consider "
                "`loss.class_weights=median_frequency`, `model.prior_bias=true` or "
                "`training.positive_fraction=0.5`.",
                NoLandslideWarning,
            )
        row["seconds"] = round(time.perf_counter() - self._started, 3)
        self.rows.append(row)
        self.epoch, self.step = epoch + 1, 0
        self._keep_if_best(model, row)
        patience = self.section.patience
        if patience is not None and epoch - (self.best_epoch or 0) >= patience:
            self.stopped = model.stop_training = True
        self.save(model)
        self._write_metrics()

    def _write_metrics(self) -> None:
        if self._processes.first:
            self.run.write_metrics(self.rows)

    def _keep_if_best(self, model: keras.Model, row: dict[str, Any]) -> None:
        if not self._is_better(row):
            return
        self.best, self.best_epoch = row[self.section.monitor], row["epoch"]
        if not self._processes.first:
            return
        arrays, table = variable_arrays({"model": groups(model)["model"]})
        found = averages(model)
        for key, (path, _) in table.items():
            arrays[key] = found.get(path, arrays[key])
        meta = {"variables": table, "epoch": self.best_epoch, "value": self.best}
        save_checkpoint(self.run.checkpoints, BEST, arrays, meta)

    def _is_better(self, row: dict[str, Any]) -> bool:
        value = row[self.section.monitor]
        if self.best is None:
            return True
        if math.isnan(value) or math.isnan(self.best):
            return math.isnan(self.best) and not math.isnan(value)
        return value > self.best if self.section.mode == "max" else value < self.best

    def save(self, model: keras.Model) -> None:
        """Writes a checkpoint of the present position."""
        if not self._processes.first:
            return
        arrays, table = variable_arrays(groups(model))
        meta = {
            "variables": table,
            "devices": self.section.devices,
            **{name: getattr(self, name) for name in POSITION},
        }
        save_checkpoint(self.run.checkpoints, STATE, arrays, meta)
        self._saved_at = time.monotonic()

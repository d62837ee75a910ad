"""The callback that makes a run restartable: rows, best weights, checkpoints."""

from __future__ import annotations

import math
import time
from typing import Any

import keras

from landslide_tf.train.checkpoint import (
    Checkpoint,
    assign_variables,
    groups,
    load_newest,
    save_checkpoint,
    variable_arrays,
)
from landslide_tf.train.recipe import TrainingSection
from landslide_tf.train.run import RunFolder

STATE, BEST = "state", "best"


class RunRecorder(keras.callbacks.Callback):
    """Keeps everything a run needs to go on after it was killed.

    At the end of each epoch, in this order: the best weights where the epoch is the
    best so far, the checkpoint, `metrics.csv`. The checkpoint holds the rows, so that a
    kill between the last two loses nothing. Ends training where `patience` epochs
    brought nothing better.

    Args:
        run: Folder to write into.
        section: Monitor, mode and patience.
    """

    def __init__(self, run: RunFolder, section: TrainingSection) -> None:
        super().__init__()
        self.run = run
        self.section = section
        self.rows: list[dict[str, Any]] = []  # CSV cells: numbers
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.stopped = False
        self.epoch = 0
        self._started = 0.0

    def resume(self, model: keras.Model) -> bool:
        """Puts the newest checkpoint into a compiled and built model.

        Args:
            model: The model, its optimiser and metrics built.

        Returns:
            Whether there was a checkpoint.
        """
        checkpoint = load_newest(self.run.checkpoints, STATE)
        if checkpoint is None:
            return False
        assign_variables(groups(model), checkpoint)
        meta = checkpoint.meta
        self.epoch, self.rows = meta["epoch"], meta["rows"]
        self.best, self.best_epoch = meta["best"], meta["best_epoch"]
        self.stopped = meta["stopped"]
        self.run.write_metrics(self.rows)
        return True

    def best_weights(self) -> Checkpoint | None:
        """Returns the weights of the best epoch."""
        return load_newest(self.run.checkpoints, BEST)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Saves the epoch."""
        values = {k: float(v) for k, v in (logs or {}).items()}
        row = {"epoch": epoch, **values}
        row["seconds"] = round(time.perf_counter() - self._started, 3)
        self.rows.append(row)
        self.epoch = epoch + 1
        if self._is_better(row):
            self.best, self.best_epoch = row[self.section.monitor], epoch
            arrays, table = variable_arrays({"model": groups(self.model)["model"]})
            meta = {"variables": table, "epoch": epoch, "value": self.best}
            save_checkpoint(self.run.checkpoints, BEST, arrays, meta)
        patience = self.section.patience
        if patience is not None and epoch - (self.best_epoch or 0) >= patience:
            self.stopped = self.model.stop_training = True
        self._save()
        self.run.write_metrics(self.rows)

    def _is_better(self, row: dict[str, Any]) -> bool:
        value = row[self.section.monitor]
        if self.best is None:
            return True
        if math.isnan(value) or math.isnan(self.best):
            return math.isnan(self.best) and not math.isnan(value)
        return value > self.best if self.section.mode == "max" else value < self.best

    def _save(self) -> None:
        arrays, table = variable_arrays(groups(self.model))
        meta = {
            "variables": table,
            "epoch": self.epoch,
            "rows": self.rows,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
        }
        save_checkpoint(self.run.checkpoints, STATE, arrays, meta)

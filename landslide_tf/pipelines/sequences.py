"""Batches by number, as `keras.utils.PyDataset`: for every backend of Keras."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from landslide_tf.pipelines.batches import (
        Batch,
        EvaluationBatches,
        TrainingBatches,
    )

# Threads that load ahead of the training step, and the most batches they hold ready.
_WORKERS, _AHEAD = 2, 4


class TrainingSequence(keras.utils.PyDataset):
    """The endless stream of training batches from a given step on.

    A batch depends on its number alone: Keras reads ahead, in several threads.

    Args:
        batches: The stream.
        epoch: Epoch of the first batch.
        step: Step of the first batch in that epoch.
    """

    def __init__(self, batches: TrainingBatches, epoch: int, step: int) -> None:
        super().__init__(workers=_WORKERS, max_queue_size=_AHEAD)
        self._batches = batches
        self._first = epoch * batches.steps_per_epoch + step
        # Two, because reading ahead goes beyond an epoch's end.
        self._order = lru_cache(maxsize=2)(batches.order)

    @property
    def num_batches(self) -> None:
        """None: there is no end."""

    def __getitem__(self, index: int) -> Batch:
        """Returns a batch as `TrainingBatches.batch` does."""
        batches = self._batches
        epoch, step = divmod(self._first + index, batches.steps_per_epoch)
        first = step * batches.batch_size
        draws = self._order(epoch)[first : first + batches.batch_size]
        return batches.load(epoch, draws)


class EvaluationSequence(keras.utils.PyDataset):
    """Every example once.

    Args:
        batches: The examples in batches.
    """

    def __init__(self, batches: EvaluationBatches) -> None:
        super().__init__(workers=_WORKERS, max_queue_size=_AHEAD)
        self._batches = batches
        self._numbers = batches.numbers()

    @property
    def num_batches(self) -> int:
        """Number of batches."""
        return len(self._numbers)

    def __getitem__(self, index: int) -> Batch:
        """Returns inputs and labels of a batch."""
        return self._batches.load(self._numbers[index])

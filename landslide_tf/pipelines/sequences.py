"""The one way from batches into `keras.utils.PyDataset`, for every backend of Keras.

Apart from `batches`, because this module imports Keras, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic

import keras

import landslide_tf.keras_backend  # noqa: F401 - refuses other backends
from landslide_tf.pipelines.batches import (
    AHEAD,
    WHOLE,
    AnyBatch,
    Batch_co,
    EvaluationData,
    Share,
    TrainingData,
    evaluation_stream,
    training_stream,
)

if TYPE_CHECKING:
    import tensorflow as tf

# Threads of Keras that make batches before the step which asks for them.
_WORKERS = 2


class TrainingSequence(keras.utils.PyDataset, Generic[Batch_co]):
    """Training data without end, from a given step on; use it with `steps_per_epoch`.

    Args:
        data: The batches.
        epoch: Epoch of the first batch.
        step: Step of the first batch in that epoch.
        share: Which of a batch's examples this process reads.
    """

    def __init__(
        self,
        data: TrainingData[Batch_co],
        epoch: int = 0,
        step: int = 0,
        share: Share = WHOLE,
    ) -> None:
        super().__init__(workers=_WORKERS, max_queue_size=AHEAD)
        self._data = data
        self._share = share
        self._first = epoch * data.steps_per_epoch + step

    @property
    def num_batches(self) -> None:
        """None: there is no end."""

    def __getitem__(self, index: int) -> Batch_co:
        """Returns inputs and labels of a batch."""
        number = divmod(self._first + index, self._data.steps_per_epoch)
        return self._data.batch(*number, self._share)


class EvaluationSequence(keras.utils.PyDataset, Generic[Batch_co]):
    """Evaluation data, every batch once.

    Args:
        data: The batches.
        numbers: Numbers of the batches to give; None gives all.
        share: Which of a batch's examples this process reads.
    """

    def __init__(
        self,
        data: EvaluationData[Batch_co],
        numbers: Sequence[int] | None = None,
        share: Share = WHOLE,
    ) -> None:
        super().__init__(workers=_WORKERS, max_queue_size=AHEAD)
        self._data = data
        self._numbers = range(len(data)) if numbers is None else numbers
        self._share = share

    @property
    def num_batches(self) -> int:
        """Number of batches."""
        return len(self._numbers)

    def __getitem__(self, index: int) -> Batch_co:
        """Returns inputs and labels of a batch."""
        return self._data.batch(self._numbers[index], self._share)


def training_input(
    data: TrainingData[AnyBatch], epoch: int = 0, step: int = 0, share: Share = WHOLE
) -> tf.data.Dataset | TrainingSequence[AnyBatch]:
    """Returns training data in the form that `fit` takes best on Keras's backend.

    Args:
        data: The batches.
        epoch: Epoch of the first batch.
        step: Step of the first batch in that epoch.
        share: Which of a batch's examples this process reads; JAX only.
    """
    if keras.backend.backend() == "tensorflow":
        return training_stream(data, epoch, step)
    return TrainingSequence(data, epoch, step, share)


def evaluation_input(
    data: EvaluationData[AnyBatch],
) -> tf.data.Dataset | EvaluationSequence[AnyBatch]:
    """Returns evaluation data in the form that suits Keras's backend."""
    if keras.backend.backend() == "tensorflow":
        return evaluation_stream(data)
    return EvaluationSequence(data)

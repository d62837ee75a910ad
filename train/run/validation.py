"""Validation batches as the devices that train take them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import keras

from landslide_tf.pipelines.batches import AnyBatch, EvaluationData, Share
from landslide_tf.pipelines.sequences import EvaluationSequence, evaluation_input


@dataclass(frozen=True)
class Part:
    """Batches of a validation that are laid out alike.

    Attributes:
        batches: In a form that Keras takes.
        layout: Context in which they are evaluated.
    """

    batches: Any  # tf.data.Dataset or keras.utils.PyDataset
    layout: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext


class _WholeBatches(keras.distribution.DataParallel):
    """Gives every device the whole of a batch."""

    def get_data_layout(
        self, data_shape: Sequence[int]
    ) -> keras.distribution.TensorLayout:
        """Returns the layout of a batch's array, which is cut nowhere."""
        return keras.distribution.TensorLayout(
            [None] * len(data_shape), self.device_mesh
        )


def validation_parts(data: EvaluationData[AnyBatch]) -> list[Part]:
    """Returns the batches of a validation for the devices that train.

    Where several share batches (`keras.distribution`), each takes its share of those
    that divide evenly; the few others, at the end of the tiles of one size, are
    computed whole by all. So the loss of a batch is the mean over its pixels, and its
    weight its number of examples, as on one device: examples added to fill a batch
    would change the weight.

    Args:
        data: The batches.

    Returns:
        One part, or two.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return [Part(evaluation_input(data))]
    count = distribution.num_model_replicas
    even = [n for n in range(len(data)) if data.examples_in(n) % count == 0]
    odd = sorted(set(range(len(data))) - set(even))
    whole = _WholeBatches(distribution.device_mesh, auto_shard_dataset=False)
    parts = []
    if even:
        share = own_share()
        parts.append(Part(EvaluationSequence(data, even, share), distribution.scope))
    if odd:
        parts.append(Part(EvaluationSequence(data, odd), whole.scope))
    return parts


def own_share() -> Share:
    """Returns which examples of a batch this process reads for its devices."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return Share()
    return Share(distribution.data_shard_id, distribution.num_processes)

"""Batches of two regions: a labelled source and a target without labels.

Apart from the task, because they are made of batches alone and need no recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from landslide_tf.pipelines import (
    EvaluationBatches,
    ExampleStore,
    TrainingBatches,
    load_arrays,
)
from landslide_tf.pipelines.batches import WHOLE, Arrays, ArraySpec, Share, Specs
from landslide_tf.pipelines.built_sets import hidden, load
from landslide_tf.pipelines.store import Example, Examples
from landslide_tf.train.transfer.adversarial import (
    DOMAIN,
    SOURCE,
    TARGET,
    TARGET_PREFIX,
)

T = TypeVar("T")
Batch = tuple[Arrays, NDArray[np.uint8]]


class UnlabelledExamples(Examples):
    """Examples whose pixels are all ignored, whatever their labels were.

    Args:
        examples: The examples, read when they are used.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self._examples)

    def example(self, number: int) -> Example:
        """Returns the example of a number, its labels hidden."""
        return hidden(self._examples[number])


def load_unlabelled(
    name: str,
    split: str,
    *,
    arrays: str | Path | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> ExampleStore:
    """Loads examples without their labels; the data set needs to have none.

    Args:
        name: `name[/config]` of the data set.
        split: Its split.
        arrays: Folder of exported arrays; None reads the TFDS folder.
        data_dir: Folder of built data sets; None = TFDS's own.
        manual_dir: Folder with files the user has to provide.

    Returns:
        The examples, every pixel ignored.

    Raises:
        DataError: If data set or split are unknown or cannot be built.
    """
    if arrays is not None:
        store = load_arrays(arrays, name, split)
        return ExampleStore(
            store.description, store.ids, UnlabelledExamples(store.examples)
        )
    return load(
        name, split=split, data_dir=data_dir, manual_dir=manual_dir, labelled=False
    )


@dataclass(frozen=True)
class PairedTraining:
    """Training data of a source batch and a target batch a step.

    The target goes on through its own epochs, whatever the source's are.

    Attributes:
        source: Labelled batches; an epoch is theirs.
        target: Batches without labels, of the same size.
    """

    source: TrainingBatches
    target: TrainingBatches

    @property
    def store(self) -> ExampleStore:
        """The labelled examples."""
        return self.source.store

    @property
    def batch_size(self) -> int:
        """Examples of each region in a batch."""
        return self.source.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Whole source batches an epoch."""
        return self.source.steps_per_epoch

    @property
    def inputs(self) -> Specs:
        """The source's inputs, and the target's under names of their own."""
        return _both(self.source.inputs, self.target.inputs)

    @property
    def labels(self) -> ArraySpec:
        """Class of each of the source's pixels."""
        return self.source.labels

    def position(self, epoch: int, step: int) -> tuple[int, int]:
        """Returns the target's epoch and step at a step of the source."""
        number = epoch * self.source.steps_per_epoch + step
        return divmod(number, self.target.steps_per_epoch)

    def batch(self, epoch: int, step: int, share: Share = WHOLE) -> Batch:
        """Returns inputs of both regions and labels of the source."""
        inputs, labels = self.source.batch(epoch, step, share)
        others, _ = self.target.batch(*self.position(epoch, step), share)
        return _both(inputs, others), labels


def _both(source: Mapping[str, T], target: Mapping[str, T]) -> dict[str, T]:
    return {**source, **{TARGET_PREFIX + k: value for k, value in target.items()}}


@dataclass(frozen=True)
class PairedValidation:
    """Evaluation data of every source and then every target example, by region.

    Attributes:
        source: Labelled batches, which thresholds are fitted on.
        target: Batches without labels, or, for comparison only, with them.
    """

    source: EvaluationBatches
    target: EvaluationBatches

    @property
    def store(self) -> ExampleStore:
        """The labelled examples."""
        return self.source.store

    @property
    def inputs(self) -> Specs:
        """The inputs of either, and the number of the region."""
        return {**self.source.inputs, DOMAIN: ArraySpec((), "int32")}

    @property
    def labels(self) -> ArraySpec:
        """Class of each pixel, 255 = ignore."""
        return self.source.labels

    def __len__(self) -> int:
        """Returns the number of batches."""
        return len(self.source) + len(self.target)

    def examples_in(self, number: int) -> int:
        """Returns the number of examples of a batch, without reading them."""
        first = len(self.source)
        if number < first:
            return self.source.examples_in(number)
        return self.target.examples_in(number - first)

    def batch(self, number: int, share: Share = WHOLE) -> Batch:
        """Returns inputs and labels of a batch, numbered from 0."""
        first = len(self.source)
        if number < first:
            domain, (inputs, labels) = SOURCE, self.source.batch(number, share)
        else:
            domain, (inputs, labels) = TARGET, self.target.batch(number - first, share)
        return {**inputs, DOMAIN: np.full(len(labels), domain, np.int32)}, labels

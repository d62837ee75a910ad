"""Batches of two regions: a labelled source and a target without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import keras
import numpy as np

from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.pipelines import (
    EvaluationBatches,
    ExampleStore,
    TrainingBatches,
    from_examples,
    load_arrays,
)
from landslide_tf.pipelines.batches import Batch
from landslide_tf.pipelines.store import Example, open_split
from landslide_tf.train.transfer.adversarial import (
    DOMAIN,
    SOURCE,
    TARGET,
    TARGET_PREFIX,
)

if TYPE_CHECKING:
    import tensorflow as tf


class UnlabelledExamples(Sequence[Example]):
    """Examples whose pixels are all ignored, whatever their labels were.

    Args:
        examples: The examples, read when they are used.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self._examples)

    @overload
    def __getitem__(self, number: int) -> Example: ...

    @overload
    def __getitem__(self, number: slice) -> UnlabelledExamples: ...

    def __getitem__(self, number: int | slice) -> Example | UnlabelledExamples:
        """Returns an example, or a range of examples."""
        found = self._examples[number]
        return (
            UnlabelledExamples(found) if isinstance(number, slice) else _hidden(found)
        )


def _hidden(example: Example) -> Example:
    kept = {k: v for k, v in example.items() if k not in ("mask", "label")}
    size = example["image"].shape[:2]
    return {**kept, "mask": np.full(size, IGNORE_VALUE, np.uint8)}


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
    examples, description = open_split(
        name, split=split, data_dir=data_dir, manual_dir=manual_dir
    )
    return from_examples(_all_hidden(examples), description)


def _all_hidden(examples: Iterable[Example]) -> Iterator[Example]:
    return (_hidden(example) for example in examples)


@dataclass(frozen=True)
class PairedTraining:
    """The endless stream of a source batch and a target batch a step.

    The target's stream goes on through its own epochs, whatever the source's are.

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
    def steps_per_epoch(self) -> int:
        """Whole source batches an epoch."""
        return self.source.steps_per_epoch

    def position(self, epoch: int, step: int) -> tuple[int, int]:
        """Returns the target's epoch and step at a step of the source."""
        number = epoch * self.source.steps_per_epoch + step
        return divmod(number, self.target.steps_per_epoch)

    def dataset(self, epoch: int = 0, step: int = 0) -> tf.data.Dataset:
        """Returns the stream from a given step on, for TensorFlow."""
        import tensorflow as tf

        source = self.source.dataset(epoch, step)
        target = self.target.dataset(*self.position(epoch, step))
        return tf.data.Dataset.zip((source, target)).map(_paired)

    def py_dataset(self, epoch: int = 0, step: int = 0) -> keras.utils.PyDataset:
        """Returns the stream from a given step on, for every backend."""
        source = self.source.py_dataset(epoch, step)
        target = self.target.py_dataset(*self.position(epoch, step))
        return _Numbered(None, lambda number: _paired(source[number], target[number]))


def _paired(source: Batch, target: Batch) -> Batch:
    others = {TARGET_PREFIX + name: value for name, value in target[0].items()}
    return {**source[0], **others}, source[1]


@dataclass(frozen=True)
class PairedValidation:
    """Every source and then every target example once, each with its region.

    Attributes:
        source: Labelled batches.
        target: Batches without labels, or, for comparison only, with them.
    """

    source: EvaluationBatches
    target: EvaluationBatches

    @property
    def store(self) -> ExampleStore:
        """The labelled examples."""
        return self.source.store

    def __iter__(self) -> Iterator[Batch]:
        """Yields the labelled batches, which thresholds are fitted on."""
        return iter(self.source)

    def dataset(self) -> tf.data.Dataset:
        """Returns the batches as a finite `tf.data.Dataset`."""
        import tensorflow as tf

        def marked(batches: EvaluationBatches, domain: int) -> tf.data.Dataset:
            def mark(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> tuple:
                numbers = tf.fill(tf.shape(labels)[:1], domain)
                return {**inputs, DOMAIN: numbers}, labels

            return batches.dataset().map(mark)

        return marked(self.source, SOURCE).concatenate(marked(self.target, TARGET))

    def py_dataset(self) -> keras.utils.PyDataset:
        """Returns the batches as a `keras.utils.PyDataset`."""
        source, target = self.source.py_dataset(), self.target.py_dataset()
        first = source.num_batches

        def load(number: int) -> Batch:
            domain = SOURCE if number < first else TARGET
            inputs, labels = (
                source[number] if domain == SOURCE else target[number - first]
            )
            return {**inputs, DOMAIN: np.full(len(labels), domain, np.int32)}, labels

        return _Numbered(first + target.num_batches, load)


class _Numbered(keras.utils.PyDataset):
    """Batches by number.

    Args:
        count: How many; None for no end.
        load: Returns a batch.
    """

    def __init__(self, count: int | None, load: Callable[[int], Batch]) -> None:
        super().__init__(workers=2, max_queue_size=4)
        self._count = count
        self._load = load

    @property
    def num_batches(self) -> int | None:
        """Number of batches."""
        return self._count

    def __getitem__(self, index: int) -> Batch:
        """Returns a batch."""
        return self._load(index)

"""Batches for training and evaluation: arrays, `tf.data`, `keras.utils.PyDataset`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.pipelines.augment import (
    Augmentation,
    Mask,
    example_generator,
    pad_example,
)
from landslide_tf.pipelines.inputs import Inputs, InputSelection
from landslide_tf.pipelines.store import ExampleStore

if TYPE_CHECKING:
    import tensorflow as tf

    from landslide_tf.pipelines.sequences import EvaluationSequence, TrainingSequence

Batch = tuple[Inputs, Mask]


@dataclass
class TrainingBatches:
    """The endless, repeatable stream of training batches.

    A batch depends on (seed, epoch, step) alone. The ids of an epoch are drawn first;
    only the examples of the batch asked for are then read and augmented, so that a
    stream which starts at any step costs nothing for the steps before it.

    Attributes:
        store: Training examples.
        selection: Channels that become the model's inputs.
        batch_size: Examples a batch; an epoch's last, smaller batch is left out.
        seed: Seed of order, sampling and augmentation.
        augmentation: Changes the examples undergo.
        patch: Side of a random patch in pixels; None takes whole examples.
        draws: Times each example is drawn an epoch (with `patch`, another place).
        positive_fraction: Share of examples with landslide in every epoch, drawn with
            repetition where they are fewer; None draws each example equally often.
    """

    store: ExampleStore
    selection: InputSelection
    batch_size: int
    seed: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    patch: int | None = None
    draws: int = 1
    positive_fraction: float | None = None

    def __post_init__(self) -> None:
        """Refuses what could not make a single batch."""
        self.selection.check(self.store)
        if self.augmentation.scale is not None and self.patch is None:
            raise DataError(
                "`augmentation.scale` is a multiple of the patch: expected "
                "`training.patch`, received none."
            )
        total = len(self.store) * self.draws
        if self.batch_size > total:
            raise DataError(
                f"Expected a batch size of at most {total} (the examples of an epoch), "
                f"received {self.batch_size}."
            )
        if self.positive_fraction is not None:
            positive = int(self.store.positive.sum())
            if positive in (0, len(self.store)):
                raise DataError(
                    "`positive_fraction` needs examples with and without landslide; "
                    f"{positive} of {len(self.store)} have any."
                )
        channels = self.store.description.channels
        self._kinds = tuple(
            "aspect" if n == "aspect" and channels[n].unit == "degree" else "other"
            for n in self.selection.factors
        )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches an epoch."""
        return len(self.store) * self.draws // self.batch_size

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Returns the draws of an epoch: example number + examples × draw number."""
        generator = np.random.Generator(
            np.random.Philox(np.random.SeedSequence([self.seed, epoch]))
        )
        count, total = len(self.store), len(self.store) * self.draws
        if self.positive_fraction is None:
            return generator.permutation(total)
        wanted = round(self.positive_fraction * total)
        positive = self.store.positive
        numbers = np.concatenate(
            [
                _draw(generator, np.flatnonzero(positive), wanted),
                _draw(generator, np.flatnonzero(~positive), total - wanted),
            ]
        )
        # A repeated example is another draw of it, so that it is augmented anew.
        seen: dict[int, int] = {}
        for place, number in enumerate(numbers.tolist()):
            seen[number] = seen.get(number, -1) + 1
            numbers[place] = number + count * seen[number]
        return generator.permutation(numbers)

    def batch(self, epoch: int, step: int) -> Batch:
        """Returns one batch.

        Args:
            epoch: Epoch, 0-based.
            step: Step of the epoch, 0-based.

        Returns:
            `{"image": float32 (B, H, W, C)[, "factors": float32 (B, H, W, F)]}` and the
            labels, uint8 (B, H, W), 255 = ignore.
        """
        first = step * self.batch_size
        return self.load(epoch, self.order(epoch)[first : first + self.batch_size])

    def load(self, epoch: int, draws: NDArray[np.int64]) -> Batch:
        """Returns chosen draws of an epoch as a batch."""
        return collate([self._draw_example(epoch, int(d)) for d in draws])

    def _draw_example(self, epoch: int, draw: int) -> tuple[Inputs, Mask]:
        repeat, number = divmod(draw, len(self.store))
        example = self.store.examples[number]
        inputs = self.selection.inputs(example, self.store.description.channels)
        mask = example["mask"]
        name = self.store.ids[number]
        generator = example_generator(
            self.seed, epoch, f"{name}#{repeat}" if repeat else name
        )
        inputs, mask = self.augmentation.place(
            inputs, mask, self.patch, generator, self._kinds
        )
        return self.augmentation(inputs, mask, generator, self._kinds)

    def dataset(self, epoch: int = 0, step: int = 0) -> tf.data.Dataset:
        """Returns the endless stream from a given step on.

        Args:
            epoch: Epoch of the first batch.
            step: Step of the first batch in that epoch.

        Returns:
            A `tf.data.Dataset` of batches; use it with `steps_per_epoch`.
        """
        import tensorflow as tf

        steps = self.steps_per_epoch
        names = ["image"] + (["factors"] if self.selection.factors else [])

        def load(draws: NDArray[np.int64], epoch: int) -> list[NDArray]:
            inputs, labels = self.load(int(epoch), draws)
            return [*(inputs[n] for n in names), labels]

        def epoch_draws(epoch: int) -> NDArray[np.int64]:
            used = self.order(int(epoch))[: steps * self.batch_size]
            return used.reshape(steps, self.batch_size)

        def epoch_batches(number: tf.Tensor) -> tf.data.Dataset:
            draws = tf.numpy_function(epoch_draws, [number], tf.int64)
            draws.set_shape((steps, self.batch_size))
            batches = tf.data.Dataset.from_tensor_slices(draws)
            skipped = tf.where(tf.equal(number, epoch), step, 0)
            batches = batches.skip(tf.cast(skipped, tf.int64))
            return batches.map(lambda d: (d, number))

        def read(draws: tf.Tensor, number: tf.Tensor) -> tuple:
            types = [tf.float32] * len(names) + [tf.uint8]
            *values, labels = tf.numpy_function(load, [draws, number], types)
            side = self._static_side()
            channels = (len(self.selection.image), len(self.selection.factors))
            for value, depth in zip(values, channels, strict=False):
                value.set_shape((self.batch_size, *side, depth))
            labels.set_shape((self.batch_size, *self._label_side()))
            return dict(zip(names, values, strict=True)), labels

        far = np.iinfo(np.int64).max
        epochs = tf.data.Dataset.range(epoch, far).flat_map(epoch_batches)
        loaded = epochs.map(
            read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return loaded.prefetch(2)

    def py_dataset(self, epoch: int = 0, step: int = 0) -> TrainingSequence:
        """Returns the endless stream from a given step on, without TensorFlow.

        Args:
            epoch: Epoch of the first batch.
            step: Step of the first batch in that epoch.

        Returns:
            A `keras.utils.PyDataset` of the batches of `dataset`, for every backend of
            Keras; use it with `steps_per_epoch`.
        """
        from landslide_tf.pipelines.sequences import TrainingSequence

        return TrainingSequence(self, epoch, step)

    def _label_side(self) -> tuple[int | None, ...]:
        return self._static_side()

    def _static_side(self) -> tuple[int | None, int | None]:
        if self.patch is not None:
            return self.patch, self.patch
        sizes = self.store.sizes
        if len(sizes) > 1:
            return None, None
        height, width = next(iter(sizes))
        if self.augmentation.dihedral and height != width:
            return None, None
        return height, width


def _draw(
    generator: np.random.Generator, numbers: NDArray[np.int64], wanted: int
) -> NDArray[np.int64]:
    """Draws `wanted` numbers, each once before any comes again."""
    rounds = math.ceil(wanted / len(numbers))
    drawn = [generator.permutation(numbers) for _ in range(rounds)]
    return np.concatenate(drawn)[:wanted] if drawn else numbers[:0]


def collate(examples: Sequence[tuple[Inputs, Mask]]) -> Batch:
    """Stacks examples, padding unequal sizes with ignored pixels.

    Args:
        examples: Inputs and mask of each.

    Returns:
        The batch, as large as its largest example.
    """
    height = max(mask.shape[0] for _, mask in examples)
    width = max(mask.shape[1] for _, mask in examples)
    padded = [pad_example(inputs, mask, height, width) for inputs, mask in examples]
    inputs = {
        key: np.stack([example[key] for example, _ in padded]) for key in padded[0][0]
    }
    return inputs, np.stack([mask for _, mask in padded])


@dataclass(frozen=True)
class EvaluationBatches:
    """Every example of a store once, whole, in order.

    Only examples of one size share a batch: padding would reach the prediction of
    networks with a global pool.

    Attributes:
        store: Examples.
        selection: Channels that become the model's inputs.
        batch_size: Most examples a batch.
    """

    store: ExampleStore
    selection: InputSelection
    batch_size: int = 8

    def __post_init__(self) -> None:
        """Refuses channels the data set does not have."""
        self.selection.check(self.store)

    def numbers(self) -> list[list[int]]:
        """Returns the example numbers of each batch."""
        groups: list[list[int]] = []
        last = None
        for number, example in enumerate(self.store.examples):
            size = example["mask"].shape
            if size != last or len(groups[-1]) == self.batch_size:
                groups.append([])
            groups[-1].append(number)
            last = size
        return groups

    def __len__(self) -> int:
        """Returns the number of batches."""
        return len(self.numbers())

    def __iter__(self) -> Iterator[Batch]:
        """Yields inputs and labels of each batch."""
        for group in self.numbers():
            yield self.load(group)

    def load(self, numbers: Sequence[int]) -> Batch:
        """Returns chosen examples of one size as a batch."""
        channels = self.store.description.channels
        chosen = [self.store.examples[n] for n in numbers]
        return collate(
            [(self.selection.inputs(e, channels), e["mask"]) for e in chosen]
        )

    def dataset(self) -> tf.data.Dataset:
        """Returns the batches as a finite `tf.data.Dataset`, for Keras's validation."""
        import tensorflow as tf

        inputs = {
            "image": tf.TensorSpec(
                (None, None, None, len(self.selection.image)), tf.float32
            )
        }
        if self.selection.factors:
            inputs["factors"] = tf.TensorSpec(
                (None, None, None, len(self.selection.factors)), tf.float32
            )
        labels = tf.TensorSpec((None, *self._label_side()), tf.uint8)
        stream = tf.data.Dataset.from_generator(
            lambda: iter(self), output_signature=(inputs, labels)
        )
        stream = stream.apply(tf.data.experimental.assert_cardinality(len(self)))
        return stream.prefetch(2)

    def _label_side(self) -> tuple[None, ...]:
        return None, None

    def py_dataset(self) -> EvaluationSequence:
        """Returns the batches as a `keras.utils.PyDataset`, without TensorFlow."""
        from landslide_tf.pipelines.sequences import EvaluationSequence

        return EvaluationSequence(self)

"""Batches of segmentation: a class for every pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.pipelines.augment import (
    Augmentation,
    Mask,
    example_generator,
    pad_example,
)
from landslide_tf.pipelines.batches import (
    ArraySpec,
    DrawnBatches,
    GroupedBatches,
    Specs,
    stacked,
)
from landslide_tf.pipelines.inputs import Inputs, InputSelection
from landslide_tf.pipelines.store import ExampleStore

Batch: TypeAlias = tuple[Inputs, Mask]


@dataclass
class TrainingBatches(DrawnBatches[Batch]):
    """Training data of segmentation: `image`, perhaps `factors`, and uint8 masks.

    The ids of an epoch are drawn first; only the examples of the batch asked for are
    then read and augmented, so that a stream which starts at any step costs nothing
    for the steps before it.

    Attributes:
        store: Training examples.
        selection: Channels that become the model's inputs.
        batch_size: Examples a batch; an epoch's last, smaller batch is left out.
        seed: Seed of order, sampling and augmentation.
        augmentation: Changes the examples undergo.
        patch: Side of a random patch in pixels; None takes whole examples.
        draws: Times each example is drawn an epoch (with `patch`, another place).
        steps: Batches of an epoch, which goes on where the one before it stopped: every
            example comes before any comes again; None draws all in every epoch.
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
    steps: int | None = None

    def __post_init__(self) -> None:
        """Refuses what could not make a single batch."""
        self.selection.check(self.store)
        if self.augmentation.scale is not None and self.patch is None:
            raise DataError(
                "`augmentation.scale` is a multiple of the patch: expected "
                "`training.patch`, received none."
            )
        if self.steps is not None and self.draws != 1:
            raise DataError(
                "`training.steps` says how long an epoch is: expected `training.draws` "
                f"of 1 beside it, received {self.draws}."
            )
        total = len(self.store) * self.draws
        if self.steps is None and self.batch_size > total:
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
        self._colours = self.selection.colours
        if not self._colours and (
            self.augmentation.brightness or self.augmentation.contrast
        ):
            raise DataError(
                "`augmentation.brightness` and `contrast` change red, green and blue, "
                f"received the bands {', '.join(self.selection.image)}: leave them out."
            )
        channels = self.store.description.channels
        self._kinds = tuple(
            "aspect" if n == "aspect" and channels[n].unit == "degree" else "other"
            for n in self.selection.factors
        )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches an epoch."""
        if self.steps is not None:
            return self.steps
        return len(self.store) * self.draws // self.batch_size

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Returns the draws of an epoch: example number + examples × draw number."""
        generator = np.random.Generator(
            np.random.Philox(np.random.SeedSequence([self.seed, epoch]))
        )
        total = len(self.store) * self.draws
        if self.steps is not None:
            total = self.steps * self.batch_size
        if self.positive_fraction is None:
            if self.steps is None:
                return generator.permutation(total)
            return self._numbered(self._continued(epoch, total))
        wanted = round(self.positive_fraction * total)
        positive = self.store.positive
        numbers = np.concatenate(
            [
                _draw(generator, np.flatnonzero(positive), wanted),
                _draw(generator, np.flatnonzero(~positive), total - wanted),
            ]
        )
        return generator.permutation(self._numbered(numbers))

    def _continued(self, epoch: int, total: int) -> NDArray[np.int64]:
        """Returns an epoch's part of rounds in which every example comes once."""
        count, first = len(self.store), epoch * total
        rounds = range(first // count, (first + total - 1) // count + 1)
        orders = [
            np.random.Generator(
                np.random.Philox(np.random.SeedSequence([self.seed, number, 1]))
            ).permutation(count)
            for number in rounds
        ]
        return np.concatenate(orders)[first % count :][:total]

    def _numbered(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Makes a repeated example another draw of it, so that it is augmented anew."""
        seen: dict[int, int] = {}
        for place, number in enumerate(numbers.tolist()):
            seen[number] = seen.get(number, -1) + 1
            numbers[place] = number + len(self.store) * seen[number]
        return numbers

    @property
    def inputs(self) -> Specs:
        """The arrays that a network takes, by name."""
        return self.selection.specs(*self._side())

    @property
    def labels(self) -> ArraySpec:
        """Class of each pixel, 255 = ignore."""
        return ArraySpec(self._side(), "uint8")

    def load(self, epoch: int, draws: Sequence[int]) -> Batch:
        """Returns chosen draws of an epoch as a batch."""
        return collate([self._draw_example(epoch, draw) for draw in draws])

    def _draw_example(self, epoch: int, draw: int) -> tuple[Inputs, Mask]:
        number, generator = self._drawn(epoch, draw)
        example = self.store.examples[number]
        inputs = self.selection.inputs(example, self.store.description.channels)
        inputs, mask = self.augmentation.place(
            inputs, example["mask"], self.patch, generator, self._kinds
        )
        return self.augmentation(inputs, mask, generator, self._kinds, self._colours)

    def _drawn(self, epoch: int, draw: int) -> tuple[int, np.random.Generator]:
        """Returns the number of a draw's example, and the draw's random stream."""
        repeat, number = divmod(draw, len(self.store))
        name = self.store.ids[number]
        if repeat:
            name = f"{name}#{repeat}"
        return number, example_generator(self.seed, epoch, name)

    def _side(self) -> tuple[int | None, int | None]:
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
        key: stacked([example[key] for example, _ in padded]) for key in padded[0][0]
    }
    return inputs, stacked([mask for _, mask in padded])


@dataclass(frozen=True)
class EvaluationBatches(GroupedBatches[Batch]):
    """Evaluation data of segmentation: every example of a store whole, in order.

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

    @property
    def inputs(self) -> Specs:
        """The arrays that a network takes, by name."""
        return self.selection.specs(None, None)

    @property
    def labels(self) -> ArraySpec:
        """Class of each pixel, 255 = ignore."""
        return ArraySpec((None, None), "uint8")

    def numbers(self) -> list[list[int]]:
        """Returns the example numbers of each batch."""
        groups: list[list[int]] = []
        last = None
        for number, size in enumerate(self.store.shapes):
            if size != last or len(groups[-1]) == self.batch_size:
                groups.append([])
            groups[-1].append(number)
            last = size
        return groups

    def load(self, numbers: Sequence[int]) -> Batch:
        """Returns chosen examples of one size as a batch."""
        channels = self.store.description.channels
        chosen = [self.store.examples[n] for n in numbers]
        return collate(
            [(self.selection.inputs(e, channels), e["mask"]) for e in chosen]
        )


@dataclass(frozen=True)
class PermutedBatches(EvaluationBatches):
    """Evaluation data in which a part of the inputs is that of another example.

    The other example is far away in the order of the data set, where neighbours are
    alike. What scores lose is what a model takes from that part.

    Attributes:
        permuted: `image`, `factors`, or one of their channels.
    """

    permuted: str = field(kw_only=True)

    def __post_init__(self) -> None:
        """Refuses a part that the inputs do not have, and examples of several sizes."""
        super().__post_init__()
        self._place()
        if len(self.store) < 2 or len(self.store.sizes) > 1:
            raise DataError("`permute` needs at least two examples, all of one size.")

    def load(self, numbers: Sequence[int]) -> Batch:
        """Returns chosen examples of one size as a batch."""
        inputs, labels = super().load(numbers)
        half, total = len(self.store) // 2, len(self.store)
        others, _ = super().load([(number + half) % total for number in numbers])
        name, channels = self._place()
        inputs[name][..., channels] = others[name][..., channels]
        return inputs, labels

    def _place(self) -> tuple[str, slice | int]:
        """Returns the input that holds the permuted part, and its channels there."""
        names = {"image": self.selection.image, "factors": self.selection.factors}
        if names.get(self.permuted):
            return self.permuted, slice(None)
        for name, channels in names.items():
            if self.permuted in channels:
                return name, channels.index(self.permuted)
        known = [f"{name} ({', '.join(own)})" for name, own in names.items() if own]
        raise DataError(
            f"The model has no input, band or factor `{self.permuted}` to permute; it "
            f"has {' and '.join(known)}."
        )

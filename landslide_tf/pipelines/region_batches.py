"""Batches of a region's examples, with what was recorded of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.pipelines.augment import Mask
from landslide_tf.pipelines.batches import (
    Arrays,
    ArraySpec,
    DrawnBatches,
    GroupedBatches,
    Specs,
    consecutive,
    stacked,
)

# {"image": …}, {"mask": …[, "responses": …]}
RegionBatch: TypeAlias = tuple[Arrays, Arrays]


class SizedExamples(Protocol):
    """Examples that all have one size, such as `RegionExamples`."""

    @property
    def size(self) -> int:
        """Height and width of each example, pixels."""

    @property
    def bands(self) -> int:
        """Channels of each image."""

    def __len__(self) -> int:
        """Returns the number of examples and copies."""

    def load(self, number: int) -> tuple[FloatArray, Mask]:
        """Returns image (size, size, bands) and mask (size, size)."""


@dataclass(frozen=True)
class RegionBatches(DrawnBatches[RegionBatch]):
    """Training data of a region: examples and copies in batches of one size.

    Inputs are `image`, labels `mask` and, where there are any, `responses`.

    Attributes:
        examples: The examples.
        batch_size: Most examples a batch.
        seed: Seed of the order.
        responses: Recorded probabilities, one float array (examples and copies, H, W)
            a decoder.
    """

    examples: SizedExamples
    batch_size: int
    seed: int = 0
    responses: Sequence[FloatArray] = ()

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches an epoch.

        Raises:
            DataError: If there are fewer examples than a batch takes.
        """
        count = len(self.examples)
        if count < self.batch_size:
            raise DataError(
                f"Expected a batch size of at most {count} (the examples of an epoch), "
                f"received {self.batch_size}."
            )
        return count // self.batch_size

    @property
    def inputs(self) -> Specs:
        """The image."""
        examples = self.examples
        return {"image": ArraySpec((examples.size, examples.size, examples.bands))}

    @property
    def labels(self) -> Specs:
        """The mask, and what decoders said of the image."""
        side = (self.examples.size, self.examples.size)
        found = {"mask": ArraySpec(side, "uint8")}
        if self.responses:
            found["responses"] = ArraySpec((*side, len(self.responses)))
        return found

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Returns the order of an epoch, which depends on (seed, epoch) alone."""
        seeds = np.random.SeedSequence([self.seed, epoch])
        generator = np.random.Generator(np.random.Philox(seeds))
        return generator.permutation(len(self.examples))

    def load(self, epoch: int, draws: Sequence[int]) -> RegionBatch:
        """Returns chosen examples and copies as a batch; the epoch does not matter."""
        del epoch
        return self.read(draws)

    def read(self, numbers: Sequence[int]) -> RegionBatch:
        """Returns chosen examples and copies as a batch.

        Args:
            numbers: Numbers as `RegionExamples.load` takes them.

        Returns:
            `{"image": float32 (B, H, W, C)}` and `{"mask": uint8 (B, H, W)}`, with
            `"responses"` float32 (B, H, W, decoders) where there are any.
        """
        images, masks = zip(*(self.examples.load(n) for n in numbers), strict=True)
        labels: dict[str, NDArray[np.generic]] = {"mask": stacked(masks)}
        if self.responses:
            chosen = np.asarray(numbers)
            recorded = [part[chosen].astype(np.float32) for part in self.responses]
            labels["responses"] = stacked(recorded, -1)
        return {"image": stacked(images)}, labels


@dataclass(frozen=True)
class WholeRegion(GroupedBatches[RegionBatch]):
    """Evaluation data of a region: every example and copy once, in order.

    Attributes:
        batches: The examples and the batch size.
    """

    batches: RegionBatches

    @property
    def inputs(self) -> Specs:
        """As those of the batches."""
        return self.batches.inputs

    @property
    def labels(self) -> Specs:
        """As those of the batches."""
        return self.batches.labels

    def numbers(self) -> list[list[int]]:
        """Returns the numbers of each batch."""
        return consecutive(len(self.batches.examples), self.batches.batch_size)

    def load(self, numbers: Sequence[int]) -> RegionBatch:
        """Returns chosen examples and copies as a batch."""
        return self.batches.read(numbers)

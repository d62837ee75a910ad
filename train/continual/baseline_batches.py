"""Batches of the baselines that see more than one region.

They extend the batches of one region; `training` chooses among both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.pipelines import RegionBatches, RegionExamples, WholeRegion
from landslide_tf.pipelines.augment import Mask
from landslide_tf.pipelines.batches import ArraySpec, Specs
from landslide_tf.pipelines.region_batches import RegionBatch


@dataclass(frozen=True)
class JoinedExamples:
    """The examples of several regions, one region after the other.

    Attributes:
        parts: The regions' examples.
    """

    parts: tuple[RegionExamples, ...]

    @property
    def size(self) -> int:
        """Height and width of each example, pixels."""
        return self.parts[0].size

    @property
    def bands(self) -> int:
        """Channels of each image."""
        return self.parts[0].bands

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Number of the first example behind each region."""
        return np.cumsum([len(part) for part in self.parts])

    def __len__(self) -> int:
        """Returns the number of examples and copies of all regions."""
        return int(self.ends[-1])

    def region(self, number: int) -> int:
        """Returns the place of the region that an example is of."""
        return int(np.searchsorted(self.ends, number, side="right"))

    def load(self, number: int) -> tuple[FloatArray, Mask]:
        """Returns an example or copy as `RegionExamples.load` does."""
        part = self.region(number)
        return self.parts[part].load(number - int(self.ends[part]))

    def numbers(self, part: int) -> NDArray[np.int64]:
        """Returns the numbers of one region's examples."""
        end = int(self.ends[part])
        return np.arange(end - len(self.parts[part]), end)


@dataclass(frozen=True)
class RegionwiseBatches(RegionBatches):
    """Examples of several regions in batches that each are of one region.

    Attributes:
        examples: The examples.
        batch_size: Examples a training batch, most of a validation batch.
        seed: Seed of the order.
        balance: Whether every region has equally many training batches; otherwise as
            many as its examples make.
    """

    examples: JoinedExamples
    balance: bool = field(default=False, kw_only=True)

    @cached_property
    def shares(self) -> list[int]:
        """Training batches an epoch by region."""
        whole = [len(part) // self.batch_size for part in self.examples.parts]
        for part, batches in zip(self.examples.parts, whole, strict=True):
            if not batches:
                raise DataError(
                    f"Expected a batch size of at most {len(part)} (the examples of a "
                    f"region), received {self.batch_size}."
                )
        if self.balance:
            return [max(1, round(sum(whole) / len(whole)))] * len(whole)
        return whole

    @property
    def inputs(self) -> Specs:
        """The image, and the place of its region."""
        return {**super().inputs, "region": ArraySpec((), "int32")}

    @property
    def steps_per_epoch(self) -> int:
        """Training batches an epoch."""
        return sum(self.shares)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Returns the order of an epoch, which depends on (seed, epoch) alone."""
        seeds = np.random.SeedSequence([self.seed, epoch])
        generator = np.random.Generator(np.random.Philox(seeds))
        batches = []
        for part, share in enumerate(self.shares):
            own, needed = self.examples.numbers(part), share * self.batch_size
            rounds = -(-needed // len(own))
            drawn = np.concatenate([generator.permutation(own) for _ in range(rounds)])
            batches += list(drawn[:needed].reshape(share, self.batch_size))
        return np.concatenate([batches[k] for k in generator.permutation(len(batches))])

    def read(self, numbers: Sequence[int]) -> RegionBatch:
        """Returns examples of one region as a batch.

        Args:
            numbers: Numbers of examples of one region.

        Returns:
            As of `RegionBatches`, with `"region"` int32 (B,), the region's place.
        """
        images, labels = super().read(numbers)
        region = np.full(len(numbers), self.examples.region(numbers[0]), np.int32)
        return {**images, "region": region}, labels


@dataclass(frozen=True)
class WholeRegions(WholeRegion):
    """Every example of several regions once, in batches that each are of one region.

    Attributes:
        batches: The examples and the batch size.
    """

    batches: RegionwiseBatches

    def numbers(self) -> list[list[int]]:
        """Returns the numbers of each batch."""
        joined, size = self.batches.examples, self.batches.batch_size
        own = [joined.numbers(part).tolist() for part in range(len(joined.parts))]
        return [n[k : k + size] for n in own for k in range(0, len(n), size)]


@dataclass(frozen=True)
class Buffer:
    """A few examples of every old region.

    Attributes:
        examples: The old regions' examples.
        numbers: The kept ones.
    """

    examples: JoinedExamples
    numbers: tuple[int, ...]

    @classmethod
    def draw(cls, parts: Sequence[RegionExamples], most: int, seed: int) -> Buffer:
        """Draws examples, never their copies, of each region.

        Args:
            parts: The old regions' training examples.
            most: Examples a region; all of a smaller one.
            seed: Of the draw; a region's draw does not depend on later regions.
        """
        joined = JoinedExamples(tuple(parts))
        kept: list[int] = []
        for place, part in enumerate(parts):
            generator = np.random.default_rng([seed, place])
            chosen = generator.permutation(len(part.store))[:most]
            kept += (joined.numbers(place)[chosen * part.copies]).tolist()
        return cls(joined, tuple(kept))


@dataclass(frozen=True)
class ReplayBatches(RegionBatches):
    """Batches of a new region, each with one drawn from a buffer of old examples.

    Attributes:
        examples: The new region's examples.
        batch_size: New examples a batch, and old ones.
        seed: Seed of the order, and of the draws from the buffer.
        buffer: The old examples.
    """

    buffer: Buffer = field(kw_only=True)

    @property
    def inputs(self) -> Specs:
        """The images, and the place of each old one's region."""
        image = super().inputs["image"]
        old = {"old_image": image, "old_region": ArraySpec((), "int32")}
        return {"image": image, **old}

    @property
    def labels(self) -> Specs:
        """The masks."""
        return {**super().labels, "old_mask": super().labels["mask"]}

    def load(self, epoch: int, draws: Sequence[int]) -> RegionBatch:
        """Returns a batch of new examples with old ones.

        Returns:
            As of `RegionBatches`, with `"old_image"` and `"old_region"` (places among
            the old regions), and `"old_mask"`.
        """
        images, labels = self.read(draws)
        # The first draw tells the batches of an epoch apart.
        generator = np.random.default_rng([self.seed, epoch, int(draws[0])])
        numbers = self.buffer.numbers
        few = len(numbers) < self.batch_size
        chosen = generator.choice(numbers, self.batch_size, replace=few).tolist()
        joined = self.buffer.examples
        old, masks = RegionBatches(joined, self.batch_size).read(chosen)
        region = np.array([joined.region(n) for n in chosen], np.int32)
        return (
            {**images, "old_image": old["image"], "old_region": region},
            {**labels, "old_mask": masks["mask"]},
        )

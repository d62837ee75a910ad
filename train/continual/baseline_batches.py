"""Batches of the baselines that see more than one region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.pipelines import RegionBatches, RegionExamples
from landslide_tf.pipelines.augment import Mask
from landslide_tf.pipelines.batches import (
    Arrays,
    ArraySpec,
    DrawnBatches,
    GroupedBatches,
    Specs,
)

Batch: TypeAlias = tuple[Arrays, Arrays]


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
class RegionwiseBatches(DrawnBatches[Batch]):
    """Examples of several regions in batches that each are of one region.

    Attributes:
        examples: The examples.
        batch_size: Examples a training batch, most of a validation batch.
        seed: Seed of the order.
        balance: Whether every region has equally many training batches; otherwise as
            many as its examples make.
    """

    examples: JoinedExamples
    batch_size: int
    seed: int = 0
    balance: bool = False

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
        side = self.examples.size
        image = ArraySpec((side, side, self.examples.bands))
        return {"image": image, "region": ArraySpec((), "int32")}

    @property
    def labels(self) -> Specs:
        """The mask."""
        return {"mask": ArraySpec((self.examples.size,) * 2, "uint8")}

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

    def load(self, epoch: int, draws: Sequence[int]) -> Batch:
        """Returns examples of one region as a batch; the epoch does not matter.

        Args:
            epoch: The epoch.
            draws: Numbers of examples of one region.

        Returns:
            `{"image": float32 (B, H, W, C), "region": int32 (B,)}` with the region's
            place, and `{"mask": uint8 (B, H, W)}`.
        """
        del epoch
        images, masks = zip(*(self.examples.load(int(n)) for n in draws), strict=True)
        region = np.full(len(images), self.examples.region(int(draws[0])), np.int32)
        return {"image": np.stack(images), "region": region}, {"mask": np.stack(masks)}


@dataclass(frozen=True)
class WholeRegions(GroupedBatches[Batch]):
    """Every example of several regions once, in batches that each are of one region.

    Attributes:
        batches: The examples and the batch size.
    """

    batches: RegionwiseBatches

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
        joined, size = self.batches.examples, self.batches.batch_size
        found = []
        for part in range(len(joined.parts)):
            own = joined.numbers(part)
            found += [own[k : k + size].tolist() for k in range(0, len(own), size)]
        return found

    def load(self, numbers: Sequence[int]) -> Batch:
        """Returns a batch."""
        return self.batches.load(0, numbers)


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
class ReplayBatches(DrawnBatches[Batch]):
    """Batches of a new region, each with one drawn from a buffer of old examples.

    Attributes:
        new: The new region's batches.
        buffer: The old examples.
    """

    new: RegionBatches
    buffer: Buffer

    @property
    def batch_size(self) -> int:  # type: ignore[override]  # read, never set
        """New examples a batch, and old ones."""
        return self.new.batch_size

    @property
    def inputs(self) -> Specs:
        """The images, and the place of each old one's region."""
        image = self.new.inputs["image"]
        old = {"old_image": image, "old_region": ArraySpec((), "int32")}
        return {"image": image, **old}

    @property
    def labels(self) -> Specs:
        """The masks."""
        return {**self.new.labels, "old_mask": self.new.labels["mask"]}

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch."""
        return self.new.steps_per_epoch

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Returns the order of the new examples."""
        return self.new.order(epoch)

    def load(self, epoch: int, draws: Sequence[int]) -> Batch:
        """Returns a batch of new examples with old ones.

        Returns:
            As of `RegionBatches`, with `"old_image"` and `"old_region"` (places among
            the old regions), and `"old_mask"`.
        """
        images, labels = self.new.load(epoch, draws)
        # The first draw tells the batches of an epoch apart.
        generator = np.random.default_rng([self.new.seed, epoch, int(draws[0])])
        numbers = self.buffer.numbers
        few = len(numbers) < self.batch_size
        chosen = generator.choice(numbers, self.batch_size, replace=few)
        joined = self.buffer.examples
        loaded = [joined.load(int(n)) for n in chosen]
        old = {
            "old_image": np.stack([image for image, _ in loaded]),
            "old_region": np.array([joined.region(int(n)) for n in chosen], np.int32),
        }
        masks = np.stack([mask for _, mask in loaded])
        return {**images, **old}, {**labels, "old_mask": masks}

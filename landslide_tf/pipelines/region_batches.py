"""Batches of a region's examples, with what was recorded of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.pipelines.region_examples import RegionExamples

if TYPE_CHECKING:
    from landslide_tf.pipelines.sequences import EvaluationSequence, TrainingSequence

# {"image": …}, {"mask": …[, "responses": …]}
RegionBatch = tuple[dict[str, FloatArray], dict[str, NDArray]]


@dataclass(frozen=True)
class RegionBatches:
    """Examples and copies of a region in batches of one size.

    Attributes:
        examples: The examples.
        batch_size: Most examples a batch.
        seed: Seed of the order.
        responses: Recorded probabilities, one float array (examples and copies, H, W)
            a decoder.
    """

    examples: RegionExamples
    batch_size: int
    seed: int = 0
    responses: Sequence[FloatArray] = ()

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches an epoch."""
        return len(self.examples) // self.batch_size

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
        images, masks = zip(*(self.examples.load(int(n)) for n in numbers), strict=True)
        labels = {"mask": np.stack(masks)}
        if self.responses:
            recorded = [part[np.asarray(numbers)] for part in self.responses]
            labels["responses"] = np.stack(recorded, -1).astype(np.float32)
        return {"image": np.stack(images)}, labels

    def training(self, epoch: int = 0, step: int = 0) -> TrainingSequence:
        """Returns the endless stream from a given step on, for Keras's `fit`.

        Raises:
            DataError: If there are fewer examples than a batch takes.
        """
        if not self.steps_per_epoch:
            raise DataError(
                f"Expected a batch size of at most {len(self.examples)} (the examples "
                f"of an epoch), received {self.batch_size}."
            )
        from landslide_tf.pipelines.sequences import TrainingSequence

        return TrainingSequence(self, epoch, step)


@dataclass(frozen=True)
class WholeRegion:
    """Every example and copy once, in order.

    Attributes:
        batches: The examples and the batch size.
    """

    batches: RegionBatches

    def numbers(self) -> list[list[int]]:
        """Returns the numbers of each batch."""
        total, size = len(self.batches.examples), self.batches.batch_size
        return [list(range(k, min(k + size, total))) for k in range(0, total, size)]

    def load(self, numbers: Sequence[int]) -> RegionBatch:
        """Returns a batch."""
        return self.batches.read(numbers)

    def sequence(self) -> EvaluationSequence:
        """Returns the batches for Keras's `evaluate` and `validation_data`."""
        from landslide_tf.pipelines.sequences import EvaluationSequence

        return EvaluationSequence(self)

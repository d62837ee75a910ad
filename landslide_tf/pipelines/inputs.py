"""From an example of a data set to the inputs of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.pipelines.batches import ArraySpec, Specs
from landslide_tf.pipelines.store import Channel, Example, ExampleStore
from landslide_tf.raster.band_names import colour_of

Inputs = dict[str, NDArray[np.float32]]
FactorKind = str | tuple[str, float, float]

COLOURS = ("red", "green", "blue")
# A factor the models know how to encode, with the unit they expect.
ENCODED = {"slope": "degree", "aspect": "degree", "ndvi": "1"}


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean, standard deviation and median of a channel over the training split."""

    mean: float
    std: float
    median: float


@dataclass(frozen=True)
class InputSelection:
    """Which channels of a data set become `image` and `factors`.

    Attributes:
        image: Channel names of the model's `image`, in order.
        factors: Channel names of the model's `factors`, in order; may be empty.
        image_scale: `image` is the raw value times this (255 brings 0..1 to 8 bit).
        fill: Value put where a channel has none, by channel name; a factor without
            one becomes NaN there.
    """

    image: tuple[str, ...]
    factors: tuple[str, ...] = ()
    image_scale: float = 1.0
    fill: Mapping[str, float] = field(default_factory=dict)

    def check(self, store: ExampleStore) -> None:
        """Raises DataError for a channel that the data set does not have."""
        channels = store.description.channels
        for name in (*self.image, *self.factors):
            if name not in channels:
                raise DataError(
                    f"Data set `{store.description.name}` has no band or factor "
                    f"`{name}`.{did_you_mean(name, channels)}"
                )

    @property
    def colours(self) -> tuple[int, ...]:
        """Places of red, green and blue among the bands of `image`."""
        named = [colour_of(name) for name in self.image]
        return tuple(k for k, name in enumerate(named) if name in COLOURS)

    def specs(self, height: int | None, width: int | None) -> Specs:
        """Describes the inputs of a batch of a given size, None where sizes differ."""
        found = {"image": ArraySpec((height, width, len(self.image)))}
        if self.factors:
            found["factors"] = ArraySpec((height, width, len(self.factors)))
        return found

    def inputs(self, example: Example, channels: Mapping[str, Channel]) -> Inputs:
        """Makes the model's inputs of one example.

        Args:
            example: One example of the data set.
            channels: The data set's channels, by name.

        Returns:
            `image` float32 (H, W, C) and, where factors are chosen, `factors`
            float32 (H, W, F), NaN = no value.
        """
        image = self._stack(example, [channels[n] for n in self.image])
        if self.image_scale != 1.0:
            image *= np.float32(self.image_scale)
        result = {"image": image}
        if self.factors:
            result["factors"] = self._stack(
                example, [channels[n] for n in self.factors]
            )
        return result

    def _stack(
        self, example: Example, channels: Sequence[Channel]
    ) -> NDArray[np.float32]:
        height, width = example["image"].shape[:2]
        # Each channel lies together: everything that is done to it is faster.
        out = np.empty((len(channels), height, width), np.float32)
        for new, channel in zip(out, channels, strict=True):
            new[:] = channel_values(example, channel, self.fill.get(channel.name))
        return np.moveaxis(out, 0, -1)

    def factor_kinds(
        self,
        channels: Mapping[str, Channel],
        statistics: Mapping[str, ChannelStatistics],
    ) -> tuple[FactorKind, ...]:
        """Returns the `factors=` argument of a model for this selection.

        Slope and aspect in degrees and NDVI are encoded by name; any other channel
        is standardised with the training statistics.
        """
        kinds: list[FactorKind] = []
        for name in self.factors:
            if ENCODED.get(name) == channels[name].unit:
                kinds.append(name)
            else:
                s = statistics[name]
                kinds.append(("standardise", s.mean, s.std))
        return tuple(kinds)


def channel_values(
    example: Example, channel: Channel, fill: float | None
) -> NDArray[np.float32]:
    """Returns one channel with missing values replaced.

    Args:
        example: One example of the data set.
        channel: The channel.
        fill: Value for pixels that have none; None leaves NaN.

    Returns:
        float32 (H, W).
    """
    raw = example[channel.feature][..., channel.index]
    values = np.asarray(raw, np.float32)
    if raw.dtype.kind in "bu" and channel.nodata is None:
        return values
    missing = np.isnan(values)
    if channel.nodata is not None:
        missing |= values == np.float32(channel.nodata)
    if not missing.any():
        return values
    return np.where(missing, np.float32(np.nan if fill is None else fill), values)


def class_shares(store: ExampleStore) -> NDArray[np.float64]:
    """Returns the share of each class among all labelled pixels, float64 (C,)."""
    counts = store.overview.labels.sum(axis=0)
    return counts / max(1, counts.sum())

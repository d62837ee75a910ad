"""The rule by which a width multiplier changes channel counts."""

from __future__ import annotations

import math

from landslide_tf.errors import ModelError


def scaled_channels(channels: int, width: float) -> int:
    """Scales a channel count to a multiple of 8, never below 8.

    Args:
        channels: Channel count at width 1.
        width: Width multiplier, above 0; 1 leaves the count as it is.

    Returns:
        `channels` for width 1, else `max(8, 8 * floor(channels * width / 8 + 0.5))`.

    Raises:
        ModelError: If `width` is not a positive number.
    """
    if isinstance(width, bool) or not isinstance(width, int | float) or width <= 0:
        raise ModelError(
            f"`width` must be a number above 0 (1 = as published), received {width!r}."
        )
    if width == 1:
        return channels
    return max(8, 8 * math.floor(channels * width / 8 + 0.5))

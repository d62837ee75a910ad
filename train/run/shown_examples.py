"""Examples that a picture shows, and their colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.pipelines import ExampleStore


def examples_to_show(store: ExampleStore, wanted: int) -> list[int]:
    """Returns example numbers spread evenly over those that show landslides.

    Args:
        store: The examples.
        wanted: How many; all where there are fewer.

    Returns:
        Ascending numbers, the same for the same store.
    """
    candidates = np.flatnonzero(store.positive)
    if len(candidates) < wanted:
        candidates = np.arange(len(store))
    places = np.linspace(0, len(candidates) - 1, min(wanted, len(candidates)))
    return candidates[places.round().astype(int)].tolist()


def rgb_image(image: FloatArray, bands: Sequence[str]) -> NDArray[np.uint8]:
    """Returns the bands named red, green and blue; the first one for an absent one.

    Args:
        image: Input of a model, (H, W, bands), values to show in 0..255.
        bands: Name of each band.

    Returns:
        uint8 (H, W, 3).
    """
    names = list(bands)
    rgb = [names.index(n) if n in names else 0 for n in ("red", "green", "blue")]
    return np.clip(image[..., rgb], 0, 255).astype(np.uint8)

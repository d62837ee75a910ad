"""Probabilities on a page: their picture, their colours and how often they occur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from landslide_tf.raster.opening import open_raster
from landslide_tf.report.map.layers import Overview, picture_uri

BINS = 100
_COLOURS = "magma"
_SAME = 1e-6  # of a bin: a probability of 0.29 is not below 0.29


@dataclass(frozen=True)
class Histogram:
    """How often probabilities occur.

    Attributes:
        counts: Number in each of `BINS` bins of equal width from 0 to 1, which hold
            their lower end, and last the number of those that are 1.
    """

    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: NDArray[np.floating] | Sequence[float]) -> Histogram:
        """Counts probabilities; those that are not finite are left out."""
        known = np.asarray(values, np.float64)
        known = known[np.isfinite(known)]
        bins = np.clip(np.floor(known * BINS + _SAME), 0, BINS).astype(int)
        return cls(tuple(np.bincount(bins, minlength=BINS + 1).tolist()))

    def heights(self, *, log: bool = False) -> list[float]:
        """Returns the height of each of `BINS` bars from 0 to 1; the last holds 1 too.

        Args:
            log: Whether heights go with the logarithm, so that a few landslides are
                seen beside much stable ground.
        """
        counts = np.array(self.counts[:-1], float)
        counts[-1] += self.counts[-1]
        shown = np.log1p(counts) if log else counts
        return [round(h, 3) for h in (shown / max(shown.max(), 1e-12)).tolist()]


def colour_ramp() -> list[tuple[int, int, int]]:
    """Returns the colours of probabilities from 0 to 1, as many as a legend shows."""
    colours = matplotlib.colormaps[_COLOURS](range(0, 256, 17), bytes=True)
    return [(red, green, blue) for red, green, blue, _ in colours.tolist()]


def probability_layer(overview: Overview, path: str | Path) -> tuple[str, Histogram]:
    """Draws the probability of landslides, 0 dark to 1 bright, and counts it.

    Args:
        overview: The grid.
        path: A file of `mapping.map_scene`: one band, or one a class.

    Returns:
        A picture as a data URI, and the histogram of the overview's cells.
    """
    with open_raster(path, "probabilities") as dataset:
        tags, scales = dataset.tags(), dataset.scales
        index = 1 if dataset.count == 1 else 1 + int(tags.get("LANDSLIDE_CLASS", 0))
    band, valid = overview.read(path, "probabilities", index, Resampling.average)
    part = np.clip(np.where(valid, band, 0) * scales[index - 1], 0, 1)
    colours = matplotlib.colormaps[_COLOURS](part, bytes=True)
    return picture_uri(colours[..., :3], valid), Histogram.of(part[valid])

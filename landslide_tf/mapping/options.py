"""What a map is to be: files and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from landslide_tf.errors import DataError, did_you_mean

Shown = Literal["landslide", "all"]
Stored = Literal["uint8", "float32"]


@dataclass(frozen=True)
class Outputs:
    """Files to write; those that are None are not.

    Attributes:
        map: Class map, a cloud optimised GeoTIFF.
        probabilities: Probabilities, likewise.
        uncertainty: Entropy and mutual information as shares of their largest value.
        vectors: Polygons: `.gpkg` or `.geojson`.
    """

    map: Path
    probabilities: Path | None = None
    uncertainty: Path | None = None
    vectors: tuple[Path, ...] = ()


@dataclass(frozen=True)
class MapOptions:
    """How a scene is mapped.

    Attributes:
        tile: Rows and columns of a window; None = as in training.
        overlap: Pixels that neighbouring windows share; None = about a quarter.
        batch_size: Windows a batch; None = about a million pixels.
        threshold: Smallest probability that is landslide; None = the model's.
        eight_sides: Averages the predictions of the eight symmetries of the square.
        bands: Probabilities of the landslide class alone, or of all classes.
        dtype: `"uint8"` (steps of 0.004) or `"float32"`.
        min_area: Smallest polygon, m²; None = 16 pixels.
        simplify: Tolerance of the polygons' outlines, metres.
        strict: Refuses cells beyond half to double the training's, which else warn.
    """

    tile: int | None = None
    overlap: int | None = None
    batch_size: int | None = None
    threshold: float | None = None
    eight_sides: bool = False
    bands: Shown = "landslide"
    dtype: Stored = "uint8"
    min_area: float | None = None
    simplify: float = 0.0
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuses values that mean nothing."""
        for name, known in (("bands", Shown), ("dtype", Stored)):
            value = getattr(self, name)
            if value not in get_args(known):
                hint = did_you_mean(str(value), get_args(known))
                raise DataError(f"`{name}` cannot be `{value}`.{hint}")
        for name, low, high in (
            ("batch_size", 1, math.inf),
            ("threshold", 0, 1),
            ("min_area", 0, math.inf),
            ("simplify", 0, math.inf),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise DataError(
                    f"Expected `{name}` of at least {low}"
                    f"{'' if high == math.inf else f' and at most {high}'}, received "
                    f"{value}."
                )

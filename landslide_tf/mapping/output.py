"""What a map is to be: its files, and how they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from landslide_tf.errors import DataError
from landslide_tf.mapping.styles import style_file
from landslide_tf.raster.legend import names_file


@dataclass(frozen=True)
class Outputs:
    """Files to write; None means that a file is not written.

    Attributes:
        out: Class map, a cloud optimised GeoTIFF.
        probabilities: Probabilities, likewise.
        uncertainty: Entropy and mutual information as shares of their largest value.
        vector: Polygons: `.gpkg` or `.geojson`; of a GeoPackage that is there the layer
            `landslides` alone is replaced.
        overwrite: Replaces files that are there and are not an earlier result.

    >>> from pathlib import Path
    >>> from landslide_tf.mapping import Outputs
    >>> [path.name for path in Outputs(Path("a.tif"), vector=(Path("a.gpkg"),)).paths]
    ['a.tif', 'a.gpkg', 'a.tif.aux.xml', 'a.qml']
    """

    out: Path
    probabilities: Path | None = None
    uncertainty: Path | None = None
    vector: tuple[Path, ...] = ()
    overwrite: bool = False

    @property
    def paths(self) -> list[Path]:
        """All files that are written, names of classes and styles among them."""
        given = [self.out, self.probabilities, self.uncertainty, *self.vector]
        beside = [names_file(self.out), *self.styles]
        return [*(path for path in given if path is not None), *beside]

    @property
    def styles(self) -> list[Path]:
        """Styles for QGIS; map and polygons of one name have one together."""
        return list(dict.fromkeys(map(style_file, (self.out, *self.vector))))


def parts_folder(out: Path) -> Path:
    """Returns the folder that keeps the finished strips of a map."""
    return out.with_name(out.name + ".parts")


@dataclass(frozen=True)
class MapOptions:
    """Options of mapping a scene.

    Attributes:
        window: Rows and columns of a window; None = as in training.
        overlap: Pixels that neighbouring windows share; None = about a quarter.
        batch: Windows a batch; None = about a million pixels.
        threshold: Smallest probability that is landslide; None = the model's.
        tta: Averages the predictions of the eight symmetries of the square.
        all_classes: Writes the probabilities of all classes, not of landslide alone.
        float32: Writes fractions as float32, not in steps of 0.004.
        min_area: Smallest polygon, m²; None = 16 pixels.
        simplify: Tolerance of the polygons' outlines, metres.
        strict: Refuses cells beyond half to double the training's, which else warn.

    >>> from landslide_tf.mapping import MapOptions
    >>> MapOptions(threshold=0.4, tta=True).float32
    False
    """

    window: int | None = None
    overlap: int | None = None
    batch: int | None = None
    threshold: float | None = None
    tta: bool = False
    all_classes: bool = False
    float32: bool = False
    min_area: float | None = None
    simplify: float = 0.0
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuses values that mean nothing."""
        for name, low, high in (
            ("batch", 1, math.inf),
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

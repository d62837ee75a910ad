"""Files of a map, made of its finished strips."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.mapping import polygons
from landslide_tf.mapping.options import MapOptions, Outputs
from landslide_tf.mapping.scene import Scene
from landslide_tf.mapping.strips import FinishedStrips
from landslide_tf.mapping.windows import Axis
from landslide_tf.metadata import ModelMetadata
from landslide_tf.palette import class_palette
from landslide_tf.raster import cog

_OPAQUE = 255


class Assembly:
    """Files made of finished strips; counts what is in them.

    Args:
        scene: The scene.
        rows: Windows from top to bottom, which are the strips.
        strips: The finished strips.
        metadata: The (first) model.
        facts: Tags of the rasters.
        options: How they are to be.

    Attributes:
        valid: Pixels with a class, known after `write`.
        landslide: Pixels that are landslide.
    """

    def __init__(
        self,
        scene: Scene,
        rows: Axis,
        strips: FinishedStrips,
        metadata: ModelMetadata,
        facts: Mapping[str, str],
        options: MapOptions,
    ) -> None:
        self.scene, self.rows, self.strips, self.options = scene, rows, strips, options
        self.metadata = metadata
        self.valid = self.landslide = 0
        index = metadata.landslide_class
        self.index = 1 if index == "sigmoid" else index
        self.classes = list(metadata.classes)
        if index == "sigmoid" and len(self.classes) < 2:
            self.classes = ["other", "landslide"]
        self.tags = {
            "LANDSLIDE_CLASS": str(self.index),
            "CLASSES": json.dumps(self.classes),
            **facts,
        }

    def write(self, outputs: Outputs, targets: dict[Path, Path]) -> int | None:
        """Writes all files.

        Args:
            outputs: The wanted files.
            targets: Where to write each of them.

        Returns:
            The number of polygons, None where none are wanted.
        """
        self._count()
        dtype, names = self.options.dtype, ["landslide"]
        if self.options.bands == "all" and self.metadata.landslide_class != "sigmoid":
            names = self.classes
        layers = {
            "classes": (outputs.map, self._class_layer()),
            self.options.bands: (
                outputs.probabilities,
                cog.fractions(dtype, names, self.tags),
            ),
            "uncertainty": (
                outputs.uncertainty,
                cog.fractions(dtype, ["entropy", "mutual_information"], self.tags),
            ),
        }
        for kind, (path, layer) in layers.items():
            if path is not None:
                plain = self.strips.folder / "plain.tif"
                cog.write_plain(plain, self.scene.grid, layer, self._stored(kind))
                cog.write_cog(targets[path], plain, classes=kind == "classes")
                cog.check_written(targets[path], self._stored(kind))
                plain.unlink()
        return self._polygons(outputs, targets) if outputs.vectors else None

    def _class_layer(self) -> cog.Layer:
        colours = {
            k: (int(r), int(g), int(b), _OPAQUE)
            for k, (r, g, b) in enumerate(class_palette(self.classes))
        }
        ignored = self.metadata.ignore_value
        colours[ignored] = (0, 0, 0, 0)
        return cog.Layer("uint8", ignored, ["class"], colours=colours, tags=self.tags)

    def _count(self) -> None:
        for number in range(len(self.rows.offsets)):
            classes = self.strips.read(number)["classes"]
            self.valid += int((classes != self.metadata.ignore_value).sum())
            self.landslide += int((classes == self.index).sum())

    def _upright(self, kind: str) -> Iterator[tuple[int, NDArray[Any]]]:
        for number, row in enumerate(self.rows.offsets):
            yield row, self.strips.read(number)[kind]

    def _stored(self, kind: str) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yields first row and values of each strip on the stored grid."""
        down, across = self.scene.back
        for row, values in self._upright(kind):
            if down.step == -1:
                row = self.rows.size - row - values.shape[1]
            yield row, np.ascontiguousarray(values[:, down, across])

    def _polygons(self, outputs: Outputs, targets: dict[Path, Path]) -> int:
        grid, folder, files = self.scene.upright, self.strips.folder, self.scene.files
        mask, chances = folder / "mask.tif", folder / "landslide.tif"
        masks = (
            (row, (values == self.index).astype(np.uint8))
            for row, values in self._upright("classes")
        )
        cog.write_plain(mask, grid, cog.Layer("uint8", _OPAQUE, ["landslide"]), masks)
        layer = cog.fractions(self.options.dtype, ["landslide"], {})
        cog.write_plain(chances, grid, layer, self._upright("landslide"))
        found = polygons.find_landslides(
            mask,
            grid,
            probability=chances,
            dem=files.dem,
            dem_unit=files.dem_unit,
            min_area=self.options.min_area,
            simplify=self.options.simplify,
        )
        for path in outputs.vectors:
            polygons.write_landslides(found, targets[path], polygons.driver_of(path))
            style = path.with_suffix(".qml")
            colour = class_palette(self.classes)[self.index]
            targets[style].write_text(polygons.qgis_style(colour), encoding="utf-8")
        return len(found)

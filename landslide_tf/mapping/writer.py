"""From the probabilities of a scene's strips to the files of its map."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.mapping import polygons
from landslide_tf.mapping.output import MapOptions, Outputs
from landslide_tf.mapping.predict import Strip, channels_of, entropy
from landslide_tf.mapping.scene import ModelScene
from landslide_tf.mapping.strips import (
    CHANCES,
    CLASSES,
    MASK,
    UNCERTAINTY,
    Finished,
    FinishedStrips,
)
from landslide_tf.mapping.styles import qgis_style, style_file
from landslide_tf.raster import cog
from landslide_tf.raster.grid import row_areas
from landslide_tf.raster.layer import Layer
from landslide_tf.raster.legend import (
    Legend,
    category_names,
    class_layer,
    named_colours,
    names_file,
)
from landslide_tf.raster.outputs import keep_other_layers
from landslide_tf.raster.polygons import driver_of
from landslide_tf.terrain import Grid

_UNSURE = ("entropy", "mutual_information")
_OPAQUE = 255


class MapWriter:
    """Decides what strips are, and makes the files of the finished ones.

    Args:
        scene: The scene.
        outputs: The wanted files.
        options: How they are to be.
        facts: Tags of the rasters.
        threshold: Smallest probability that is landslide; None = the largest class.

    Attributes:
        layers: The rasters by name that strips are kept in.
    """

    def __init__(
        self,
        scene: ModelScene,
        outputs: Outputs,
        options: MapOptions,
        facts: Mapping[str, str],
        threshold: float | None,
    ) -> None:
        self._scene, self._outputs, self._options = scene, outputs, options
        self._threshold, self._areas = threshold, _areas(scene.scene.grid)
        self._down, self._across = scene.turn
        metadata = scene.metadata
        self._index, self._names = metadata.landslide_value, metadata.class_names
        tags = {**Legend(tuple(self._names), self._index).tags(), **facts}
        # Of polygons the chances of landslide alone are wanted.
        self._all = options.all_classes and outputs.probabilities is not None
        several = self._all and metadata.landslide_class != "sigmoid"
        names = self._names if several else [self._names[self._index]]
        self._landslide_band = self._index + 1 if several else 1
        self.layers: dict[str, Layer] = {
            CLASSES: class_layer(self._names, ignored=metadata.ignore_value, tags=tags)
        }
        if outputs.probabilities or outputs.vector:
            self.layers[CHANCES] = self._fractions(names, tags)
        if outputs.uncertainty:
            self.layers[UNCERTAINTY] = self._fractions(_UNSURE, tags)
        if outputs.vector:
            self.layers[MASK] = Layer("uint8", _OPAQUE, ["landslide"])

    def _fractions(self, names: Sequence[str], tags: Mapping[str, str]) -> Layer:
        return cog.fractions(names, tags, float32=self._options.float32)

    def finished(self, strip: Strip, row: int) -> Finished:
        """Turns blended probabilities into what the rasters hold, and counts it.

        Args:
            strip: The probabilities.
            row: Its first row in the scene.

        Returns:
            The layers and counts.
        """
        from landslide_tf.metrics.decision import decide

        metadata, (_, values, valid) = self._scene.metadata, strip
        channels, index = channels_of(metadata), metadata.landslide_class
        chances = values[..., :channels]
        classes = decide(chances, landslide_class=index, threshold=self._threshold)
        classes[~valid] = metadata.ignore_value
        landslide = classes == self._index
        layers: dict[str, NDArray[Any]] = {CLASSES: classes[None]}
        if CHANCES in self.layers:
            at = 0 if index == "sigmoid" else index
            shown = chances if self._all else chances[..., at : at + 1]
            layers[CHANCES] = self._quantised(shown, valid)
        if UNCERTAINTY in self.layers:
            total, single = entropy(chances), values[..., channels]
            shares = np.stack([total, np.maximum(total - single, 0)], axis=-1)
            shares /= np.float32(math.log(max(2, channels)))
            layers[UNCERTAINTY] = self._quantised(shares, valid)
        # The strips are north up; columns as the image has them, rows see `_view`.
        layers = {name: given[..., self._across] for name, given in layers.items()}
        if MASK in self.layers:
            layers[MASK] = landslide[None].astype(np.uint8)
        found = landslide.sum(axis=1)
        area = math.nan
        if self._areas is not None:
            area = float(found @ self._areas[row : row + len(found)])
        judged = int((classes != metadata.ignore_value).sum())
        return Finished(layers, judged, int(found.sum()), area)

    def _quantised(
        self, values: NDArray[np.float32], valid: NDArray[np.bool_]
    ) -> NDArray[Any]:
        return cog.quantised(values, valid, float32=self._options.float32)

    def write(self, strips: FinishedStrips, targets: Mapping[Path, Path]) -> int | None:
        """Makes all files.

        Args:
            strips: All strips.
            targets: Where to write each of the files.

        Returns:
            The number of polygons, None where none are wanted.

        Raises:
            NotWritten: If a file cannot be written.
        """
        outputs = self._outputs
        # Overviews are made in one thread of each copy, blocks compressed in several:
        # only together do the copies keep all cores busy.
        with ThreadPoolExecutor(thread_name_prefix="map-copy") as pool:
            copies = [
                pool.submit(self._copy, strips, name, targets[path])
                for path, name in (
                    (outputs.out, CLASSES),
                    (outputs.probabilities, CHANCES),
                    (outputs.uncertainty, UNCERTAINTY),
                )
                if path is not None
            ]
            self._write_legends(targets)
            found = self._polygons(strips, targets) if outputs.vector else None
            for copy in copies:
                copy.result()
        return found

    def _copy(self, strips: FinishedStrips, name: str, target: Path) -> None:
        """Copies a raster of finished strips to its file."""
        source, layer = self._view(strips, name), self.layers[name]
        cog.copy_as_cog(source, target, layer, scratch=strips.folder)

    def _view(self, strips: FinishedStrips, name: str, band: int = 0) -> Path:
        """Returns a raster on the grid of the image."""
        upside_down = self._down.step == -1
        grid = self._scene.scene.stored
        return strips.view(name, grid, upside_down=upside_down, band=band)

    def _write_legends(self, targets: Mapping[Path, Path]) -> None:
        """Writes names and colours beside the map, and the polygons' colour."""
        out, vector = self._outputs.out, self._outputs.vector
        names = category_names(self._names)
        targets[names_file(out)].write_text(names, encoding="utf-8")
        colours = named_colours(self._names)
        for path in self._outputs.styles:
            style = qgis_style(
                colours if path == style_file(out) else (),
                colours[self._index][1] if path in map(style_file, vector) else None,
            )
            targets[path].write_text(style, encoding="utf-8")

    def _polygons(self, strips: FinishedStrips, targets: Mapping[Path, Path]) -> int:
        grid, files = self._scene.scene.grid, self._scene.files
        found = polygons.find_landslides(
            strips.view(MASK, grid),
            grid,
            probability=self._view(strips, CHANCES, self._landslide_band),
            dem=files.dem,
            distances=self._scene.scene.terrain.get("distances", "grid"),
            min_area=self._options.min_area,
            simplify=self._options.simplify,
        )
        for path in self._outputs.vector:
            driver = driver_of(path)
            if driver == "GPKG":
                keep_other_layers(path, targets[path])
            polygons.write_landslides(found, targets[path], driver)
        return len(found)


def _areas(grid: Grid) -> NDArray[np.float64] | None:
    """Returns the area of a cell of each row, None where that cannot be said."""
    with contextlib.suppress(DataError):
        return row_areas(grid)
    return None

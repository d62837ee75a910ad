"""What a map is to be, its finished strips on disk, and the files made of them."""

from __future__ import annotations

import contextlib
import io
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.files import LOCK, atomic_path, locked
from landslide_tf.mapping import polygons
from landslide_tf.mapping.scene import ModelScene
from landslide_tf.mapping.styles import qgis_style, style_file
from landslide_tf.mapping.windows import Axis
from landslide_tf.raster import cog
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.grid import Window, row_areas
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

Arrays = dict[str, NDArray[Any]]

_OPAQUE = 255


@dataclass(frozen=True)
class Outputs:
    """Files to write; those that are None are not.

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
    """How a scene is mapped.

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


class FinishedStrips:
    """The strips of one job, in a folder beside its result.

    A stopped job goes on from them. A folder of another job, or of other files and
    options, is emptied first. One process works in it at a time.

    Args:
        folder: The folder; made when missing.
        job: What the strips depend on; JSON values.

    Raises:
        RunError: When entered, if another process is at work there.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any]) -> None:
        self.folder, self._job = folder, json.dumps(job, sort_keys=True, indent=1)
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> FinishedStrips:
        in_use = (
            f"`{self.folder}` is in use: another process is making this map; wait for "
            "it or name another `--out`."
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self.folder, in_use))
            description = self.folder / "job.json"
            if not description.is_file() or description.read_text() != self._job:
                for path in self.folder.iterdir():
                    if path.name != LOCK:
                        path.unlink()
                with atomic_path(description) as temporary:
                    temporary.write_text(self._job)
            self._lock = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def path(self, number: int) -> Path:
        """Returns the file of a strip."""
        return self.folder / f"strip_{number:06d}.npz"

    def count(self) -> int:
        """Returns how many strips, from the first on, are finished."""
        number = 0
        while self.path(number).is_file():
            number += 1
        return number

    def write(self, number: int, arrays: Arrays) -> None:
        """Writes a strip, complete or not at all."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        with atomic_path(self.path(number)) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def read(self, number: int, kind: str) -> NDArray[Any]:
        """Reads one of the arrays of a finished strip."""
        with np.load(self.path(number)) as found:
            return found[kind]

    def remove(self) -> None:
        """Removes the folder, when the map is there or never will be."""
        shutil.rmtree(self.folder, ignore_errors=True)


class MapWriter:
    """Writes the files of a map and counts what is in them.

    Each array of a strip is read once: into its raster. Polygons are made of the
    rasters.

    Args:
        scene: The scene.
        rows: Windows from top to bottom, which are the strips.
        strips: The finished strips.
        facts: Tags of the rasters.
        options: How they are to be.

    Attributes:
        valid: Pixels with a class, known after `write`.
        landslide: Pixels that are landslide.
        area: Their area in m², of the cells; NaN where cells have none.
    """

    def __init__(
        self,
        scene: ModelScene,
        rows: Axis,
        strips: FinishedStrips,
        facts: Mapping[str, str],
        options: MapOptions,
    ) -> None:
        self._scene, self._rows, self._strips = scene, rows, strips
        self._options, self.valid, self.landslide = options, 0, 0
        self._areas = _areas(scene.scene.grid)
        self.area = math.nan if self._areas is None else 0.0
        metadata = scene.metadata
        self._index = metadata.landslide_value
        self._classes = metadata.class_names
        legend = Legend(tuple(self._classes), self._index)
        self._tags = {**legend.tags(), **facts}
        self._all = options.all_classes and metadata.landslide_class != "sigmoid"

    def write(self, outputs: Outputs, targets: Mapping[Path, Path]) -> int | None:
        """Writes all files.

        Args:
            outputs: The wanted files.
            targets: Where to write each of them.

        Returns:
            The number of polygons, None where none are wanted.

        Raises:
            NotWritten: If a file cannot be written.
        """
        names = self._classes if self._all else [self._classes[self._index]]
        kind = "all" if self._options.all_classes else "landslide"
        unsure = ["entropy", "mutual_information"]
        ignored = self._scene.metadata.ignore_value
        classes = class_layer(self._classes, ignored=ignored, tags=self._tags)
        for path, name, layer in (
            (outputs.out, "classes", classes),
            (outputs.probabilities, kind, self._fractions(names)),
            (outputs.uncertainty, "uncertainty", self._fractions(unsure)),
        ):
            if path is not None:
                cog.write_cog(
                    targets[path],
                    self._scene.scene.stored,
                    layer,
                    self._stored(name),
                    scratch=self._strips.folder / "plain.tif",
                )
        self._write_legends(outputs, targets)
        return self._polygons(outputs, targets) if outputs.vector else None

    def _write_legends(self, outputs: Outputs, targets: Mapping[Path, Path]) -> None:
        """Writes names and colours beside the map, and the polygons' colour."""
        names = category_names(self._classes)
        targets[names_file(outputs.out)].write_text(names, encoding="utf-8")
        colours = named_colours(self._classes)
        for path in outputs.styles:
            has_map = path == style_file(outputs.out)
            has_polygons = path in map(style_file, outputs.vector)
            style = qgis_style(
                colours if has_map else (),
                colours[self._index][1] if has_polygons else None,
            )
            targets[path].write_text(style, encoding="utf-8")

    def _fractions(self, names: list[str]) -> cog.Layer:
        return cog.fractions(names, self._tags, float32=self._options.float32)

    def _read(self, kind: str) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yields first row and values of each strip, from top to bottom."""
        for number, row in enumerate(self._rows.offsets):
            values = self._strips.read(number, kind)
            if kind == "classes":
                ignored = self._scene.metadata.ignore_value
                self.valid += int((values != ignored).sum())
                found = (values[0] == self._index).sum(axis=1)
                self.landslide += int(found.sum())
                if self._areas is not None:
                    self.area += float(found @ self._areas[row : row + len(found)])
            yield row, values

    def _stored(self, kind: str) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yields first row and values of each strip in the order of the image."""
        down, across = self._scene.turn
        for row, values in self._read(kind):
            if down.step == -1:
                row = self._rows.size - row - values.shape[1]
            yield row, np.ascontiguousarray(values[:, down, across])

    def _polygons(self, outputs: Outputs, targets: Mapping[Path, Path]) -> int:
        grid, folder = self._scene.scene.grid, self._strips.folder
        mask, chances = folder / "mask.tif", folder / "landslide.tif"
        layer = cog.Layer("uint8", _OPAQUE, ["landslide"])
        cog.write_plain(mask, grid, layer, self._mask(targets[outputs.out]))
        if outputs.probabilities is not None and not self._options.all_classes:
            chances = targets[outputs.probabilities]
        else:
            layer = self._fractions(["landslide"])
            cog.write_plain(chances, grid, layer, self._read("landslide"))
        files = self._scene.files
        found = polygons.find_landslides(
            mask,
            grid,
            probability=chances,
            dem=files.dem,
            distances=self._scene.scene.terrain.get("distances", "grid"),
            min_area=self._options.min_area,
            simplify=self._options.simplify,
        )
        for path in outputs.vector:
            driver = driver_of(path)
            if driver == "GPKG":
                keep_other_layers(path, targets[path])
            polygons.write_landslides(found, targets[path], driver)
        return len(found)

    def _mask(self, classes: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yields where the written map says landslide, on the scene's grid."""
        raster = AlignedRaster(classes, "map", self._scene.scene.grid)
        with contextlib.closing(raster):
            for number, row in enumerate(self._rows.offsets):
                height = self._rows.finished(number) - row
                values, _ = raster.read(
                    Window(row, 0, height, self._scene.scene.grid.width)
                )
                yield row, (values == self._index).astype(np.uint8)


def _areas(grid: Grid) -> NDArray[np.float64] | None:
    """Returns the area of a cell of each row, None where that cannot be said."""
    with contextlib.suppress(DataError):
        return row_areas(grid)
    return None

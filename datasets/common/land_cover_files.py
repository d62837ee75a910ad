"""Files of land cover with terrain: the user's table, its split, and reading."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath
from numpy.typing import NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.datasets.common.base import Example
from landslide_tf.datasets.common.info import LAND_COVER
from landslide_tf.datasets.common.option_words import without_options
from landslide_tf.datasets.common.reading import from_colours, read_table
from landslide_tf.datasets.common.splits import (
    SPLITS,
    overlapping_footprints,
    read_splits,
    split_by_hash,
    warn_of_shared_ground,
)
from landslide_tf.errors import DataError
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window, grid_of
from landslide_tf.raster.ground import check_dem, check_overlap
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.systems import bounds_together, wkt_of
from landslide_tf.raster.vector import Burner, read_shapes
from landslide_tf.terrain import Grid

TABLE = "pairs.csv"
# The colours of the paper's figures are not printed; these are this package's.
COLOURS = {
    0: (230, 0, 0),
    1: (255, 170, 0),
    2: (0, 115, 38),
    3: (0, 77, 168),
    4: (130, 130, 130),
    5: (215, 194, 158),
    IGNORE_VALUE: (0, 0, 0),
}

_POLYGONS = (".gpkg", ".shp", ".geojson")
LANDSLIDE = LAND_COVER.index("landslide")
_DERIVED = ("slope", "aspect")  # from the DEM, where there is no file of them


@dataclasses.dataclass(frozen=True)
class LandCover:
    """Files and facts of a pair of image and land cover.

    Attributes:
        id: Name.
        satellite: As the table says.
        date: As the table says.
        resolution: Cell size, metres, as the table says.
        grid: Grid of the image.
        files: Path by kind: `images`, `labels`, `dem`, `ndvi`, `slope`, `aspect`.
        polygons: Files of polygons where there is no raster of labels.
    """

    id: str
    satellite: str
    date: str
    resolution: float
    grid: Grid
    files: Mapping[str, Path]
    polygons: tuple[Path, ...] = ()


_WORDS = {
    "--layer": "a file of that layer alone",
    "--dem-nodata": "its nodata tag",
    "--dem-unit": "the unit of its band",
}


@without_options(lambda option, _: _WORDS.get(option, f"`{option}`"))
def find_pairs(
    root: str | os.PathLike[str], *, seed: int, polygons: bool, tests: bool
) -> tuple[dict[str, list[LandCover]], dict[str, Any]]:
    """Lists the pairs of a folder by split.

    By the column `split` of the table where it has one; else by hash of the id (Xia
    et al. 2021 do not print their split), where pairs that share ground stay together.

    Args:
        root: The folder with `pairs.csv`.
        seed: Seed of the split by hash.
        polygons: Whether labels may be polygons for all pairs.
        tests: Whether pairs without a split are all of the test part, and parts may be
            empty, as where a model of another region is only tested (Xia et al. 2021,
            section 4.3).

    Returns:
        The pairs by split, and what was found and left over.

    Raises:
        DataError: If the table is not valid, a file is missing, or a part is empty
            that must not be.
    """
    folder = Path(root)
    table = epath.Path(folder / TABLE)
    rows = _rows(table)
    shared: tuple[Path, ...] = ()
    if polygons and (folder / "labels").is_dir():
        shared = tuple(
            p for p in sorted((folder / "labels").iterdir()) if p.suffix in _POLYGONS
        )
    pairs = {row["id"]: _pair(folder, row, shared) for row in rows}
    grids = [pair.grid for pair in pairs.values()]
    bounds = dict(zip(pairs, bounds_together(grids, grids[0].crs), strict=True))
    given = any(row.get("split") for row in rows)
    if given:
        chosen = read_splits(table, pairs, "id")
        parts = {
            split: tuple(name for name in sorted(pairs) if chosen[name] == split)
            for split in SPLITS
        }
        warn_of_shared_ground(parts, bounds)
    elif tests:
        parts = dict.fromkeys(SPLITS, ()) | {"test": tuple(sorted(pairs))}
    else:
        parts = split_by_hash(pairs, seed, groups=overlapping_footprints(bounds))
    for split, names in parts.items():
        if not (names or tests):
            raise DataError(
                f"`{table}` must hold pairs for train, validation and test, "
                f"received {len(pairs)} of which none goes to {split}; fill the column "
                "`split` or add pairs."
            )
    images = {p.stem for p in (folder / "images").iterdir()}
    report = {
        "pairs": len(pairs),
        "images_not_in_table": sorted(images - pairs.keys()),
        "split_given": given,
    }
    return {split: [pairs[n] for n in names] for split, names in parts.items()}, report


def _rows(path: epath.Path) -> list[dict[str, str]]:
    rows = read_table(path, ("id", "satellite", "date", "resolution_m"))
    for name, count in Counter(row["id"] for row in rows).items():
        if count > 1 or not name or "/" in name:
            raise DataError(
                f"`{path}` must hold each id once, received `{name}` again or empty; "
                "ids are file names without ending."
            )
    return rows


def _pair(
    folder: Path, row: Mapping[str, str], polygons: tuple[Path, ...]
) -> LandCover:
    """Finds the files of a pair."""
    name = row["id"]
    files: dict[str, Path] = {}
    for kind in ("images", "labels", "dem", "ndvi", *_DERIVED):
        endings = (".tif", ".tiff", ".png") if kind == "labels" else (".tif", ".tiff")
        paths = [folder / kind / f"{name}{ending}" for ending in endings]
        if found := [path for path in paths if path.is_file()]:
            files[kind] = found[0]
    needed = {"images", "ndvi"} | (set() if polygons else {"labels"})
    if not files.keys() >= set(_DERIVED):
        needed.add("dem")  # which they are computed from
    if lacking := sorted(needed - files.keys()):
        raise DataError(
            f"Pair `{name}` must have `{folder / lacking[0] / name}.tif`, received no "
            f"such file; add it or take the pair out of `{TABLE}`."
        )
    try:
        resolution = float(row["resolution_m"])
    except ValueError as error:
        raise DataError(
            f"`{folder / TABLE}` must hold `resolution_m` in metres, received "
            f"`{row['resolution_m']}` for `{name}`."
        ) from error
    grid = grid_of(files["images"], "image")
    for kind in ("ndvi", *_DERIVED):
        if kind in files:
            check_overlap(files[kind], kind, grid)
    if "dem" in files:
        check_dem(DemFiles(files["dem"]), grid, {})
    return LandCover(
        id=name,
        satellite=row["satellite"],
        date=row["date"],
        resolution=resolution,
        grid=grid,
        files=files,
        polygons=() if "labels" in files else polygons,
    )


@without_options(lambda option, _: _WORDS.get(option, f"`{option}`"))
def read_pair(pair: LandCover, *, background: int) -> Example:
    """Reads a pair as an example.

    Args:
        pair: The pair.
        background: Class number of pixels beyond polygons.

    Returns:
        The example: `image` uint8 (H, W, 3), `factors` float32 (H, W, 3), NaN = no
        value, `mask` uint8 (H, W), 255 = no label, and what the table says.

    Raises:
        DataError: If a file is broken or does not fit.
    """
    grid = pair.grid
    image, mask = read_labelled(pair, background=background)
    factors = np.full((*grid.shape, 3), np.nan, np.float32)
    if not pair.files.keys() >= set(_DERIVED):
        with closing(AlignedDem(DemFiles(pair.files["dem"]), grid, _DERIVED)) as dem:
            factors[..., :2], _ = dem.read(_whole(grid))
    for k, kind in enumerate((*_DERIVED, "ndvi")):
        if kind in pair.files:
            # Angles cannot be interpolated: 359 and 1 degree do not make 180.
            kernel = "nearest" if kind == "aspect" else "cubic"
            raster = AlignedRaster(pair.files[kind], kind, grid, kernel=kernel)
            with closing(raster):
                (values,), known = raster.read(_whole(grid))
                factors[..., k] = np.where(known, raster.physical(values), np.nan)
    # Cubic convolution overshoots.
    factors[..., 0] = np.clip(factors[..., 0], 0, 90)
    factors[..., 2] = np.clip(factors[..., 2], -1, 1)
    return {
        "image": image,
        "factors": factors,
        "mask": mask,
        "id": pair.id,
        "satellite": pair.satellite,
        "date": pair.date,
        "resolution_m": pair.resolution,
        "transform": np.array(grid.transform[:6], np.float64),
        "crs": wkt_of(grid),
    }


def read_labelled(
    pair: LandCover, *, background: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads image and mask of a pair.

    Args:
        pair: The pair.
        background: Class number of pixels beyond polygons.

    Returns:
        The image (H, W, 3) and the mask (H, W), 255 = no label.

    Raises:
        DataError: If a file is broken or does not fit.
    """
    image, valid = _read(pair, "images", indexes=(1, 2, 3))
    if image.dtype != np.uint8:
        raise DataError(
            f"`{pair.files['images']}` must hold red, green and blue of 8 bits, "
            f"received {image.dtype}."
        )
    mask = _labels(pair, background)
    mask[~valid] = IGNORE_VALUE
    return np.ascontiguousarray(np.moveaxis(image, 0, -1)), mask


def _whole(grid: Grid) -> Window:
    return Window(0, 0, grid.height, grid.width)


def _read(
    pair: LandCover,
    kind: str,
    **how: Any,  # the arguments of `AlignedRaster`
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    with closing(AlignedRaster(pair.files[kind], kind, pair.grid, **how)) as raster:
        return raster.read(_whole(pair.grid))


def _labels(pair: LandCover, background: int) -> NDArray[np.uint8]:
    """Returns the class numbers of a pair, uint8 (H, W)."""
    if "labels" not in pair.files:
        found = [read_shapes(p, pair.grid, overlap=False) for p in pair.polygons]
        geometries = np.concatenate([shapes.geometries for shapes in found])
        values = np.full(len(geometries), LANDSLIDE, np.uint8)
        return Burner(pair.grid, geometries, values, background).read(_whole(pair.grid))
    path = pair.files["labels"]
    with open_raster(path, "labels") as dataset:
        count, shape, placed = dataset.count, dataset.shape, bool(dataset.crs)
    if not placed and shape != pair.grid.shape:
        raise DataError(
            f"labels `{path}` must have a coordinate system or the image's "
            f"{pair.grid.shape} rows and columns, received {shape} and no system."
        )
    if count not in (1, 3, 4):
        raise DataError(
            f"labels `{path}` must hold class numbers or colours, received {count} "
            "bands."
        )
    values, known = _read(
        pair,
        "labels",
        indexes=(1,) if count == 1 else (1, 2, 3),
        kernel="nearest",
        values=range(256),
        placed=None if placed else pair.grid,
    )
    if count != 1:
        values = np.moveaxis(values, 0, -1)
        values[~known] = COLOURS[IGNORE_VALUE]
        return from_colours(values, COLOURS, path)
    mask = np.where(known, values[0], IGNORE_VALUE)
    wrong = mask[(mask != IGNORE_VALUE) & ~np.isin(mask, range(len(LAND_COVER)))]
    if wrong.size:
        raise DataError(
            f"labels `{path}` must hold class numbers from 0 to {len(LAND_COVER) - 1} "
            f"or 255, received {wrong[0]:g}."
        )
    return mask.astype(np.uint8)

"""The scenes of a region: what a folder, a table or a catalogue lists."""

from __future__ import annotations

import csv
import datetime
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from landslide_tf.errors import DataError
from landslide_tf.mapping import SceneFiles
from landslide_tf.metadata import ModelMetadata
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.names import is_remote, stem
from landslide_tf.region.stac_items import Asset, band_files, read_items

_IMAGES = (".tif", ".tiff", ".vrt", ".jp2")
_PRODUCTS = (".SAFE", ".SAFE.ZIP")
_DEM = "_dem"  # ends the name of elevations that lie beside an image in a folder
_COLUMNS = ("image", "dem", "date", "id")
_ID = re.compile(r"[^\W_][\w.-]*")


@dataclass(frozen=True)
class RegionScene:
    """A scene of a region.

    Attributes:
        id: Its name in all results.
        image: Names that GDAL opens, one file or several of one scene.
        dem: Elevations of this scene, one file or tiles; none = those of the region.
        date: When the image was taken, as 2024-05-31; empty = not known.
        assets: Files by the names of the bands that they hold, of a catalogue: these
            are taken in place of `image` where there are any.

    >>> from landslide_tf.region import RegionScene
    >>> RegionScene("a", ("a.tif",), date="2024-05-31").read
    ('a.tif',)
    """

    id: str
    image: tuple[str, ...] = ()
    dem: tuple[str, ...] = ()
    date: str = ""
    assets: Mapping[str, Asset] = field(default_factory=dict)

    @property
    def read(self) -> tuple[str, ...]:
        """All files that may be read."""
        assets = dict.fromkeys(asset.href for asset in self.assets.values())
        return (*self.image, *assets, *self.dem)

    def files(self, common: SceneFiles, metadata: ModelMetadata) -> SceneFiles:
        """Returns the files that a model takes.

        Args:
            common: What holds for all scenes of the region; its image is not looked at.
            metadata: The model.

        Returns:
            The files of this scene.

        Raises:
            DataError: If a catalogue names no file of a band.
        """
        dem = common.dem
        if self.dem:
            unit, nodata = (None, None) if dem is None else (dem.unit, dem.nodata)
            dem = DemFiles(*self.dem, unit=unit, nodata=nodata)
        if not self.assets:
            return replace(common, image=self.image, dem=dem)
        image, bands = band_files(self.id, self.assets, metadata)
        return replace(common, image=image, dem=dem, bands=bands)


def read_scenes(path: str | Path) -> list[RegionScene]:
    """Reads a list of scenes.

    Args:
        path: A folder, whose images (.tif, .tiff, .vrt, .jp2, products of Sentinel-2)
            are a scene each, with the elevations of `name_dem.*` beside it; a text
            file with an image a line;
            a CSV table with the columns `image` and, where known, `dem`, `date` and
            `id`, several files of a scene parted by `;`; or a STAC ItemCollection
            (`.json`, `.geojson`). Names in files are relative to the file; `https://`
            and `s3://` may be among them.

    Returns:
        The scenes in the order of the list, of a folder in that of their names.

    Raises:
        DataError: If the list cannot be read or names no scene, a file that is not
            there, two scenes of one id, or a date that is none.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.region import read_scenes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a.tif", "b.tif", "b_dem.tif"):
    ...         Path(folder, name).touch()
    ...     [(scene.id, len(scene.dem)) for scene in read_scenes(folder)]
    [('a', 0), ('b', 1)]
    """
    path = Path(path)
    if path.is_dir():
        scenes = _of_folder(path)
    elif not path.is_file():
        raise DataError(
            f"scenes `{path}` must be a folder, a text file, a CSV table or a STAC "
            "ItemCollection, and it is not there."
        )
    else:
        text = _text(path)
        kind = path.suffix.lower()
        if kind == ".csv":
            scenes = list(_of_table(path, text))
        elif kind in (".json", ".geojson"):
            scenes = _of_catalogue(path, text)
        else:
            scenes = list(_of_lines(path, text))
    if not scenes:
        raise DataError(
            f"scenes `{path}` must name at least one scene, received none"
            + (f": images end in {', '.join(_IMAGES)}." if path.is_dir() else ".")
        )
    _check_ids(path, scenes)
    _check_there(path, scenes)
    return scenes


def opened_as(name: str, folder: Path) -> str:
    """Returns the file that is meant by a name in a list.

    >>> from pathlib import Path
    >>> from landslide_tf.region.scenes import opened_as
    >>> opened_as("s3://bucket/a.tif", Path("/lists"))
    's3://bucket/a.tif'
    >>> opened_as("a.tif", Path("/lists"))
    '/lists/a.tif'
    """
    if is_remote(name) or name.startswith("/vsi"):
        return name
    path = os.path.abspath(folder / name.removeprefix("file://"))
    # What is no path may be a part of a file, such as `NETCDF:"may.nc":red`.
    return name if ":" in name and not os.path.exists(path) else path


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"scenes `{path}` must be a text file in UTF-8, received: {error}."
        ) from error


def _of_folder(folder: Path) -> list[RegionScene]:
    found = sorted(
        path
        for path in folder.iterdir()
        if (path.suffix.lower() in _IMAGES and path.is_file())
        or path.name.upper().endswith(_PRODUCTS)
    )
    dems = {p.stem: p for p in found if p.stem.endswith(_DEM)}
    return [
        RegionScene(
            _id_of(str(path)),
            (os.path.abspath(path),),
            tuple(os.path.abspath(dems[k]) for k in [path.stem + _DEM] if k in dems),
        )
        for path in found
        if path.stem not in dems
    ]


def _of_lines(path: Path, text: str) -> Iterator[RegionScene]:
    for line in text.splitlines():
        name = line.strip()
        if name and not name.startswith("#"):
            yield RegionScene(_id_of(name), (opened_as(name, path.parent),))


def _of_table(path: Path, text: str) -> Iterator[RegionScene]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    named = {str(name).strip().lower(): name for name in rows.fieldnames or ()}
    if "image" not in named:
        columns = ", ".join(f"`{name}`" for name in rows.fieldnames or ()) or "none"
        raise DataError(
            f"scenes `{path}` must have a column `image`, and may have `dem`, `date` "
            f"and `id`; received {columns}."
        )
    if others := named.keys() - set(_COLUMNS):
        raise DataError(
            f"scenes `{path}` has the column `{min(others)}`: expected `image`, `dem`, "
            "`date` and `id` alone."
        )
    for row in rows:
        given = {k: (row[name] or "").strip() for k, name in named.items()}
        where = f"scenes `{path}`, line {rows.line_num}"
        if None in row:
            raise DataError(f"{where} has more values than the first line has names.")
        images = _parts(given["image"], path.parent)
        if not images:
            raise DataError(f"{where} must name an image, received none.")
        name = given.get("id") or _id_of(images[0])
        dems = _parts(given.get("dem", ""), path.parent)
        yield RegionScene(name, images, dems, _date(given.get("date", ""), where))


def _of_catalogue(path: Path, text: str) -> list[RegionScene]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"scenes `{path}` must be JSON, received: {error}.") from error
    return [
        RegionScene(
            item.id,
            dem=tuple(opened_as(href, path.parent) for href in item.dem),
            date=_date(item.date, f"item `{item.id}` of `{path}`"),
            assets={
                name: asset._replace(href=opened_as(asset.href, path.parent))
                for name, asset in item.bands.items()
            },
        )
        for item in read_items(path, content)
    ]


def _parts(text: str, folder: Path) -> tuple[str, ...]:
    names = (name.strip() for name in text.split(";"))
    return tuple(opened_as(name, folder) for name in names if name)


def _id_of(name: str) -> str:
    """Returns the id of a scene that has none: the name of its image."""
    return re.sub(r"[^\w.-]+", "-", stem(name)).strip("-._") or "scene"


def _date(text: str, where: str) -> str:
    """Returns the day of a date or a time."""
    if not text:
        return ""
    try:
        return datetime.datetime.fromisoformat(text).date().isoformat()
    except ValueError as error:
        raise DataError(
            f"{where}: expected a date such as 2024-05-31, received `{text}`."
        ) from error


def _check_ids(path: Path, scenes: Sequence[RegionScene]) -> None:
    """Refuses ids that are no names of folders, and those that two scenes have."""
    known: dict[str, RegionScene] = {}
    for scene in scenes:
        if not _ID.fullmatch(scene.id):
            raise DataError(
                f"scenes `{path}`: an id must be of letters, digits, `_`, `.` and `-`, "
                f"received `{scene.id}`: its results are named by it."
            )
        # File systems take names that differ in case for one.
        other = known.setdefault(scene.id.casefold(), scene)
        if other is not scene:
            raise DataError(
                f"scenes `{path}` must have an id each, received `{scene.id}` for "
                f"{_named(other)} and {_named(scene)}: give them ids (the column `id` "
                "of a CSV table)."
            )


def _named(scene: RegionScene) -> str:
    return f"`{next(iter(scene.read), scene.id)}`"


def _check_there(path: Path, scenes: Iterable[RegionScene]) -> None:
    """Refuses a list with files that are not there, before anything is mapped."""
    missing = [
        (scene.id, name)
        for scene in scenes
        for name in scene.read
        if not (name.startswith("/vsi") or ":" in name or os.path.exists(name))
    ]
    if missing:
        scene, name = missing[0]
        more = f" ({len(missing) - 1} more are missing)" if missing[1:] else ""
        raise DataError(
            f"scenes `{path}`: `{name}` of scene `{scene}` is not there{more}; restore "
            "it, or take the scene out of the list."
        )

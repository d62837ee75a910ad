"""What stands behind the names of rasters and vectors, which no output may touch."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from landslide_tf.errors import DataError
from landslide_tf.outputs import check_apart
from landslide_tf.raster.composed import folder_of
from landslide_tf.raster.names import FilePath, is_remote, short_name

# What GDAL reads beside a raster, by the ends that it adds to the raster's name.
_BESIDE_RASTER = (".aux.xml", ".ovr", ".msk", ".rrd", ".aux")
_SOURCES = re.compile(r"<(SrcDataSource|SourceFilename)\b([^>]*)>([^<]*)</\1>")
_SQLITE = b"SQLite format 3\0"
_LARGEST_XML = 2**24  # bytes


def check_outputs(
    written: Iterable[FilePath | None], read: Iterable[FilePath | None]
) -> None:
    """Refuses outputs that are, or change, what is read.

    Files are compared as the file system sees them: links, relative paths and other
    spellings of one file are one file. What is read are the named files with all that
    stands behind them, see `files_behind`.

    Args:
        written: Files and folders to write; None among them is no output. Nothing of
            what is read may lie in a folder that is written.
        read: Files, folders, and other names that GDAL opens; None is no input.

    Raises:
        DataError: If an output is among what is read, would be taken for a part of it,
            or is named twice.

    >>> from landslide_tf.raster.outputs import check_outputs
    >>> check_outputs(["map.tif", None], ["image.tif", "dem.tif"])
    >>> check_outputs(["image.tif"], ["./image.tif"])
    Traceback (most recent call last):
    landslide_tf.errors.DataError: `image.tif` is read and cannot be written over: \
name another output.
    """
    outputs = [Path(path) for path in written if path is not None]
    check_apart(outputs, ())
    for output in outputs:
        if is_remote(output):
            raise DataError(
                f"`{output}` must be a place on this machine: write there and copy it."
            )
    for name in read:
        if name is None:
            continue
        _check_outside(outputs, name)
        parts = files_behind(name)
        check_apart(outputs, parts, of=os.fspath(name))
        for output, path in itertools.product(outputs, parts):
            if _is_beside(output, path):
                raise DataError(
                    f"`{output}` would be read as a part of `{path}`: name another "
                    "output."
                )


def files_behind(name: FilePath) -> list[Path]:
    """Lists the files that are read where a name is opened.

    These are the file itself, the sources of a VRT and theirs, sidecars, the parts of
    a shapefile, the archive of a `/vsizip/` name, and all files of a folder.

    Args:
        name: A path, or another name that GDAL opens.

    Returns:
        The files, the named one first, whether it exists or not.

    >>> from landslide_tf.raster.outputs import files_behind
    >>> [path.name for path in files_behind("new.tif")]
    ['new.tif']
    """
    found: dict[Path, None] = {}
    waiting = [os.fspath(name)]
    while waiting:
        text = waiting.pop(0)
        path = _plain(text)
        if path in found:
            continue
        found[path] = None
        if is_remote(text) and not short_name(text).lower().endswith(".vrt"):
            continue  # no file of this machine; opening it would take time
        if (folder := folder_of(path)) is not None and folder != path:
            waiting.append(str(folder))
        if path.is_dir():
            found |= dict.fromkeys(p for p in path.rglob("*") if p.is_file())
        elif path.exists() or text != str(path):
            waiting += [*_opened(text), *_named_in(path), *_parts(path)]
    return list(found)


def is_geopackage(path: Path) -> bool:
    """Returns whether a file is a GeoPackage, or another data base of SQLite.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.raster.outputs import is_geopackage
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     notes = Path(folder, "notes.gpkg")
    ...     _ = notes.write_text("mine")
    ...     is_geopackage(notes)
    False
    """
    with path.open("rb") as stream:
        return stream.read(len(_SQLITE)) == _SQLITE


def keep_other_layers(path: Path, temporary: Path) -> None:
    """Brings a GeoPackage that is there to where one of its layers is to be replaced.

    Args:
        path: The wanted file; where it is no GeoPackage nothing is brought.
        temporary: Where it is written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.raster.outputs import keep_other_layers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     temporary = Path(folder, "temporary.gpkg")
    ...     keep_other_layers(Path(folder, "new.gpkg"), temporary)
    ...     temporary.exists()
    False
    """
    if path.is_file() and is_geopackage(path):
        shutil.copyfile(path, temporary)


def _is_beside(output: Path, path: Path) -> bool:
    """Whether GDAL would take an output for a sidecar of a raster."""
    real, target = os.path.realpath(path), os.path.realpath(output)
    return any(target == real + end for end in _BESIDE_RASTER) or (
        any(target == os.path.splitext(real)[0] + end for end in (".aux", ".rrd"))
    )


def _check_outside(outputs: Iterable[Path], name: FilePath) -> None:
    """Refuses outputs in a folder that is one image."""
    folder = folder_of(name)
    if folder is None:
        return
    for output in outputs:
        if Path(os.path.realpath(output)).is_relative_to(os.path.realpath(folder)):
            raise DataError(
                f"`{output}` lies in `{folder}`, which is read: name another output."
            )


def _plain(text: str) -> Path:
    """Returns the file of a name of GDAL's: `a.zip` of `/vsizip/a.zip/b.tif`."""
    if os.path.exists(text):
        return Path(text)
    bare = re.sub(r"^(file://|zip://|(/vsi(?!mem)\w+/)+)", "", text)
    for part in (bare, *re.split(r"[!{}\"']|:(?!//)", bare)):
        place = Path(part)
        for candidate in (place, *place.parents):
            if part and candidate.is_file():
                return candidate
    return Path(text)


def _opened(text: str) -> list[str]:
    """Returns the files that GDAL names of a raster, none where it is not one."""
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        contextlib.suppress(RasterioError, ValueError),
        rasterio.open(text) as dataset,
    ):
        return list(dataset.files)
    return []


def _named_in(path: Path) -> list[str]:
    """Returns the sources that a VRT of rasters or vectors names."""
    if path.suffix.lower() not in (".vrt", ".ovf", ".xml") or not path.is_file():
        return []
    if path.stat().st_size > _LARGEST_XML:
        return []
    found = []
    text = path.read_text(encoding="utf-8", errors="replace")
    for _, attributes, name in _SOURCES.findall(text):
        relative = re.search(r"relativeToVRT\s*=\s*[\"']1[\"']", attributes)
        found.append(str(path.parent / name) if relative else name)
    return found


def _parts(path: Path) -> list[str]:
    """Returns the files beside a raster or a shapefile that belong to it."""
    names = [path.with_name(path.name + end) for end in _BESIDE_RASTER]
    if path.suffix.lower() in (".shp", ".shx", ".dbf", ".tab", ".mif", ".mid"):
        parts = path.parent.iterdir() if path.parent.is_dir() else ()
        names += [p for p in parts if p.stem == path.stem]
    return [str(part) for part in names if part.is_file()]

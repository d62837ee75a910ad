"""The sub sets of CAS, and where a user's copies of them lie.

Apart from the builder, which would be too long with the table of them.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence

from etils import epath

from landslide_tf.datasets.common.pairing import Found, Pair, match_files
from landslide_tf.errors import DataError
from landslide_tf.words import counted

LAYOUT = (
    "the data set's zip archives (`palu.zip`, `Lombok.zip`, ...) or their folders, "
    "each with `img/*.tif` and `mask/*.tif`, and `study areas shp.zip`"
)
_AREAS = ("studyareasshp", "studyareas", "studyareashp", "studyarea")
_SUFFIXES = (".tif", ".tiff")


@dataclasses.dataclass(frozen=True)
class Subset:
    """One of the archives.

    Attributes:
        slug: Name of its configuration.
        title: Name of its archive, without suffix.
        tiles: Number of tiles as published.
        group: `uav` or `sat`.
        region: Region; tiles of one region may show the same slopes.
        sensor: As stated by the authors.
        gsd: Metres a pixel, as stated; several values cannot be native.
        licence: Terms of the provider, beside those of the record.
    """

    slug: str
    title: str
    tiles: int
    group: str
    region: str
    sensor: str
    gsd: float
    licence: str


_MAXAR = "Digital Globe Open Data, CC BY-NC 4.0"
_ESA = "ESA, non-commercial"
_SICHUAN = "Sichuan Geomatics Center, derivative works licence"

SUBSETS = {
    subset.slug: subset
    for subset in (
        Subset("palu", "palu", 817, "sat", "palu", "WorldView-2/3", 5, _MAXAR),
        Subset("lombok", "Lombok", 436, "sat", "lombok", "WorldView-2/3", 5, _MAXAR),
        Subset(
            "hokkaido", "Hokkaido Iburi-Tobu", 1484, "sat", "hokkaido", "SAT", 3,
            "GSI Japan, BY 4.0",
        ),
        Subset(
            "tiburon_sentinel", "Tiburon Peninsula (Sentinel)", 606, "sat", "tiburon",
            "Sentinel-2", 5, _ESA,
        ),
        Subset(
            "tiburon_planet", "Tiburon Peninsula (planet)", 325, "sat", "tiburon",
            "Planet", 4, "Planet education programme",
        ),
        Subset(
            "mengdong", "Mengdong Township", 1155, "sat", "mengdong", "SuperView-1",
            0.5, "image licence",
        ),
        Subset(
            "moxitaidi_sat", "Moxitaidi (SAT)", 652, "sat", "luding", "Sentinel-2",
            0.6, _ESA,
        ),
        Subset(
            "moxitaidi_uav06", "Moxitaidi (UAV-0.6m)", 984, "uav", "luding", "UAV",
            0.6, _SICHUAN,
        ),
        Subset(
            "moxitaidi_uav1", "Moxitaidi (UAV-1m)", 483, "uav", "luding", "UAV", 1,
            _SICHUAN,
        ),
        Subset(
            "moxi_uav02", "Moxi town (UAV-0.2m)", 1635, "uav", "luding", "UAV", 0.2,
            _SICHUAN,
        ),
        Subset(
            "moxi_uav1", "Moxi town (UAV-1m)", 160, "uav", "luding", "UAV", 1,
            _SICHUAN,
        ),
        Subset(
            "longxi_sat", "Longxi River (SAT)", 1769, "sat", "longxi", "GF-1", 0.5,
            "China Centre for Resources Satellite Data",
        ),
        Subset(
            "longxi_uav", "Longxi River (UAV)", 2504, "uav", "longxi", "UAV", 0.5,
            _SICHUAN,
        ),
        Subset(
            "jiuzhai_uav02", "Jiuzhai valley (UAV-0.2m)", 5925, "uav", "jiuzhai",
            "UAV", 0.2, _SICHUAN,
        ),
        Subset(
            "jiuzhai_uav05", "Jiuzhai valley (UAV-0.5m)", 1752, "uav", "jiuzhai",
            "UAV", 0.5, _SICHUAN,
        ),
        Subset(
            "wenchuan", "Wenchuan", 178, "sat", "wenchuan", "Landsat", 5,
            "USGS, LP DAAC terms",
        ),
    )
}  # fmt: skip


def find_places(
    folders: Sequence[epath.Path], slugs: Sequence[str]
) -> dict[str, epath.Path]:
    """Finds the archive or the folder of each sub set.

    Widths of parentheses, case, spaces, underscores and hyphens of names do not count:
    copies differ in them.

    Args:
        folders: Where to look, best first.
        slugs: Sub sets that are wanted.

    Returns:
        Folder, or zip archive where there is no folder, by slug, for those found.
    """
    wanted = {
        plain_name(name): slug for slug in slugs for name in (slug, SUBSETS[slug].title)
    }
    found: dict[str, epath.Path] = {}
    for folder in folders:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        # Folders come first: what is unpacked need not be unpacked.
        for entry in sorted(entries, key=lambda entry: not entry.is_dir()):
            zipped = entry.suffix.lower() == ".zip" and entry.is_file()
            if not (zipped or (entry.is_dir() and _image_folder(entry))):
                continue
            name = plain_name(entry.name[:-4] if zipped else entry.name)
            if name in wanted:
                found.setdefault(wanted[name], entry)
    return found


def find_areas(folders: Sequence[epath.Path]) -> epath.Path | None:
    """Finds the archive or the folder with the outlines of the study areas.

    Args:
        folders: Where to look, best first.

    Returns:
        A folder, or a zip archive where there is no folder; None without either.
    """
    for folder in folders:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        for entry in sorted(entries, key=lambda entry: not entry.is_dir()):
            zipped = entry.suffix.lower() == ".zip" and entry.is_file()
            name = plain_name(entry.name[:-4] if zipped else entry.name)
            if name in _AREAS and (zipped or entry.is_dir()):
                return entry
    return None


def list_tiles(slug: str, folder: epath.Path) -> Found[str]:
    """Pairs the images of a sub set with their masks.

    Args:
        slug: The sub set.
        folder: What its archive unpacks to.

    Returns:
        What is there; a key is `<slug>_<stem>`.

    Raises:
        DataError: If there is no pair, or two files are of one tile.
    """
    images = _image_folder(folder)
    if images is None:
        raise DataError(
            f"`{folder}` must hold `img/*.tif` and `mask/*.tif` of the sub set "
            f"`{slug}` of `cas_landslide`, received neither."
        )
    masks = _sister(images, "mask")
    found = match_files(images, masks, key=_stem, suffixes=_SUFFIXES)
    both = [pair for pair in found.pairs if pair.mask is not None]
    if not both:
        raise DataError(
            f"`{images}` must hold tiles whose names are those of masks in "
            f"`{masks}`, received {counted(len(found.pairs), 'image')}, "
            f"{counted(len(found.lone_masks), 'mask')} and no pair."
        )
    return dataclasses.replace(
        found,
        pairs=[Pair(f"{slug}_{p.image.stem}", p.image, p.mask) for p in both],
        lone_images=[p.image.name for p in found.pairs if p.mask is None],
    )


def plain_name(name: str) -> str:
    """Reduces a name to what copies of the data set agree on."""
    name = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in name if c.isalnum() or c == ".")


def _stem(stem: str) -> str:
    """Reduces a file's stem to what image and mask agree on.

    "UVA" and "UAV" are both in use for the same tiles.
    """
    return unicodedata.normalize("NFKC", stem).casefold().replace("uva", "uav")


def _image_folder(folder: epath.Path) -> epath.Path | None:
    """Returns the folder `img`, which may lie in one more folder, or None."""
    parents = [folder, *(p for p in sorted(folder.iterdir()) if p.is_dir())]
    found = (_sister(parent / "img", "img") for parent in parents)
    return next((path for path in found if path.is_dir()), None)


def _sister(path: epath.Path, name: str) -> epath.Path:
    """Returns the folder of a name beside a path, whatever its case."""
    for entry in sorted(path.parent.iterdir()):
        if entry.name.casefold() == name and entry.is_dir():
            return entry
    return path.parent / name

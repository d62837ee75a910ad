"""cas_landslide: tiles of nine regions (Xu Y. et al., Scientific Data 2024)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.cas_landslide.partition import DROPPED, SCHEMES, Split, Tile
from landslide_tf.datasets.cas_landslide.subsets import (
    LAYOUT,
    SUBSETS,
    find_areas,
    find_places,
    list_tiles,
)
from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.files import MANUAL_DIR_VARIABLE
from landslide_tf.datasets.common.info import RGB, make_info
from landslide_tf.datasets.common.pairing import Found
from landslide_tf.datasets.common.reading import read_mask, read_rgb
from landslide_tf.datasets.common.report import warn_incomplete, warn_of_fewer
from landslide_tf.datasets.common.tile_grid import quarter_digests, rebuild_grid
from landslide_tf.errors import DataError
from landslide_tf.words import counted

if TYPE_CHECKING:
    from landslide_tf.datasets.cas_landslide.areas import Area

SIZE = 512

_SCHEMES = {
    "block": "blocks of the tile grid, with a gap between parts",
    "random": "at random; parts share ground, since tiles overlap by half",
    "region": "a region left out for validation and another one for test",
}


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """Subsets of a configuration, and how they are split.

    Attributes:
        slugs: Keys of `SUBSETS`.
        scheme: A key of `SCHEMES`.
    """

    slugs: tuple[str, ...] = ()
    scheme: str = "block"


def _configs() -> list[Config]:
    groups = {
        "uav_sat": tuple(SUBSETS),
        **{
            group: tuple(slug for slug, s in SUBSETS.items() if s.group == group)
            for group in ("uav", "sat")
        },
        **{slug: (slug,) for slug in SUBSETS},
    }
    return [
        Config(
            name=name if scheme == "block" else f"{name}-{scheme}",
            description=f"{len(slugs)} of 16 sub sets, split by {how}.",
            slugs=slugs,
            scheme=scheme,
        )
        for name, slugs in groups.items()
        for scheme, how in _SCHEMES.items()
        if scheme != "region" or len(slugs) > 1
    ]


class Builder(LandslideBuilder[Tile]):
    """Builder of cas_landslide."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Download the archives from https://doi.org/10.5281/zenodo.10294997 and put them, as
    they are or unpacked, into `<manual_dir>/cas_landslide/` or `<manual_dir>/`:
    {LAYOUT}.
    """
    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.1.0": "Name and outline of the study area of each tile.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS: ClassVar[list[Config]] = _configs()
    ON_BEAM: ClassVar[bool] = True
    HALF_TILES: ClassVar[bool] = True

    def _info(self) -> tfds.core.DatasetInfo:
        text, scalar = tfds.features.Text, tfds.features.Scalar
        subsets = [SUBSETS[slug] for slug in self.builder_config.slugs]
        terms = sorted({subset.licence for subset in subsets})
        sizes = {subset.gsd for subset in subsets}
        return make_info(
            self,
            bands=RGB,
            size=SIZE,
            homepage="https://doi.org/10.5281/zenodo.10294997",
            licence=f"CC BY-NC 4.0; providers: {'; '.join(terms)}",
            gsd=sizes.pop() if len(sizes) == 1 else None,
            features={
                "subset": text(doc="Archive, as in the names of configurations."),
                "region": text(),
                "area": text(doc="Study area, as the record's shapefile calls it."),
                "outline": text(doc="Its outline, WKT in degrees; empty = unknown."),
                "group": text(doc="uav or sat"),
                "gsd": scalar(np.float32, doc="metres, as stated"),
                "component": scalar(np.int32),
                "x": scalar(np.int32),
                "y": scalar(np.int32),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Tile]]:
        """Finds the tiles and where they lie, and splits them."""
        tiles: list[Tile] = []
        files: dict[str, Any] = {}
        landslide: dict[str, int] = {}
        for slug, folder in self._folders(dl_manager).items():
            placed, files[slug] = _place(slug, list_tiles(slug, folder), landslide)
            tiles += placed
        split = SCHEMES[self.builder_config.scheme](tiles)
        self.info.metadata["files"] = files
        for part, members in split.items():
            pixels = sum(landslide[tile.pair.key] for tile in members)
            files[part] = {
                "examples": len(members),
                "landslide_share": pixels / (len(members) * SIZE**2 or 1),
            }
        split.pop(DROPPED, None)
        self._warn(files, split)
        self._areas = self._find_areas(dl_manager, sorted({t.slug for t in tiles}))
        return split

    def _generate_examples(self, split: str, items: Sequence[Tile]) -> Any:  # noqa: ANN401 - or Beam's
        return self.generate(items, functools.partial(make_example, self._areas))

    def _folders(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, epath.Path]:
        """Finds the sub sets, and unpacks those that are archives."""
        root = self.manual_root(dl_manager)
        looked = [root / self.name, root]
        places = find_places(looked, self.builder_config.slugs)
        if not places:
            raise DataError(
                f"`cas_landslide/{self.builder_config.name}` expects {LAYOUT}; looked "
                f"in {' and '.join(f'`{folder}`' for folder in looked)} and found none "
                f"of {', '.join(SUBSETS[s].title for s in self.builder_config.slugs)}; "
                "put them there, or name their folder with `--manual-dir` or "
                f"`{MANUAL_DIR_VARIABLE}`."
            )
        return {
            slug: place if place.is_dir() else self.unpack(place)
            for slug, place in sorted(places.items())
        }

    def _find_areas(
        self, dl_manager: tfds.download.DownloadManager, slugs: Sequence[str]
    ) -> dict[str, Area]:
        """Finds the study areas of sub sets, and lists them in the metadata."""
        root = self.manual_root(dl_manager)
        place = find_areas([root / self.name, root])
        if place is None:
            warn_incomplete(
                "`cas_landslide` has no outlines of its study areas: put `study areas "
                "shp.zip` beside the other archives."
            )
            return {}
        from landslide_tf.datasets.cas_landslide.areas import areas_of, read_areas

        folder = place if place.is_dir() else self.unpack(place)
        outlines = read_areas(Path(folder))
        found = areas_of(slugs, outlines)
        if lacking := sorted(set(slugs) - found.keys()):
            warn_incomplete(
                f"`{place}` has no outline for {', '.join(lacking)}: it holds "
                f"{', '.join(sorted(outlines))}."
            )
        self.info.metadata["areas"] = [
            {
                **dataclasses.asdict(area),
                "subsets": [s for s in found if found[s] == area],
            }
            for area in dict.fromkeys(found.values())
        ]
        return found

    def _warn(self, files: Mapping[str, Any], split: Split) -> None:
        here = {slug: files.get(slug) for slug in self.builder_config.slugs}
        warn_of_fewer(
            self.name,
            {slug: report["found"] if report else 0 for slug, report in here.items()},
            {slug: SUBSETS[slug].tiles for slug in here},
            "tiles",
        )
        if lone := sum(
            len(report["images_without_mask"] + report["masks_without_image"])
            for report in here.values()
            if report
        ):
            warn_incomplete(
                "`cas_landslide` leaves out "
                f"{counted(lone, 'image or mask', 'images or masks')} without partner."
            )
        if empty := [part for part, tiles in split.items() if not tiles]:
            warn_incomplete(
                "`cas_landslide` has too few tiles for the parts "
                f"{', '.join(empty)}: left out."
            )


def make_example(areas: Mapping[str, Area], tile: Tile) -> tuple[str, Example]:
    """Reads a tile.

    Args:
        areas: Study areas by sub set, of those that have an outline.
        tile: Where it lies.

    Returns:
        Its key and its example.

    Raises:
        DataError: If a file is broken or not as published.
    """
    subset, area = SUBSETS[tile.slug], areas.get(tile.slug)
    return tile.pair.key, {
        "image": read_rgb(tile.pair.image, SIZE),
        "mask": read_mask(tile.pair.mask, (SIZE, SIZE))[..., None],
        "id": tile.pair.key,
        "subset": tile.slug,
        "region": subset.region,
        "area": "" if area is None else area.name,
        "outline": "" if area is None else area.outline,
        "group": subset.group,
        "gsd": subset.gsd,
        "component": tile.component,
        "x": tile.place.x,
        "y": tile.place.y,
    }


def _place(
    slug: str, listed: Found[str], landslide: dict[str, int]
) -> tuple[list[Tile], dict[str, Any]]:
    """Finds where the tiles of a sub set lie; notes their landslide pixels."""
    digests = {}
    masks: Counter[bytes] = Counter()
    shown = tfds.core.utils.tqdm(
        listed.pairs, desc=f"Placing {slug}", leave=False, disable=None
    )
    for pair in shown:
        mask = read_mask(pair.mask, (SIZE, SIZE))
        digests[pair.key] = quarter_digests(read_rgb(pair.image, SIZE))
        landslide[pair.key] = int(mask.sum())
        masks[hashlib.sha256(mask.data).digest()] += 1
    places, contradictions = rebuild_grid(digests)
    numbers = {
        first: number
        for number, first in enumerate(sorted({p.component for p in places.values()}))
    }
    tiles = [
        Tile(slug, pair, place := places[pair.key], numbers[place.component])
        for pair in listed.pairs
    ]
    report = {
        "published": SUBSETS[slug].tiles,
        "found": len(tiles),
        "images_without_mask": listed.lone_images,
        "masks_without_image": listed.lone_masks,
        "ignored": listed.ignored,
        "without_landslide": sum(not landslide[tile.pair.key] for tile in tiles),
        "repeated_masks": sum(count - 1 for count in masks.values()),
        "components": len(numbers),
        "contradicting_links": contradictions,
    }
    return tiles, report

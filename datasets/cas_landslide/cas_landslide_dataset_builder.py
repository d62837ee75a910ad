"""cas_landslide: tiles of nine regions (Xu Y. et al., Scientific Data 2024)."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections import Counter
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.cas_landslide.partition import DROPPED, SCHEMES, Split, Tile
from landslide_tf.datasets.cas_landslide.subsets import (
    LAYOUT,
    SUBSETS,
    Tiles,
    find_places,
    list_tiles,
)
from landslide_tf.datasets.common.base import (
    BandInfo,
    IncompleteDataWarning,
    LandslideBuilder,
    make_metadata,
)
from landslide_tf.datasets.common.folders import MANUAL_DIR_VARIABLE
from landslide_tf.datasets.common.halves import quarter_digests, rebuild_grid
from landslide_tf.datasets.common.reading import read_mask, read_rgb
from landslide_tf.errors import DataError

SIZE = 512
CLASSES = ("background", "landslide")
BANDS = ("red", "green", "blue")

_SCHEMES = {
    "block": "blocks of the tile grid, with a gap between parts",
    "random": "at random; parts share ground, since tiles overlap by half",
    "region": "a region left out for validation and another one for test",
}


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """Which sub sets a configuration takes, and how it splits them.

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


class Builder(LandslideBuilder):
    """Builder of cas_landslide."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Download the archives from https://doi.org/10.5281/zenodo.10294997 and put them, as
    they are or unpacked, into `<manual_dir>/cas_landslide/` or `<manual_dir>/`:
    {LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[Config]] = _configs()
    DEFAULT_BUILDER_CONFIG_NAME = "uav_sat"
    ON_BEAM: ClassVar[bool] = True
    HALF_TILES: ClassVar[bool] = True
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(
                    shape=(SIZE, SIZE, 3), dtype=np.uint8, encoding_format="png"
                ),
                "mask": tfds.features.LabeledImage(
                    shape=(SIZE, SIZE, 1), labels=list(CLASSES), encoding_format="png"
                ),
                "id": text(),
                "subset": text(doc="Archive, as in the names of configurations."),
                "region": text(),
                "group": text(doc="uav or sat"),
                "gsd": tfds.features.Scalar(np.float32, doc="metres, as stated"),
                "component": tfds.features.Scalar(np.int32),
                "x": tfds.features.Scalar(np.int32),
                "y": tfds.features.Scalar(np.int32),
            }
        )
        subsets = [SUBSETS[slug] for slug in self.builder_config.slugs]
        terms = sorted({subset.licence for subset in subsets})
        sizes = {subset.gsd for subset in subsets}
        return self.dataset_info_from_configs(
            features=features,
            homepage="https://doi.org/10.5281/zenodo.10294997",
            supervised_keys=("image", "mask"),
            metadata=make_metadata(
                bands=[BandInfo(name=n, unit="", range=[0.0, 255.0]) for n in BANDS],
                factors=[],
                classes=CLASSES,
                landslide_class=CLASSES.index("landslide"),
                licence=f"CC BY-NC 4.0; providers: {'; '.join(terms)}",
                gsd=sizes.pop() if len(sizes) == 1 else None,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Any]:
        tiles: list[Tile] = []
        files: dict[str, Any] = {}
        landslide: dict[str, int] = {}
        for slug, folder in self._folders(dl_manager).items():
            listed = list_tiles(slug, folder)
            placed, files[slug] = _place(slug, listed, landslide)
            tiles += placed
        split = SCHEMES[self.builder_config.scheme](tiles)
        self.info.metadata["files"] = files
        for part, members in split.items():
            pixels = sum(landslide[tile.pair.key] for tile in members)
            files[part] = {
                "examples": len(members),
                "landslide_share": pixels / (len(members) * SIZE**2 or 1),
            }
        self._warn(files, split)
        return {
            part: self._generate_examples(members)
            for part, members in split.items()
            if members and part != DROPPED
        }

    def _generate_examples(self, tiles: list[Tile]) -> Any:  # noqa: ANN401 - or Beam's
        return self.generate(tiles, make_example)

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

    def _warn(self, files: dict[str, Any], split: Split) -> None:
        slugs = self.builder_config.slugs
        short = [
            f"{slug} {files[slug]['found'] if slug in files else 0} of "
            f"{SUBSETS[slug].tiles}"
            for slug in slugs
            if slug not in files or files[slug]["found"] < SUBSETS[slug].tiles
        ]
        here = [files[slug] for slug in slugs if slug in files]
        lone = [
            name
            for report in here
            for name in report["images_without_mask"] + report["masks_without_image"]
        ]
        empty = [part for part, tiles in split.items() if not tiles and part != DROPPED]
        for found, message in (
            (short, f"is built from less than was published: {', '.join(short)} tiles"),
            (lone, f"has {len(lone)} images or masks without partner: left out"),
            (empty, f"has too few tiles for the parts {', '.join(empty)}: left out"),
        ):
            if found:
                warnings.warn(
                    f"`cas_landslide` {message}.", IncompleteDataWarning, stacklevel=2
                )


def make_example(tile: Tile) -> tuple[str, dict[str, Any]]:
    """Reads a tile.

    Args:
        tile: Where it lies.

    Returns:
        Its key and its example.

    Raises:
        DataError: If a file is broken or not as published.
    """
    subset = SUBSETS[tile.slug]
    return tile.pair.key, {
        "image": _image(tile.pair.image),
        "mask": read_mask(tile.pair.mask, (SIZE, SIZE))[..., None],
        "id": tile.pair.key,
        "subset": tile.slug,
        "region": subset.region,
        "group": subset.group,
        "gsd": subset.gsd,
        "component": tile.component,
        "x": tile.place.x,
        "y": tile.place.y,
    }


def _image(path: epath.Path) -> np.ndarray:
    image = read_rgb(path)
    if image.shape[:2] != (SIZE, SIZE):
        raise DataError(
            f"`{path}` must be a tile of {SIZE} x {SIZE} pixels, received "
            f"{image.shape[0]} x {image.shape[1]}."
        )
    return image


def _place(
    slug: str, listed: Tiles, landslide: dict[str, int]
) -> tuple[list[Tile], dict[str, Any]]:
    """Finds where the tiles of a sub set lie; notes their landslide pixels."""
    digests = {}
    masks: Counter[bytes] = Counter()
    shown = tfds.core.utils.tqdm(listed.pairs, desc=f"Placing {slug}", leave=False)
    for pair in shown:
        mask = read_mask(pair.mask, (SIZE, SIZE))
        digests[pair.key] = quarter_digests(_image(pair.image))
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

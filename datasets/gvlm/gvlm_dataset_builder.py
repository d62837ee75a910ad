"""gvlm: image pairs of landslide sites at 0.59 m (Zhang et al. 2023)."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from numpy.typing import NDArray

from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import RGB, make_info
from landslide_tf.datasets.common.reading import open_raster, reading
from landslide_tf.datasets.common.report import warn_incomplete
from landslide_tf.datasets.common.splits import SPLITS, read_splits, split_by_hash
from landslide_tf.errors import DataError
from landslide_tf.words import counted

if TYPE_CHECKING:
    import rasterio

PUBLISHED = 17  # sites

_LAYOUT = "`<site>/im1.png` (before), `<site>/im2.png` (after) and `<site>/ref.png`"
_PATTERNS = [
    *(f"{start}{name}.*" for start in ("*/", "*/*/") for name in ("im1", "ref")),
    "GVLM*/*/*.png",
    "GVLM*/*/*.tif",
]
_ARCHIVES = ("GVLM*.zip", "gvlm*.zip")
TILE = 512  # pixels

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_MASKS = ("ref", "label", "mask", "gt")
_BEFORE = ("im1", "img1", "image1", "a", "t1", "pre", "before")
_AFTER = ("im2", "img2", "image2", "b", "t2", "post", "after")
_HELD_OUT = 3 / 17  # of the sites, for validation and for test each


@dataclasses.dataclass(frozen=True)
class Site:
    """Pictures of a site.

    Attributes:
        name: Name of its folder.
        pre: Before.
        post: After.
        mask: Landslides.
        ignored: Names of other files of the folder.
    """

    name: str
    pre: epath.Path
    post: epath.Path
    mask: epath.Path
    ignored: list[str]


class Builder(LandslideBuilder[Site]):
    """Builder of gvlm."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Follow the links of https://github.com/zxk688/GVLM and unpack the pairs into
    `<manual_dir>/gvlm/`: {_LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name="sites", description="Whole sites are held out.")
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return make_info(
            self,
            bands=RGB,
            images=("pre", "post"),
            image_format=None,
            inputs=(),
            homepage="https://github.com/zxk688/GVLM",
            licence="non-commercial use only",
            gsd=0.59,
            features={
                "site": tfds.features.Text(),
                "row": tfds.features.Scalar(np.int32),
                "col": tfds.features.Scalar(np.int32),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Site]]:
        """Lists the sites by split."""
        root = self.find_files(dl_manager, _PATTERNS, _ARCHIVES, _LAYOUT).parent.parent
        sites = [_site(path) for path in sorted(root.iterdir()) if path.is_dir()]
        splits = split_sites(root, sites)
        self.info.metadata["files"] = {
            split: {
                "sites": [site.name for site in members],
                "ignored": [name for site in members for name in site.ignored],
            }
            for split, members in splits.items()
        }
        if len(sites) < PUBLISHED:
            warn_incomplete(
                f"`gvlm` is built from less than was published: {len(sites)} of "
                f"{PUBLISHED} sites."
            )
        return splits

    def read(self, split: str, item: Site) -> Iterator[Example]:
        """Cuts a site into tiles."""
        for tile in cut(item):
            self.tally.add(split, tile["post"], tile["mask"])
            name = f"{item.name}_{tile['row']}_{tile['col']}"
            yield {**tile, "id": name, "site": item.name}


def split_sites(root: epath.Path, sites: list[Site]) -> dict[str, list[Site]]:
    """Splits the sites by the user's list or by the hash of their names.

    Args:
        root: The folder, perhaps with `splits.csv`.
        sites: All sites.

    Returns:
        Sites by split.

    Raises:
        DataError: If the list leaves out a site or names another split.
    """
    path = root / "splits.csv"
    names = [site.name for site in sites]
    if path.exists():
        chosen = read_splits(path, names, "site")
    else:
        parts = split_by_hash(names, 0, test=_HELD_OUT, validation=_HELD_OUT)
        chosen = {name: split for split, members in parts.items() for name in members}
    return {s: [site for site in sites if chosen[site.name] == s] for s in SPLITS}


def cut(site: Site) -> Iterator[Example]:
    """Cuts a site into tiles that do not overlap.

    Args:
        site: The site; only a strip of it is in memory at a time.

    Yields:
        First row and column of each tile and its pixels, `pre`, `post` and `mask`,
        from the top left; the last ones of a row and a column may be smaller.

    Raises:
        DataError: If a picture is broken, an image is not red, green, blue of 8 bits,
            sizes differ, or the mask has more than two values.
    """
    _check_mask(site.mask)
    with contextlib.ExitStack() as stack:
        paths = (site.pre, site.post, site.mask)
        pre, post, mask = (stack.enter_context(open_raster(p)) for p in paths)
        for path, source in zip(paths, (pre, post, mask), strict=True):
            if source.shape != post.shape:
                raise DataError(
                    f"`{path}` must have the size {post.shape} of `{site.post.name}`, "
                    f"received {source.shape}; restore the file."
                )
            colours = source.count in (3, 4) and set(source.dtypes) == {"uint8"}
            if source is not mask and not colours:
                raise DataError(
                    f"`{path}` must be a picture with red, green, blue of 8 bits, "
                    f"received {counted(source.count, 'band')} of {source.dtypes[0]}."
                )
        strips = zip(
            _strips(site.pre, pre, 3),
            _strips(site.post, post, 3),
            _strips(site.mask, mask, 1),
            strict=True,
        )
        for number, (before, after, labels) in enumerate(strips):
            for col in range(0, labels.shape[1], TILE):
                columns = (slice(None), slice(col, col + TILE))
                yield {
                    "row": number * TILE,
                    "col": col,
                    "pre": before[columns],
                    "post": after[columns],
                    "mask": (labels[columns][..., 0] != 0).astype(np.uint8),
                }


def _site(folder: epath.Path) -> Site:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    pictures = [
        path
        for path in files
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    ]
    masks = [path for path in pictures if path.stem.lower() in _MASKS]
    if not masks and len(pictures) == 3:
        masks = [path for path in pictures if len(_values(path)) < 3]
    images = {path.stem.lower(): path for path in pictures if path not in masks}
    pre = next((images[name] for name in _BEFORE if name in images), None)
    post = next((images[name] for name in _AFTER if name in images), None)
    if len(pictures) != 3 or len(masks) != 1 or pre is None or post is None:
        listed = ", ".join(f"`{path.name}`" for path in pictures) or "no picture"
        raise DataError(
            f"`{folder}` must hold `im1.png` (before), `im2.png` (after) and `ref.png` "
            f"(0 and one other value), received {listed}; restore or remove the folder."
        )
    ignored = [f"{folder.name}/{path.name}" for path in files if path not in pictures]
    return Site(folder.name, pre, post, masks[0], ignored)


def _strips(
    path: epath.Path, source: rasterio.DatasetReader, bands: int
) -> Iterator[NDArray[Any]]:
    """Reads a picture from top to bottom, `TILE` rows at a time."""
    for row in range(0, source.height, TILE):
        rows = (row, min(row + TILE, source.height))
        with reading(path, "a picture"):
            strip = source.read(
                list(range(1, bands + 1)), window=(rows, (0, source.width))
            )
        yield np.moveaxis(strip, 0, -1)


def _values(path: epath.Path) -> set[int]:
    """Returns the values of a picture, or the first ones where there are many."""
    found: set[int] = set()
    with open_raster(path) as source:
        for strip in _strips(path, source, min(source.count, 3)):
            found |= set(np.unique(strip).tolist())
            if len(found) > 2:
                break
    return found


def _check_mask(path: epath.Path) -> None:
    labels = sorted(_values(path) - {0})
    if len(labels) > 1:
        raise DataError(
            f"`{path}` must hold 0 for background and one value for landslide, "
            f"received {labels[0]:g} and {labels[1]:g}: it is not a binary mask."
        )

"""bijie_landslide: landslides of Bijie, Guizhou (Ji et al., Landslides 2020)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.datasets.bijie_landslide.files import (
    ARCHIVES,
    KINDS,
    LAYOUT,
    PATTERNS,
    PUBLISHED,
    Listing,
    Scene,
    list_scenes,
)
from landslide_tf.datasets.bijie_landslide.partition import SCHEMES
from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import BINARY, RGB, BandInfo, make_info
from landslide_tf.datasets.common.reading import read_mask, read_raster, read_rgb
from landslide_tf.datasets.common.report import report_files, warn_incomplete
from landslide_tf.errors import DataError
from landslide_tf.words import counted

LABELS = ("non-landslide", "landslide")

_SCHEMES = {
    "county": "Whole counties apart: {task}.",
    "grouped": "Images that share pixels stay together, 70/15/15 %: {task}.",
    "random": "At random, 70/15/15 %, as most papers do; parts share ground: {task}.",
    "released": "Train and test of the released lists; they share ground: {task}.",
}


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """What is asked of an image, and how images are split.

    Attributes:
        task: `segmentation` or `classification`.
        scheme: A key of `SCHEMES`.
    """

    task: str = "segmentation"
    scheme: str = "county"


def _configs() -> list[Config]:
    return [
        Config(
            name=task if scheme == "county" else f"{task}-{scheme}",
            description=described.format(task=task),
            task=task,
            scheme=scheme,
        )
        for task in ("segmentation", "classification")
        for scheme, described in _SCHEMES.items()
    ]


class Builder(LandslideBuilder[Scene]):
    """Builder of bijie_landslide."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    The authors' page (gpcv.whu.edu.cn/data/Bijie_pages.html) has been down since 2023;
    Kaggle has a copy (hanstankman/bijie-landslidedataset). Put the folder or its zip
    archive into `<manual_dir>/bijie_landslide/` or `<manual_dir>/`: {LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[Config]] = _configs()

    def _info(self) -> tfds.core.DatasetInfo:
        segmentation = self.builder_config.task == "segmentation"
        dem = BandInfo(name="dem", unit="", range=[-32768.0, 65535.0])
        return make_info(
            self,
            bands=RGB,
            factors=[dem] if segmentation else [],
            classes=BINARY if segmentation else LABELS,
            target="mask" if segmentation else "label",
            homepage="http://gpcv.whu.edu.cn/data/Bijie_pages.html",
            licence="free for research; no formal licence",
            gsd=0.8,
            features={
                "region": tfds.features.Text(doc="Letters of the name: the county."),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Scene]]:
        """Lists the images by split."""
        place = self.find_files(dl_manager, PATTERNS, ARCHIVES, LAYOUT)
        listing = list_scenes(place)
        report = report_files(
            self.name,
            {kind: listing.found(kind) for kind in KINDS},
            PUBLISHED,
            images_without_mask={"landslide": listing.without_mask},
        )
        scenes = dict(listing.scenes)
        if self.builder_config.task == "segmentation":
            scenes["landslide"] = _with_mask(listing, place)
        parts = SCHEMES[self.builder_config.scheme](scenes)
        self.info.metadata["files"] = report
        everything = [scene for kind in KINDS for scene in scenes[kind]]
        return {
            part: [scene for scene in everything if scene.name in names]
            for part, names in parts.items()
        }

    def read(self, split: str, item: Scene) -> Iterator[Example]:
        """Reads an image."""
        image = read_rgb(item.image)
        example = {"image": image, "id": item.name, "region": item.prefix}
        report = self.info.metadata["files"].setdefault(split, {})
        if self.builder_config.task == "classification":
            example["label"] = item.kind
            report["examples"] = report.get("examples", 0) + 1
        else:
            size = image.shape[:2]
            mask = example["mask"] = _mask(item, size)
            example["factors"], dem = read_dem(item.dem, size)
            self.tally.add(split, image, mask)
            found = report.setdefault("dem", {})
            found[dem] = found.get(dem, 0) + 1
        yield example


def _with_mask(listing: Listing, place: epath.Path) -> list[Scene]:
    """Returns the landslide images that can be segmented; warns of the others."""
    masked = [s for s in listing.scenes["landslide"] if s.mask is not None]
    if not masked:
        raise DataError(
            f"`{place}` must hold masks of its landslide images, received none; take "
            "a configuration `classification`, or the original layout."
        )
    if lost := listing.without_mask:
        warn_incomplete(
            f"`bijie_landslide` leaves out {counted(len(lost), 'landslide image')} "
            f"without a mask, the first `{lost[0]}`."
        )
    return masked


def _mask(scene: Scene, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Reads the mask, which images without a landslide need not have."""
    if scene.mask is None:
        return np.zeros(size, np.uint8)
    mask = read_mask(scene.mask, size)
    if scene.kind == "non-landslide" and mask.any():
        raise DataError(
            f"`{scene.mask}` must be empty, since its image is said to show no "
            "landslide; received landslide pixels."
        )
    return mask


def read_dem(path: epath.Path | None, size: tuple[int, int]) -> tuple[FloatArray, str]:
    """Reads an elevation file, bilinearly resampled where it has another size.

    Args:
        path: PNG or TIFF of 8 or 16 bits; None = there is none.
        size: Rows and columns of the image.

    Returns:
        float32 (H, W, 1) in the file's own unit, NaN without a file; and what the file
        is, for the report.

    Raises:
        DataError: If the file is broken or holds something else.
    """
    if path is None:
        return np.full((*size, 1), np.nan, np.float32), "none"
    values = read_raster(path).values
    if values.shape[-1] != 1 or values.dtype not in (np.uint8, np.uint16, np.int16):
        raise DataError(
            f"`{path}` must be an elevation of one band of 8 or 16 bits, received "
            f"{counted(values.shape[-1], 'band')} of {values.dtype}."
        )
    kind = f"{values.dtype} {path.suffix.lower().lstrip('.')}"
    dem = values[..., 0].astype(np.float32)
    if dem.shape != size:
        from PIL import Image  # too slow for `import landslide_tf`

        picture = Image.fromarray(dem).resize(size[::-1], Image.Resampling.BILINEAR)
        dem, kind = np.asarray(picture), f"{kind} of another size"
    return dem[..., None], kind

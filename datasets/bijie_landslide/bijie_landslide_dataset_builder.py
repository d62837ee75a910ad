"""bijie_landslide: landslides of Bijie, Guizhou (Ji et al., Landslides 2020)."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

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
from landslide_tf.datasets.bijie_landslide.rasters import read_dem
from landslide_tf.datasets.common.base import (
    BandInfo,
    IncompleteDataWarning,
    LandslideBuilder,
    make_metadata,
)
from landslide_tf.datasets.common.pairing import Tally, report_files
from landslide_tf.datasets.common.reading import read_mask, read_rgb
from landslide_tf.errors import DataError

CLASSES = ("background", "landslide")
LABELS = ("non-landslide", "landslide")
BANDS = ("red", "green", "blue")

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


class Builder(LandslideBuilder):
    """Builder of bijie_landslide."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    The authors' page (gpcv.whu.edu.cn/data/Bijie_pages.html) has been down since 2023;
    Kaggle has a copy (hanstankman/bijie-landslidedataset). Put the folder or its zip
    archive into `<manual_dir>/bijie_landslide/` or `<manual_dir>/`: {LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[Config]] = _configs()
    DEFAULT_BUILDER_CONFIG_NAME = "segmentation"
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        segmentation = self.builder_config.task == "segmentation"
        features = {
            "image": tfds.features.Image(
                shape=(None, None, 3), dtype=np.uint8, encoding_format="png"
            ),
            "id": tfds.features.Text(),
            "region": tfds.features.Text(doc="Letters of the name: the county."),
        }
        if segmentation:
            features["factors"] = tfds.features.Tensor(
                shape=(None, None, 1), dtype=np.float32, encoding="zlib"
            )
            features["mask"] = tfds.features.LabeledImage(
                shape=(None, None, 1), labels=list(CLASSES), encoding_format="png"
            )
        else:
            features["label"] = tfds.features.ClassLabel(names=list(LABELS))
        dem = BandInfo(name="dem", unit="", range=[-32768.0, 65535.0])
        classes = CLASSES if segmentation else LABELS
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            homepage="http://gpcv.whu.edu.cn/data/Bijie_pages.html",
            supervised_keys=("image", "mask" if segmentation else "label"),
            metadata=make_metadata(
                bands=[BandInfo(name=n, unit="", range=[0.0, 255.0]) for n in BANDS],
                factors=[dem] if segmentation else [],
                classes=classes,
                landslide_class=classes.index("landslide"),
                licence="free for research; no formal licence",
                gsd=0.8,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        place = self.find_files(dl_manager, PATTERNS, ARCHIVES, LAYOUT)
        listing = list_scenes(place)
        self.info.metadata["files"] = report_files(
            self.name,
            {kind: listing.found(kind) for kind in KINDS},
            PUBLISHED,
            images_without_mask={"landslide": listing.without_mask},
        )
        scenes = listing.scenes
        if self.builder_config.task == "segmentation":
            scenes = {
                "landslide": _with_mask(listing, place),
                "non-landslide": scenes["non-landslide"],
            }
        parts = SCHEMES[self.builder_config.scheme](scenes)
        everything = [scene for kind in KINDS for scene in scenes[kind]]
        return {
            part: self._generate_examples(
                part, [scene for scene in everything if scene.name in names]
            )
            for part, names in parts.items()
        }

    def _generate_examples(
        self, part: str, scenes: list[Scene]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        tally = Tally(self.info.metadata)
        dems: Counter[str] = Counter()
        for scene in scenes:
            image = read_rgb(scene.image)
            example = {"image": image, "id": scene.name, "region": scene.prefix}
            if self.builder_config.task == "classification":
                example["label"] = scene.kind
            else:
                size = image.shape[:2]
                mask = _mask(scene, size)
                example["mask"] = mask[..., None]
                example["factors"], dem = read_dem(scene.dem, size)
                dems[dem] += 1
                tally.add(part, image, mask)
            yield scene.name, example
        self.info.metadata["files"].setdefault(part, {"examples": len(scenes)})
        if dems:
            self.info.metadata["files"][part]["dem"] = dict(dems)


def _with_mask(listing: Listing, place: epath.Path) -> list[Scene]:
    """Returns the landslide images that can be segmented; warns of the others."""
    masked = [s for s in listing.scenes["landslide"] if s.mask is not None]
    if not masked:
        raise DataError(
            f"`{place}` must hold masks of its landslide images, received none; take "
            "a configuration `classification`, or the original layout."
        )
    if lost := listing.without_mask:
        warnings.warn(
            f"`bijie_landslide` has {len(lost)} landslide images without a mask, among "
            f"them `{lost[0]}`: they are left out.",
            IncompleteDataWarning,
            stacklevel=2,
        )
    return masked


def _mask(scene: Scene, size: tuple[int, int]) -> np.ndarray:
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

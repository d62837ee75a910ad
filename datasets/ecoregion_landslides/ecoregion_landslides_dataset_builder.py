"""ecoregion_landslides: image pairs of four ecoregions of the United States."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.base import (
    BandInfo,
    IncompleteDataWarning,
    LandslideBuilder,
    make_metadata,
)
from landslide_tf.datasets.common.pairing import Tally
from landslide_tf.datasets.common.reading import read_rgb
from landslide_tf.datasets.ecoregion_landslides.labels import read_label
from landslide_tf.datasets.ecoregion_landslides.pairs import (
    LAYOUT,
    Folder,
    ImagePair,
    find_pairs,
    split_pairs,
)
from landslide_tf.ecoregions import CODES, REGIONS
from landslide_tf.errors import DataError

CLASSES = ("background", "landslide")
_PATTERNS = ["*/POST_IMAGES", "*/*/POST_IMAGES"]
_ARCHIVES = ("ecoregion_landslides*.zip",)
_MOST_STRETCH = 0.01  # relative difference of the two images' aspect


class ResizedImageWarning(UserWarning):
    """An image before the event is brought to the size of the one after."""


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """Which regions a configuration holds.

    Attributes:
        regions: Their indices.
    """

    regions: tuple[int, ...] = (0, 1, 2, 3)


class Builder(LandslideBuilder):
    """Builder of ecoregion_landslides."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    The images are not released: save them from Google Earth at the published
    coordinates, label them with labelme, and put them into
    `<manual_dir>/ecoregion_landslides/`: {LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(name="all", description="All four ecoregions."),
        *(
            Config(
                name=code.lower(),
                description=f"{region.replace('_', ' ').title()}.",
                regions=(index,),
            )
            for index, (code, region) in enumerate(zip(CODES, REGIONS, strict=True))
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "all"
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "pre": tfds.features.Image(shape=(None, None, 3)),
                "post": tfds.features.Image(shape=(None, None, 3)),
                "mask": tfds.features.LabeledImage(
                    shape=(None, None, 1), labels=list(CLASSES), encoding_format="png"
                ),
                "id": tfds.features.Text(),
                "pair_id": tfds.features.Text(),
                "region": tfds.features.ClassLabel(names=list(REGIONS)),
                # As bytes: TFDS stores float64 with the digits of float32 otherwise.
                "bbox": tfds.features.Tensor(
                    shape=(4,), dtype=np.float64, encoding="bytes"
                ),
                "size_m": tfds.features.Tensor(shape=(2,), dtype=np.float32),
                "pre_date": tfds.features.Scalar(np.int32),
                "post_date": tfds.features.Scalar(np.int32),
                "flags": tfds.features.Text(),
            }
        )
        colours = ("red", "green", "blue")
        return self.dataset_info_from_configs(
            features=features,
            homepage="https://www.usgs.gov/tools/us-landslide-inventory",
            metadata=make_metadata(
                bands=[BandInfo(name=c, unit="", range=[0.0, 255.0]) for c in colours],
                factors=[],
                classes=CLASSES,
                landslide_class=CLASSES.index("landslide"),
                licence="none stated; the images are Google Earth's",
                gsd=None,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        found = self.find_files(dl_manager, _PATTERNS, _ARCHIVES, LAYOUT)
        root = found.parent.parent
        folder = find_pairs(root, self.builder_config.regions)
        splits = split_pairs(root, folder.pairs)
        # What did not change between two images of one day is no background.
        same = [p for p in splits["train"] if "same_date" in p.flags]
        splits["train"] = [p for p in splits["train"] if p not in same]
        self.info.metadata["files"] = _report(folder, splits, same)
        tally = Tally(self.info.metadata)
        return {
            split: self._generate_examples(split, pairs, tally)
            for split, pairs in splits.items()
            if pairs
        }

    def _generate_examples(
        self, split: str, pairs: list[ImagePair], tally: Tally
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for pair in pairs:
            post = read_rgb(pair.post)
            pre = _fitted(read_rgb(pair.pre), post, pair)
            mask = read_label(pair.label, post.shape[:2])
            tally.add(split, post, mask)
            yield (
                pair.pair_id,
                {
                    "pre": pre,
                    "post": post,
                    "mask": mask[..., None],
                    "id": pair.pair_id,
                    "pair_id": pair.pair_id,
                    "region": pair.region,
                    "bbox": np.array(pair.box.key),
                    "size_m": np.array(pair.box.size, np.float32),
                    "pre_date": pair.pre_date,
                    "post_date": pair.post_date,
                    "flags": ",".join(pair.flags),
                },
            )


def _fitted(pre: np.ndarray, post: np.ndarray, pair: ImagePair) -> np.ndarray:
    """Brings the image before to the size of the one after, if it is the same view."""
    if pre.shape == post.shape:
        return pre
    from PIL import Image

    height, width = post.shape[:2]
    stretch = (pre.shape[1] / pre.shape[0]) / (width / height)
    if not abs(stretch - 1) < _MOST_STRETCH:
        raise DataError(
            f"`{pair.pre}` must show the view of `{pair.post.name}`, "
            f"{post.shape[:2]}, received {pre.shape[:2]}; save both from one view."
        )
    warnings.warn(
        f"`{pair.pre}` is resized from {pre.shape[:2]} to {post.shape[:2]} like "
        f"`{pair.post.name}`.",
        ResizedImageWarning,
        stacklevel=2,
    )
    smaller = height < pre.shape[0] and width < pre.shape[1]
    method = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pre).resize((width, height), method))


def _report(
    folder: Folder, splits: dict[str, list[ImagePair]], same: list[ImagePair]
) -> dict[str, dict[str, Any]]:
    """Counts pairs by split, and warns of those left out."""
    report: dict[str, dict[str, Any]] = {
        split: {"found": len(pairs)} for split, pairs in splits.items()
    }
    report["train"] |= {
        "incomplete": folder.incomplete,
        "ignored": folder.ignored,
        "same_date": [pair.pair_id for pair in same],
    }
    if folder.incomplete:
        warnings.warn(
            f"`ecoregion_landslides` leaves out {len(folder.incomplete)} incomplete "
            f"pairs, among them `{folder.incomplete[0]}`.",
            IncompleteDataWarning,
            stacklevel=3,
        )
    if same:
        warnings.warn(
            f"`ecoregion_landslides` leaves out {len(same)} pairs of train whose "
            f"images have one date, among them `{same[0].pair_id}`.",
            IncompleteDataWarning,
            stacklevel=3,
        )
    return report

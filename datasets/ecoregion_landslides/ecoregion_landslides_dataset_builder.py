"""ecoregion_landslides: image pairs of four ecoregions of the United States."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import RGB, make_info
from landslide_tf.datasets.common.reading import read_rgb
from landslide_tf.datasets.common.report import warn_incomplete
from landslide_tf.datasets.ecoregion_landslides.files import (
    LAYOUT,
    ImagePair,
    check_view,
    find_pairs,
    read_label,
    split_pairs,
)
from landslide_tf.ecoregions import CODES, REGIONS
from landslide_tf.errors import warn
from landslide_tf.words import counted

_PATTERNS = ["*/POST_IMAGES", "*/*/POST_IMAGES"]
_ARCHIVES = ("ecoregion_landslides*.zip",)


class ResizedImageWarning(UserWarning):
    """An image before the event is brought to the size of the one after."""


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """Which regions a configuration holds.

    Attributes:
        regions: Their indices.
    """

    regions: tuple[int, ...] = (0, 1, 2, 3)


class Builder(LandslideBuilder[ImagePair]):
    """Builder of ecoregion_landslides."""

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

    def _info(self) -> tfds.core.DatasetInfo:
        scalar, tensor = tfds.features.Scalar, tfds.features.Tensor
        return make_info(
            self,
            bands=RGB,
            images=("pre", "post"),
            image_format=None,
            inputs=(),
            homepage="https://www.usgs.gov/tools/us-landslide-inventory",
            licence="none stated; the images are Google Earth's",
            features={
                "pair_id": tfds.features.Text(),
                "region": tfds.features.ClassLabel(names=list(REGIONS)),
                # As bytes: TFDS stores float64 with the digits of float32 otherwise.
                "bbox": tensor(shape=(4,), dtype=np.float64, encoding="bytes"),
                "size_m": tensor(shape=(2,), dtype=np.float32),
                "pre_date": scalar(np.int32),
                "post_date": scalar(np.int32),
                "flags": tfds.features.Text(),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[ImagePair]]:
        """Lists the pairs by split."""
        found = self.find_files(dl_manager, _PATTERNS, _ARCHIVES, LAYOUT)
        root = found.parent.parent
        folder = find_pairs(root, self.builder_config.regions)
        splits = split_pairs(root, folder.pairs)
        # What did not change between two images of one day is no background.
        same = [p.pair_id for p in splits["train"] if "same_date" in p.flags]
        splits["train"] = [p for p in splits["train"] if p.pair_id not in same]
        report = {split: {"found": len(pairs)} for split, pairs in splits.items()}
        left_out = {
            "incomplete": folder.incomplete,
            "ignored": folder.ignored,
            "same_date": same,
        }
        self.info.metadata["files"] = report | {"train": report["train"] | left_out}
        if folder.incomplete:
            warn_incomplete(
                "`ecoregion_landslides` leaves out "
                f"{counted(len(folder.incomplete), 'incomplete pair')}, the first "
                f"`{folder.incomplete[0]}`."
            )
        if same:
            warn_incomplete(
                "`ecoregion_landslides` leaves out "
                f"{counted(len(same), 'pair')} of train whose images have one date, "
                f"the first `{same[0]}`."
            )
        return splits

    def read(self, split: str, item: ImagePair) -> Iterator[Example]:
        """Reads a pair."""
        post = read_rgb(item.post)
        mask = read_label(item.label, post.shape[:2])
        self.tally.add(split, post, mask)
        yield {
            "pre": _fitted(read_rgb(item.pre), post, item),
            "post": post,
            "mask": mask,
            "id": item.pair_id,
            "pair_id": item.pair_id,
            "region": item.region,
            "bbox": np.array(item.box.key),
            "size_m": np.array(item.box.size, np.float32),
            "pre_date": item.pre_date,
            "post_date": item.post_date,
            "flags": ",".join(item.flags),
        }


def _fitted(
    pre: NDArray[np.uint8], post: NDArray[np.uint8], pair: ImagePair
) -> NDArray[np.uint8]:
    """Brings the image before to the size of the one after, if it is the same view."""
    if pre.shape == post.shape:
        return pre
    from PIL import Image

    check_view(pre, post, pair.pre)
    warn(
        f"`{pair.pre}` is resized from {pre.shape[:2]} to {post.shape[:2]} like "
        f"`{pair.post.name}`.",
        ResizedImageWarning,
    )
    height, width = post.shape[:2]
    smaller = height < pre.shape[0] and width < pre.shape[1]
    method = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pre).resize((width, height), method))

"""gvlm: image pairs of landslide sites at 0.59 m (Zhang et al. 2023)."""

from __future__ import annotations

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
from landslide_tf.datasets.gvlm.sites import Site, cut, find_sites, split_sites

CLASSES = ("background", "landslide")
PUBLISHED = 17  # sites

_LAYOUT = "`<site>/im1.png` (before), `<site>/im2.png` (after) and `<site>/ref.png`"
_PATTERNS = [
    *(f"{start}{name}.*" for start in ("*/", "*/*/") for name in ("im1", "ref")),
    "GVLM*/*/*.png",
    "GVLM*/*/*.tif",
]
_ARCHIVES = ("GVLM*.zip", "gvlm*.zip")


class Builder(LandslideBuilder):
    """Builder of gvlm."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Follow the links of https://github.com/zxk688/GVLM and unpack the pairs into
    `<manual_dir>/gvlm/`: {_LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name="sites", description="Whole sites are held out.")
    ]
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
                "site": tfds.features.Text(),
                "row": tfds.features.Scalar(np.int32),
                "col": tfds.features.Scalar(np.int32),
            }
        )
        colours = ("red", "green", "blue")
        return self.dataset_info_from_configs(
            features=features,
            homepage="https://github.com/zxk688/GVLM",
            metadata=make_metadata(
                bands=[BandInfo(name=c, unit="", range=[0.0, 255.0]) for c in colours],
                factors=[],
                classes=CLASSES,
                landslide_class=CLASSES.index("landslide"),
                licence="non-commercial use only",
                gsd=0.59,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        root = self.find_files(dl_manager, _PATTERNS, _ARCHIVES, _LAYOUT).parent.parent
        sites = find_sites(root)
        splits = split_sites(root, sites)
        self.info.metadata["files"] = {
            split: {
                "sites": [site.name for site in members],
                "ignored": [name for site in members for name in site.ignored],
            }
            for split, members in splits.items()
        }
        if len(sites) < PUBLISHED:
            warnings.warn(
                f"`gvlm` is built from less than was published: {len(sites)} of "
                f"{PUBLISHED} sites.",
                IncompleteDataWarning,
                stacklevel=2,
            )
        tally = Tally(self.info.metadata)
        return {
            split: self._generate_examples(split, members, tally)
            for split, members in splits.items()
            if members
        }

    def _generate_examples(
        self, split: str, sites: list[Site], tally: Tally
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for site in sites:
            for tile in cut(site):
                tally.add(split, tile.post, tile.mask)
                name = f"{site.name}_{tile.row}_{tile.col}"
                yield (
                    name,
                    {
                        "pre": tile.pre,
                        "post": tile.post,
                        "mask": tile.mask[..., None],
                        "id": name,
                        "site": site.name,
                        "row": tile.row,
                        "col": tile.col,
                    },
                )

"""mmlsv2: multimodal Martian landslides, version 2 (Paheding et al. 2026)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.base import BandInfo, LandslideBuilder, make_metadata
from landslide_tf.datasets.common.pairing import Pair, Tally, report_files, unlabelled
from landslide_tf.datasets.mmlsv2.rasters import (
    BANDS,
    CELL,
    DIVISORS,
    SIZE,
    Tile,
    read_tile,
    read_tile_mask,
)
from landslide_tf.datasets.mmlsv2.tiles import (
    ARCHIVES,
    LAYOUT,
    PATTERNS,
    PUBLISHED,
    Position,
    find_parts,
    regroup,
)
from landslide_tf.errors import DataError

CLASSES = ("background", "landslide")
_UNITS = {"dem": "metre", "slope": "degree"}


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """How a configuration splits and scales.

    Attributes:
        clean: Whether labelled tiles are regrouped so that parts share no ground.
        unit: Whether bands are divided by their ranges.
    """

    clean: bool = True
    unit: bool = False


class Builder(LandslideBuilder):
    """Builder of mmlsv2."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Download https://huggingface.co/datasets/MarsLS/MMLSv2 or the data of the 2026
    challenge and unpack it into `<manual_dir>/mmlsv2/`: {LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(name="clean", description="Labelled tiles by blocks of 6 x 6, raw."),
        Config(name="published", description="As published, raw.", clean=False),
        Config(name="clean-unit", description="As clean, scaled.", unit=True),
        Config(name="published-unit", description="Scaled.", clean=False, unit=True),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "clean"
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Tensor(
                    shape=(SIZE, SIZE, len(BANDS)), dtype=np.float32, encoding="zlib"
                ),
                "mask": tfds.features.LabeledImage(
                    shape=(SIZE, SIZE, 1), labels=list(CLASSES), encoding_format="png"
                ),
                "id": tfds.features.Text(),
                "row": tfds.features.Scalar(np.int32),
                "col": tfds.features.Scalar(np.int32),
                # As bytes: TFDS stores float64 with the digits of float32 otherwise.
                "transform": tfds.features.Tensor(
                    shape=(6,), dtype=np.float64, encoding="bytes"
                ),
                "crs": tfds.features.Text(),
            }
        )
        units = {} if not self.builder_config.unit else dict.fromkeys(BANDS, "1")
        return self.dataset_info_from_configs(
            features=features,
            homepage="https://github.com/MAIN-Lab/MMLS_v2",
            supervised_keys=("image", "mask"),
            metadata=make_metadata(
                bands=[
                    BandInfo(name=b, unit=units.get(b, _UNITS.get(b, "")))
                    for b in BANDS
                ],
                factors=[],
                classes=CLASSES,
                landslide_class=CLASSES.index("landslide"),
                licence="MIT",
                gsd=CELL,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        parts = find_parts(self.find_files(dl_manager, PATTERNS, ARCHIVES, LAYOUT))
        splits = {part: found.pairs for part, found in parts.items()}
        dropped: dict[str, list[str]] = {}
        if self.builder_config.clean:
            splits, dropped = regroup(parts)
            if "test_isolated" in parts:
                splits["test_isolated"] = parts["test_isolated"].pairs
        report = report_files(self.name, parts, PUBLISHED)
        for split, names in dropped.items():
            report.setdefault(split, {})["dropped"] = names
        self.info.metadata["files"] = report
        tally = Tally(self.info.metadata, ranges=True)
        return {
            split: self._generate_examples(split, pairs, tally)
            for split, pairs in splits.items()
            if pairs
        }

    def _generate_examples(
        self, split: str, pairs: list[Pair[Position]], tally: Tally
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        report = self.info.metadata["files"].setdefault(split, {})
        report["slope_pixels_filled"] = 0
        for pair in pairs:
            tile = read_tile(pair.image)
            report["slope_pixels_filled"] += tile.filled
            image = self._scaled(tile, pair.image)
            mask = unlabelled(image.shape[:2])
            if pair.mask is not None:
                mask = read_tile_mask(pair.mask)
            tally.add(split, image, mask)
            row, col = pair.key
            name = f"{split}_{row}_{col}"
            yield (
                name,
                {
                    "image": image,
                    "mask": mask[..., None],
                    "id": name,
                    "row": row,
                    "col": col,
                    "transform": tile.transform,
                    "crs": tile.crs,
                },
            )

    def _scaled(self, tile: Tile, path: epath.Path) -> np.ndarray:
        """Brings a tile to the configuration's units."""
        if not self.builder_config.unit and not tile.raw:
            raise DataError(
                f"`{path}` holds values scaled to 0..1, `mmlsv2/"
                f"{self.builder_config.name}` needs raw ones; build `mmlsv2/"
                f"{self.builder_config.name}-unit`, or download the challenge's files."
            )
        return (
            tile.image / DIVISORS
            if self.builder_config.unit and tile.raw
            else tile.image
        )

"""isprs_semantic: urban land cover of Vaihingen and Potsdam, in six classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import byte_bands, make_info
from landslide_tf.datasets.common.report import warn_incomplete
from landslide_tf.datasets.common.splits import split_by_hash
from landslide_tf.datasets.common.tile_grid import starts
from landslide_tf.datasets.isprs_semantic.images import (
    CLASSES,
    POTSDAM,
    VAIHINGEN,
    Area,
    Labelled,
    find_images,
    read_labelled,
)
from landslide_tf.errors import DataError
from landslide_tf.words import counted

AREAS = {"vaihingen": VAIHINGEN, "potsdam": POTSDAM}
BANDS = {
    "rgbir": ("red", "green", "blue", "nir"),
    "rgb": ("red", "green", "blue"),
    "irrg": ("nir", "red", "green"),
}
ARCHIVES = {
    "vaihingen": {
        "irrg": "ISPRS_semantic_labeling_Vaihingen.zip",
        "label": "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE.zip",
        "eroded": "ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE.zip",
    },
    "potsdam": {
        "rgbir": "4_Ortho_RGBIR.zip",
        "rgb": "2_Ortho_RGB.zip",
        "irrg": "3_Ortho_IRRG.zip",
        "label": "5_Labels_all.zip",
        "eroded": "5_Labels_all_noBoundary.zip",
    },
}
SEED = 0
VALIDATION = 0.1


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """Which images a configuration holds.

    Attributes:
        area: `vaihingen` or `potsdam`.
        product: `irrg`, `rgb` or `rgbir`.
        validation: Whether a tenth of the training images becomes validation.
        eroded: Whether labels with eroded borders are read.
        exclude: Names of images to leave out, such as `7_10`.
        size: Rows and columns of a tile.
    """

    area: str = "vaihingen"
    product: str = "irrg"
    validation: bool = True
    eroded: bool = False
    exclude: tuple[str, ...] = ()
    size: int = 512


class Builder(LandslideBuilder[Labelled]):
    """Builder of isprs_semantic."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Register at ISPRS (2D semantic labelling) and put the archives, or their files, into
    `<manual_dir>/isprs_semantic/` or `<manual_dir>/`; the README lists them.
    """
    CHECKSUMS: ClassVar[Mapping[str, str]] = {
        ARCHIVES["vaihingen"]["irrg"]: "md5:462b8dca7b6fa9eaf729840f0cdfc7f3",
        ARCHIVES["vaihingen"]["label"]: "md5:4802dd6326e2727a352fb735be450277",
        ARCHIVES["potsdam"]["rgbir"]: "md5:c4a8f7d8c7196dd4eba4addd0aae10c1",
    }
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(name="vaihingen", description="Near infrared, red, green; 9 cm."),
        Config(name="vaihingen-published", description="No validation part.",
               validation=False),
        Config(name="vaihingen-eroded", description="Borders have no label.",
               eroded=True),
        Config(name="potsdam", description="Four bands; 5 cm.", area="potsdam",
               product="rgbir"),
        Config(name="potsdam-published", description="No validation part.",
               area="potsdam", product="rgbir", validation=False),
        Config(name="potsdam-eroded", description="Borders have no label.",
               area="potsdam", product="rgbir", eroded=True),
        Config(name="potsdam-rgb", description="Red, green, blue.", area="potsdam",
               product="rgb"),
        Config(name="potsdam-irrg", description="Near infrared, red, green.",
               area="potsdam", product="irrg"),
    ]  # fmt: skip
    NOTED: ClassVar[Mapping[str, Sequence[str]]] = {"entries": ("class_shares",)}

    @property
    def _area(self) -> Area:
        return AREAS[self.builder_config.area]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        return make_info(
            self,
            bands=byte_bands(*BANDS[config.product]),
            size=config.size,
            classes=CLASSES,
            # There are no landslides: the class that single scores are of.
            landslide_class="building",
            homepage="https://www.isprs.org/education/benchmarks/UrbanSemLab/",
            licence="ISPRS benchmark terms, research use",
            gsd=self._area.gsd,
            features={
                "region": tfds.features.Text(),
                "x0": tfds.features.Scalar(np.int32),
                "y0": tfds.features.Scalar(np.int32),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Labelled]]:
        """Lists the images by split."""
        config, area = self.builder_config, self._area
        folders = self._folders(dl_manager)
        found, lone = find_images(folders, area, config.product, eroded=config.eroded)
        if not found:
            names = [area.image[config.product], area.label]
            raise DataError(
                f"`{self.name}` expects files like `{names[0]}` and `{names[1]}`, or "
                f"the archives {', '.join(self._archives())}; looked in "
                f"{' and '.join(f'`{folder}`' for folder in folders)} and found none; "
                "put them there, or name their folder with `--manual-dir`."
            )
        for name in config.exclude:
            found.pop(name, None)
        parts = {
            "train": [n for n in area.train if n in found],
            "test": [n for n in area.test if n in found],
        }
        if config.validation:
            # Of the published list and not of what is here, so that it is always one.
            part = split_by_hash(area.train, SEED, test=0.0, validation=VALIDATION)
            chosen = set(part["validation"])
            parts["validation"] = [n for n in parts["train"] if n in chosen]
            parts["train"] = [n for n in parts["train"] if n not in chosen]
        self._report(found, lone, parts)
        return {split: [found[n] for n in names] for split, names in parts.items()}

    def _archives(self) -> list[str]:
        config, names = self.builder_config, ARCHIVES[self.builder_config.area]
        return [names[config.product], names["eroded" if config.eroded else "label"]]

    def _folders(self, dl_manager: tfds.download.DownloadManager) -> list[Path]:
        """Returns where the files may be, archives unpacked."""
        root = self.manual_root(dl_manager)
        folders = [Path(root, self.name), Path(root)]
        unpacked = []
        for name in self._archives():
            here = [folder / name for folder in folders if (folder / name).is_file()]
            unpacked += [Path(self.unpack(epath.Path(path))) for path in here[:1]]
        return [*unpacked, *folders]

    def _report(
        self,
        found: Mapping[str, Labelled],
        lone: list[str],
        parts: Mapping[str, list[str]],
    ) -> None:
        """Counts what is there and warns of what is missing."""
        config, area = self.builder_config, self._area
        wanted = [n for n in (*area.train, *area.test) if n not in config.exclude]
        missing = [name for name in wanted if name not in found]
        self.info.metadata["files"] = {
            "images": sorted(found),
            "missing": missing,
            "labels_without_image": lone,
            "excluded": list(config.exclude),
        } | {split: {"images": len(names)} for split, names in parts.items()}
        if missing:
            warn_incomplete(
                f"`{self.name}/{config.name}` is built from "
                f"{counted(len(found), 'image')}, without {', '.join(missing)}."
            )
        if empty := [split for split, names in parts.items() if not names]:
            raise DataError(
                f"`{self.name}/{config.name}` must have images for "
                f"{' and '.join(empty)}, received {', '.join(sorted(found))} only; add "
                "some of the missing ones."
            )

    def read(self, split: str, item: Labelled) -> Iterator[Example]:
        """Cuts an image into tiles."""
        size = self.builder_config.size
        image, mask = read_labelled(item, len(BANDS[self.builder_config.product]))
        if min(mask.shape) < size:
            raise DataError(
                f"`{item.image}` must have at least {size} rows and columns, "
                f"received {mask.shape}."
            )
        self.tally.add(split, image, mask)
        for row in starts(mask.shape[0], size, size):
            for column in starts(mask.shape[1], size, size):
                place = (slice(row, row + size), slice(column, column + size))
                yield {
                    "image": np.ascontiguousarray(image[place]),
                    "mask": np.ascontiguousarray(mask[place]),
                    "id": f"{item.name}_{row:05d}_{column:05d}",
                    "region": item.name,
                    "x0": column,
                    "y0": row,
                }

"""landslide4sense: Sentinel-2 patches with terrain (Ghorbanzadeh et al. 2022)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from numpy.typing import NDArray

from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import BandInfo, make_info
from landslide_tf.datasets.common.pairing import Found, Pair, pair_files
from landslide_tf.datasets.common.reading import binary, finite, reading
from landslide_tf.datasets.common.report import (
    report_files,
    unlabelled,
    warn_incomplete,
)
from landslide_tf.datasets.common.splits import SPLITS
from landslide_tf.errors import DataError

SIZE = 128
BANDS = (
    "coastal", "blue", "green", "red", "red_edge_1", "red_edge_2", "red_edge_3",
    "nir", "water_vapour", "cirrus", "swir_1", "swir_2", "slope", "dem",
)  # fmt: skip
PUBLISHED = {"train": 3799, "validation": 245, "test": 800}
RUN = 50  # consecutive numbers that `holdout` keeps together

_FOLDERS = {
    "train": ("TrainData", "train"),
    "validation": ("ValidData", "validation", "valid", "val"),
    "test": ("TestData", "test"),
}
_LAYOUT = (
    "`{TrainData,ValidData,TestData}/{img,mask}/{image,mask}_N.h5`, or "
    "`{images,annotations}/{train,validation,test}/{image,mask}_N.h5`"
)
_IMAGES = ("img", "images")
_MASKS = ("mask", "masks", "annotations")
# The first that is there tells where the parts lie; all parts are looked for then.
_NAMES = [name for names in _FOLDERS.values() for name in names]
_PATTERNS = [
    *(f"{name}/{kind}" for name in _NAMES for kind in _IMAGES),
    *(f"images/{name}" for name in _NAMES),
    *(f"*/{name}/img" for name in _NAMES),
    *(f"*/images/{name}" for name in _NAMES),
]
_ARCHIVES = ("[Ll]andslide4[Ss]ense*.zip",)


class Builder(LandslideBuilder[Pair[int]]):
    """Builder of landslide4sense."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Download https://zenodo.org/records/10463239 or
    https://huggingface.co/datasets/ibm-nasa-geospatial/Landslide4sense and unpack it
    into `<manual_dir>/landslide4sense/`: {_LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(
            name="published",
            description="As published; parts without masks are unlabelled (255).",
        ),
        tfds.core.BuilderConfig(
            name="holdout",
            description="Runs of 50 numbers of the train part: 80, 10 and 10 %.",
        ),
    ]
    NOTED: ClassVar[Mapping[str, bool]] = {"ranges": True}

    def _info(self) -> tfds.core.DatasetInfo:
        return make_info(
            self,
            bands=[BandInfo(name=name, unit="1") for name in BANDS],
            size=SIZE,
            dtype="float32",
            homepage="https://github.com/iarai/Landslide4Sense-2022",
            licence="CC BY 4.0",
            gsd=10.0,
            features={
                "number": tfds.features.Scalar(np.int32),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Pair[int]]]:
        """Lists the patches by part."""
        place = self.find_files(dl_manager, _PATTERNS, _ARCHIVES, _LAYOUT)
        root = place.parent.parent
        parts = {
            part: pair_files(*folders, key=_number, suffixes=(".h5", ".hdf5"))
            for part in PUBLISHED
            if (folders := _folders(root, part))
        }
        self.info.metadata["files"] = report_files(self.name, parts, PUBLISHED)
        if self.builder_config.name == "holdout":
            return _held_out(parts, root)
        if bare := [part for part, f in parts.items() if f.pairs[0].mask is None]:
            warn_incomplete(
                f"`landslide4sense` has no masks for {' and '.join(bare)}: their "
                "pixels are 255, unlabelled; `landslide4sense/holdout` splits the "
                "train part."
            )
        return {part: found.pairs for part, found in parts.items()}

    def read(self, split: str, item: Pair[int]) -> Iterator[Example]:
        """Reads a patch."""
        image = finite(_read(item.image, "img", (SIZE, SIZE, len(BANDS))), item.image)
        mask = unlabelled((SIZE, SIZE))
        if item.mask is not None:
            mask = binary(_read(item.mask, "mask", (SIZE, SIZE)), item.mask, (1,))
        self.tally.add(split, image, mask)
        name = f"{split}_{item.key}"
        yield {"image": image, "mask": mask, "id": name, "number": item.key}


def _read(path: epath.Path, key: str, shape: tuple[int, ...]) -> NDArray[Any]:
    import h5py  # too slow for `import landslide_tf`

    with reading(path, "an HDF5 file"), path.open("rb") as raw, h5py.File(raw) as file:
        stored = file.get(key)
        if not isinstance(stored, h5py.Dataset) or stored.shape != shape:
            there = {k: getattr(v, "shape", "group") for k, v in file.items()}
            raise DataError(
                f"`{path}` must hold `{key}` of {shape}, received {there or 'nothing'}."
            )
        if stored.dtype.kind not in "fiub":
            raise DataError(f"`{path}` must hold numbers, received {stored.dtype}.")
        return stored[...]


def _number(stem: str) -> int | None:
    match = re.fullmatch(r"(?:image|mask|img)_(\d+)", stem)
    return int(match[1]) if match else None


def _folders(
    root: epath.Path, part: str
) -> tuple[epath.Path, epath.Path | None] | None:
    """Finds the folders of a part's images and masks; None = not here."""
    choices = [
        choice
        for name in _FOLDERS[part]
        for choice in (
            (root / "images" / name, [root / "annotations" / name]),
            *(
                (root / name / kind, [root / name / other for other in _MASKS])
                for kind in _IMAGES
            ),
        )
    ]
    for folder, masks in choices:
        if folder.is_dir():
            return folder, next((mask for mask in masks if mask.is_dir()), None)
    return None


def _held_out(
    parts: dict[str, Found[int]], root: epath.Path
) -> dict[str, list[Pair[int]]]:
    """Splits the train part by runs of consecutive numbers."""
    if "train" not in parts or any(p.mask is None for p in parts["train"].pairs):
        raise DataError(
            f"`{root}` must hold the labelled train part of `landslide4sense` for "
            "`holdout`; download it, or build `landslide4sense/published`."
        )
    splits: dict[str, list[Pair[int]]] = {split: [] for split in SPLITS}
    for pair in parts["train"].pairs:
        run = (pair.key - 1) // RUN % 10
        splits[{4: "validation", 9: "test"}.get(run, "train")].append(pair)
    return splits

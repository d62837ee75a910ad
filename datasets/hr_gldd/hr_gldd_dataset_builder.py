"""hr_gldd: PlanetScope patches of ten landslide events (Meena et al. 2023)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import BandInfo, make_info
from landslide_tf.datasets.common.reading import binary, finite, open_array
from landslide_tf.datasets.common.report import warn_incomplete
from landslide_tf.errors import DataError, warn

BANDS = ("red", "green", "blue", "nir")
BGRN = ("blue", "green", "red", "nir")
SIZE = 128
FILES = {"train": "train", "validation": "val", "test": "test"}

_LAYOUT = "`trainX.npy`, `trainY.npy`, `valX.npy`, `valY.npy`, `testX.npy`, `testY.npy`"
_NAMES = [f"{name}X.npy" for name in FILES.values()]
_PATTERNS = [f"{start}{name}" for start in ("", "*/") for name in _NAMES]
_ARCHIVES = ("HR-GLDD*.zip", "HR_GLDD*.zip", "hr_gldd*.zip", "7189381*.zip")
_LOOKED_AT = 64  # patches that the order of the bands is judged by


@dataclasses.dataclass(frozen=True)
class Part:
    """Arrays of a part, on disk."""

    image_path: epath.Path
    mask_path: epath.Path
    images: NDArray[Any]
    masks: NDArray[Any]


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """How the arrays are read.

    Attributes:
        order: What the bands of the arrays are, in their order.
    """

    order: tuple[str, ...] = BANDS


class Builder(LandslideBuilder[Part]):
    """Builder of hr_gldd."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Download https://zenodo.org/records/7189381 and put its arrays into
    `<manual_dir>/hr_gldd/`: {_LAYOUT}.
    """
    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.1.0": "The metadata state the order of the bands in the arrays.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(
            name="published",
            description="Parts as published; arrays of red, green, blue, infrared.",
        ),
        Config(
            name="published-bgrn",
            description="As published, for arrays of blue, green, red, infrared.",
            order=BGRN,
        ),
    ]
    NOTED: ClassVar[Mapping[str, bool]] = {"ranges": True}

    def _info(self) -> tfds.core.DatasetInfo:
        info = make_info(
            self,
            bands=[BandInfo(name=name, unit="") for name in BANDS],
            size=SIZE,
            dtype="float32",
            homepage="https://zenodo.org/records/7189381",
            licence="as stated at Zenodo 7189381",
            gsd=3.0,
            features={
                "index": tfds.features.Scalar(np.int32),
            },
        )
        info.metadata["array_order"] = list(self.builder_config.order)
        return info

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Part]]:
        """Opens the arrays of every part that is there."""
        root = self.find_files(dl_manager, _PATTERNS, _ARCHIVES, _LAYOUT).parent
        parts = {
            part: _open(root, name)
            for part, name in FILES.items()
            if (root / f"{name}X.npy").exists() or (root / f"{name}Y.npy").exists()
        }
        report: dict[str, dict[str, Any]] = {
            part: {"found": len(arrays.images)} for part, arrays in parts.items()
        }
        if "train" in parts:
            report["train"] |= _check_order(parts["train"], self.builder_config.order)
        if missing := [FILES[part] for part in FILES if part not in parts]:
            warn_incomplete(
                f"`hr_gldd` is built without {' and '.join(missing)}: `{root}` holds "
                f"no `{missing[0]}X.npy`."
            )
        self.info.metadata["files"] = report
        return {part: [arrays] for part, arrays in parts.items()}

    def read(self, split: str, item: Part) -> Iterator[Example]:
        """Reads the patches of a part, as red, green, blue and near infrared."""
        at = [self.builder_config.order.index(name) for name in BANDS]
        for index in range(len(item.images)):
            image = finite(item.images[index][..., at], item.image_path)
            labels = item.masks[index].reshape(SIZE, SIZE)
            mask = binary(labels, item.mask_path, (1,))
            self.tally.add(split, image, mask)
            name = f"{split}_{index}"
            yield {"image": image, "mask": mask, "id": name, "index": index}


def _open(root: epath.Path, name: str) -> Part:
    """Opens the arrays of a part and checks that they fit."""
    paths = root / f"{name}X.npy", root / f"{name}Y.npy"
    for path, other in (paths, paths[::-1]):
        if not path.exists():
            raise DataError(
                f"`{path}` is missing beside `{other.name}`; download it, or remove "
                "the part."
            )
    images, masks = (open_array(path) for path in paths)
    wanted = (len(images) if images.ndim else 0, SIZE, SIZE)
    for path, array, shapes in (
        (paths[0], images, [(*wanted, len(BANDS))]),
        (paths[1], masks, [(*wanted, 1), wanted]),
    ):
        if array.shape not in shapes or not wanted[0] or array.dtype.kind not in "fiub":
            raise DataError(
                f"`{path}` must hold numbers of shape {shapes[0]} with a patch or "
                f"more, received {array.dtype} {array.shape}; restore the file."
            )
    return Part(*paths, images, masks)


def _check_order(part: Part, order: Sequence[str]) -> dict[str, float]:
    """Compares the bands of some patches with what they are said to be.

    Returns:
        Median vegetation index of background, and on landslides the median of
        (red - blue) / (red + blue).

    Raises:
        DataError: If the vegetation index says that the last band is no infrared.
    """
    chosen = np.unique(np.linspace(0, len(part.images) - 1, _LOOKED_AT).astype(int))
    images = part.images[chosen].astype(np.float64)
    landslide = part.masks[chosen].reshape(images.shape[:3]) != 0
    red, blue, nir = (images[..., order.index(n)] for n in ("red", "blue", "nir"))
    vegetation = _median_index(nir[~landslide], red[~landslide])
    if vegetation is not None and vegetation <= 0:
        raise DataError(
            f"`{part.image_path}` must hold bands {', '.join(order)}: the vegetation "
            f"index of red and infrared is {vegetation:.2f} on background, expected "
            "above 0; is it in another order?"
        )
    brown = _median_index(red[landslide], blue[landslide])
    if brown is not None and brown < 0:
        other = "published" if tuple(order) == BGRN else "published-bgrn"
        warn(
            f"`{part.image_path}` is read as {', '.join(order)}, and then landslides "
            f"have more blue than red (index {brown:.2f}), which bare ground seldom "
            f"has: look at some patches, and build `hr_gldd/{other}` if red and blue "
            "are swapped.",
        )
    return {"background_ndvi": vegetation or 0.0, "landslide_red_blue": brown or 0.0}


def _median_index(high: FloatArray, low: FloatArray) -> float | None:
    """Returns the median of (high - low) / (high + low), None where none is known."""
    known = np.isfinite(high + low) & (high + low > 0)
    if not known.any():
        return None
    return float(np.median((high - low)[known] / (high + low)[known]))

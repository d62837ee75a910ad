"""Which images Vaihingen and Potsdam have, where a user's files lie, reading them.

Apart from the builder, which would be too long with the published lists.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.datasets.common.reading import from_colours, read_raster
from landslide_tf.errors import DataError

CLASSES = ("impervious", "building", "low_vegetation", "tree", "car", "clutter")
COLOURS = {
    0: (255, 255, 255),
    1: (0, 0, 255),
    2: (0, 255, 255),
    3: (0, 255, 0),
    4: (255, 255, 0),
    5: (255, 0, 0),
    IGNORE_VALUE: (0, 0, 0),
}
# Labels of some images of Potsdam have a few pixels of other colours.
TOLERATED = 1e-4


def _names(*numbers: int) -> tuple[str, ...]:
    return tuple(map(str, numbers))


def _grid(rows: dict[int, Iterable[int]]) -> tuple[str, ...]:
    return tuple(
        f"{row}_{column}" for row, columns in rows.items() for column in columns
    )


@dataclasses.dataclass(frozen=True)
class Area:
    """Images of an area, as published.

    Attributes:
        train: Names of the published training images.
        test: Names of the published test images.
        gsd: Cell size, metres.
        image: Pattern of image files with the name as a group, by product.
        label: Pattern of label files.
        eroded: Pattern of label files with eroded borders.
        labels_in: Pattern of folders with labels, where file names do not say.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    gsd: float
    image: dict[str, str]
    label: str
    eroded: str
    labels_in: str | None = None


VAIHINGEN = Area(
    train=_names(1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37),
    test=_names(2, 4, 6, 8, 10, 12, 14, 16, 20, 22, 24, 27, 29, 31, 33, 35, 38),
    gsd=0.09,
    image={"irrg": r"top_mosaic_09cm_area(\d+)\.tif"},
    label=r"top_mosaic_09cm_area(\d+)\.tif",
    eroded=r"top_mosaic_09cm_area(\d+)_noBoundary\.tif",
    labels_in=r"ground_truth|gts",
)
POTSDAM = Area(
    train=_grid(
        {
            **{row: range(10, 13) for row in (2, 3, 4, 5)},
            **{row: range(7, 13) for row in (6, 7)},
        }
    ),
    test=_grid(
        {
            2: (13, 14),
            3: (13, 14),
            4: (13, 14, 15),
            5: (13, 14, 15),
            6: (13, 14, 15),
            7: (13,),
        }
    ),
    gsd=0.05,
    image={
        "rgbir": r"top_potsdam_(\d+_\d+)_RGBIR\.tif",
        "rgb": r"top_potsdam_(\d+_\d+)_RGB\.tif",
        "irrg": r"top_potsdam_(\d+_\d+)_IRRG\.tif",
    },
    label=r"top_potsdam_(\d+_\d+)_label\.tif",
    eroded=r"top_potsdam_(\d+_\d+)_label_noBoundary\.tif",
)


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Files of an image."""

    name: str
    image: Path
    label: Path


def find_images(
    folders: Iterable[Path], area: Area, product: str, *, eroded: bool
) -> tuple[dict[str, Labelled], list[str]]:
    """Finds images with their labels.

    Args:
        folders: Where to look, three levels deep.
        area: Which images.
        product: Key of `area.image`.
        eroded: Whether labels with eroded borders are wanted.

    Returns:
        The images by name, and names of labels without an image.

    Raises:
        DataError: If an image is not one of the area's or has no label.
    """
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    wanted = area.eroded if eroded else area.label
    for path in _files(folders):
        is_label = area.labels_in is None or any(
            re.search(area.labels_in, part) for part in path.parts[-3:-1]
        )
        if is_label and (match := re.fullmatch(wanted, path.name)):
            labels.setdefault(match[1], path)
        elif (area.labels_in is None or not is_label) and (
            match := re.fullmatch(area.image[product], path.name)
        ):
            images.setdefault(match[1], path)
    known = {*area.train, *area.test}
    for name, path in images.items():
        if name not in known:
            raise DataError(
                f"`{path}` must be one of the {len(known)} published images, received "
                f"`{name}`: move it out of the folder."
            )
        if name not in labels:
            raise DataError(
                f"`{path}` has no label: a file like `{wanted}` of `{name}` is "
                "missing; add it or remove the image."
            )
    found = {name: Labelled(name, images[name], labels[name]) for name in images}
    return found, sorted(labels.keys() - images.keys())


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for pattern in ("*.tif", "*/*.tif", "*/*/*.tif", "*/*/*/*.tif"):
            yield from sorted(folder.glob(pattern))


def read_labelled(
    files: Labelled, bands: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads an image and its label.

    Args:
        files: The files.
        bands: Number of bands the image must have.

    Returns:
        The image, uint8 (H, W, bands), and class numbers, uint8 (H, W).

    Raises:
        DataError: If a file is broken, of another size, or has other colours.
    """
    image, label = read_raster(files.image).values, read_raster(files.label).values
    if image.dtype != np.uint8 or image.shape[2] != bands:
        raise DataError(
            f"`{files.image}` must hold {bands} bands of 8 bits, received "
            f"{image.shape[2]} of {image.dtype}."
        )
    if label.shape != (*image.shape[:2], 3):
        raise DataError(
            f"`{files.label}` must hold colours of {image.shape[:2]} pixels "
            f"like its image, received shape {label.shape}."
        )
    return image, from_colours(label, COLOURS, files.label, tolerated=TOLERATED)

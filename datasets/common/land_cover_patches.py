"""Training patches of land cover: scenes sliced by superpixels, sampled in stages.

Apart from the builder: it needs scikit-image, which is too slow for
`import landslide_tf`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

from landslide_tf.datasets.common.base import Example
from landslide_tf.datasets.common.info import TERRAIN
from landslide_tf.datasets.common.land_cover_files import LandCover
from landslide_tf.datasets.common.patches import superpixel_patches
from landslide_tf.datasets.common.sampling import (
    Draw,
    SamplingMethod,
    multistage_sample,
)
from landslide_tf.errors import DataError
from landslide_tf.progress import with_progress
from landslide_tf.terrain import (
    DIHEDRAL,
    dihedral,
    dihedral_factors,
    dihedral_transform,
)
from landslide_tf.words import counted

Labelled = tuple[NDArray[Any], NDArray[np.uint8]]  # image of any dtype, and mask


@dataclasses.dataclass(frozen=True)
class CutPair:
    """A pair, and what is cut of it.

    Attributes:
        pair: Its files.
        draws: Patches of it, and how each is turned or mirrored.
    """

    pair: LandCover
    draws: tuple[Draw, ...]


def cut_pairs(
    pairs: Sequence[LandCover],
    read: Callable[[LandCover], Labelled],
    classes: int,
    *,
    size: int,
    sampling: SamplingMethod,
    seed: int,
) -> list[CutPair]:
    """Slices pairs by superpixels and draws patches of all of them in stages.

    Xia et al. 2021 make their samples so (figure 3, stage a), with the sampling of Xia
    et al. 2019; parameters are those of `superpixel_patches` and `multistage_sample`.

    Args:
        pairs: Training pairs.
        read: Returns image (H, W, 3) and mask (H, W) of a pair.
        classes: Number of classes.
        size: Rows and columns of a patch.
        sampling: As in `multistage_sample`.
        seed: Seed of the draw.

    Returns:
        The pairs that patches are drawn from, each with its patches in order.

    Raises:
        DataError: If no superpixel has enough labels, or a file is broken.
    """
    pool = [
        patch
        for pair in with_progress(pairs, "Finding superpixels")
        for patch in superpixel_patches(pair.id, *read(pair), classes, size=size)
    ]
    draws = multistage_sample(pool, sampling, seed=seed)
    if not draws:
        raise DataError(
            "Expected labels on half of a superpixel in the "
            f"{counted(len(pairs), 'training pair')}, received fewer everywhere; "
            "label more of them."
        )
    of_pair: dict[str, list[Draw]] = {pair.id: [] for pair in pairs}
    for draw in draws:
        of_pair[draw.patch.id].append(draw)
    return [
        CutPair(pair, tuple(sorted(of_pair[pair.id], key=_place)))
        for pair in pairs
        if of_pair[pair.id]
    ]


def _place(draw: Draw) -> tuple[int, int, int]:
    return draw.patch.row, draw.patch.column, DIHEDRAL.index(draw.transform)


def cut_example(example: Example, draw: Draw) -> Example:
    """Cuts a patch of a whole pair, turned or mirrored, its aspect too.

    Args:
        example: As from `read_pair`.
        draw: The patch.

    Returns:
        Its example, `id` with row, column and how it is turned.
    """
    patch, turn = draw
    window = patch.window
    mask = example["mask"][window]
    place = Affine(*example["transform"]) @ Affine.translation(patch.column, patch.row)
    name = f"{example['id']}_{patch.row:05d}_{patch.column:05d}"
    kinds = [factor["name"] for factor in TERRAIN]
    found = {
        "image": dihedral(example["image"][window], turn),
        "factors": dihedral_factors(example["factors"][window], kinds, turn),
        "mask": dihedral(mask, turn),
        "transform": np.array(
            dihedral_transform(place, mask.shape, turn)[:6], np.float64
        ),
    }
    kept = {key: np.ascontiguousarray(value) for key, value in found.items()}
    turned = "" if turn == DIHEDRAL[0] else f"_{turn}"
    return {**example, **kept, "id": name + turned}

"""Why the branches of the evidential classifier decide as they do, as pictures.

They stand apart from the report in `evidential`, which arranges numbers alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.report.pictures import save_figure

MAX_PICTURES = 40
_PANEL = 2.1  # inches
_OVER = 0.55  # how much the map covers the image


@dataclass(frozen=True, kw_only=True)
class BranchPicture:
    """One image with the input, Grad-CAM and weight of each branch.

    Attributes:
        id: The image's name.
        truth: 1 for landslide, 0 else.
        image: RGB, uint8 (H, W, 3).
        saliency: In [0, 1] (H, W).
        branches: By name: the branch's input, uint8 (h, w, 3), and its Grad-CAM of
            landslide, at least 0, of any size.
        probabilities: P(landslide) by branch, and `fused`.
        weights: Weight in the fusion by branch that is fused.

    Raises:
        DataError: If an array is not of these forms.
    """

    id: str
    truth: int
    image: NDArray[np.uint8]
    saliency: FloatArray
    branches: Mapping[str, tuple[NDArray[np.uint8], FloatArray]]
    probabilities: Mapping[str, float]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        images = [self.image, *(seen for seen, _ in self.branches.values())]
        if any(a.dtype != np.uint8 or a.shape[2:] != (3,) for a in images):
            raise DataError(f"Images of picture `{self.id}` must be uint8 (H, W, 3).")
        if self.saliency.shape != self.image.shape[:2]:
            raise DataError(
                f"`saliency` of picture `{self.id}` must be {self.image.shape[:2]} "
                f"like the image, received {self.saliency.shape}."
            )


def branch_grid(pictures: Sequence[BranchPicture], path: str | Path) -> Path:
    """Draws one row per image: image, saliency, Grad-CAM of each branch, weights.

    A warm colour is where a branch sees signs of a landslide; each map is scaled by
    its own maximum.

    Args:
        pictures: At least one and at most 40, all with the same branches.
        path: The PNG file to write.

    Returns:
        The path.

    Raises:
        DataError: If there are no or too many pictures, or the branches differ.
    """
    if not 0 < len(pictures) <= MAX_PICTURES:
        raise DataError(
            f"Expected 1 to {MAX_PICTURES} pictures, received {len(pictures)}."
        )
    branches = list(pictures[0].branches)
    if any(list(p.branches) != branches for p in pictures):
        raise DataError("Every picture must have the same branches.")
    columns = 3 + len(branches)
    figure = Figure(
        figsize=(_PANEL * columns, (_PANEL + 0.25) * len(pictures)),
        layout="constrained",
    )
    axes = figure.subplots(len(pictures), columns, squeeze=False)
    for row, picture in zip(axes, pictures, strict=True):
        truth = "landslide" if picture.truth else "non-landslide"
        _show(row[0], picture.image, f"{picture.id}: {truth}")
        _show(row[1], _grey(picture.saliency), "saliency")
        for place, branch in enumerate(branches, start=2):
            seen, looked = picture.branches[branch]
            title = f"{branch}: P = {picture.probabilities[branch]:.2f}"
            _show(row[place], _overlay(seen, looked), title)
        _weights(row[-1], picture)
    return save_figure(figure, path)


def _grey(values: FloatArray) -> NDArray[np.uint8]:
    """Returns values in [0, 1] as an image from black to white."""
    grey = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return np.stack([grey] * 3, axis=-1)


def _show(axes: Axes, image: NDArray[np.uint8], title: str) -> None:
    axes.imshow(image)
    axes.set_axis_off()
    axes.set_title(title, fontsize=8, parse_math=False)


def _overlay(image: NDArray[np.uint8], looked: FloatArray) -> NDArray[np.uint8]:
    """Lays a map over an image in red to yellow, as strong as the map is high."""
    height, width = image.shape[:2]
    largest = float(np.max(looked))
    scaled = np.asarray(looked, np.float32) / (largest if largest > 0 else 1)
    enlarged = Image.fromarray(scaled).resize((width, height), Image.Resampling.BICUBIC)
    strength = np.clip(np.asarray(enlarged), 0, 1)[..., None]
    warm = np.concatenate(
        [np.full_like(strength, 255), 220 * strength, np.zeros_like(strength)], axis=-1
    )
    cover = _OVER * strength
    return np.round(image * (1 - cover) + warm * cover).astype(np.uint8)


def _weights(axes: Axes, picture: BranchPicture) -> None:
    names = list(picture.weights)
    axes.barh(names, [picture.weights[name] for name in names], color="#2a7fc9")
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.tick_params(labelsize=7)
    axes.set_title(
        f"weights; fused: P = {picture.probabilities['fused']:.2f}", fontsize=8
    )

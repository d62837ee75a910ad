"""Grids of examples: image, factors, truth, prediction and outlines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from landslide_tf import palette
from landslide_tf.array_types import FloatArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path
from landslide_tf.objects import boundaries

DPI = 100
MAX_PICTURES = 60
_PANEL = 240  # pixels of a panel's longer side
_GAP = 6
_LEFT = 22
_TOP = 24
_LEGEND_ROW = 20
_LEGEND_WIDTH = 165
_STRIPES = 6

# (low, high, colour map, unit) of a factor's panels.
_Style: TypeAlias = tuple[float, float, str, str]
# Fixed ranges, so that pictures of different runs compare.
_FACTOR_STYLES: dict[str, _Style] = {
    "slope": (0.0, 60.0, "YlOrBr", "°"),
    "aspect": (0.0, 360.0, "twilight", "°"),
    "ndvi": (-0.3, 0.9, "RdYlGn", ""),
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One example of a picture.

    Attributes:
        id: The example's name.
        image: RGB, uint8 (H, W, 3).
        prediction: Class indices, uint8 (H, W).
        truth: Class indices, uint8 (H, W), 255 = ignore; None where there is none.
        factors: Raw units, float (H, W, F), NaN = no value; None where there are none.
        factor_names: F names of the factors.
    """

    id: str
    image: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None = None
    factors: FloatArray | None = None
    factor_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        height_width = self.image.shape[:2]
        if self.image.dtype != np.uint8 or self.image.shape[2:] != (3,):
            raise DataError(
                f"`image` of picture `{self.id}` must be uint8 (H, W, 3), received "
                f"{self.image.dtype} {self.image.shape}: scale the bands to show first."
            )
        for name in ("prediction", "truth"):
            labels = getattr(self, name)
            if labels is not None and labels.shape != height_width:
                raise DataError(
                    f"`{name}` of picture `{self.id}` must be {height_width} like the "
                    f"image, received {labels.shape}."
                )
        expected = (*height_width, len(self.factor_names))
        if self.factors is not None and self.factors.shape != expected:
            raise DataError(
                f"`factors` of picture `{self.id}` must be {expected}, received "
                f"{self.factors.shape}: give one name a factor."
            )

    def factor(self, name: str) -> FloatArray | None:
        """Returns a factor's values (H, W), where the picture has it."""
        if self.factors is None or name not in self.factor_names:
            return None
        return self.factors[..., list(self.factor_names).index(name)]


def save_figure(figure: Figure, path: str | Path, dpi: int = DPI) -> Path:
    """Writes a figure as PNG: complete or not at all, equal bytes for equal content.

    Args:
        figure: A figure made without `pyplot`, matplotlib's global state.
        path: The file.
        dpi: Pixels an inch of the figure's size.

    Returns:
        The path.
    """
    with atomic_path(path) as temporary:
        # The name of the writing software would change the bytes with its version.
        FigureCanvasAgg(figure).print_figure(
            temporary, format="png", dpi=dpi, metadata={"Software": None}
        )
    return Path(path)


def prediction_grid(
    pictures: Sequence[Picture],
    classes: Sequence[str],
    landslide_class: int | Literal["sigmoid"],
    path: str | Path,
    *,
    factors: Sequence[str] = ("slope",),
) -> Path:
    """Draws one row per example: image, factors, truth, prediction, outlines.

    The last panel shows the landslides of truth and prediction as outlines over the
    image, white where the two lines meet. Ignored pixels and missing factor values are
    hatched grey.

    Args:
        pictures: 1 to 60 examples, of any sizes.
        classes: Class names in label order.
        landslide_class: Index of the landslide class, or `"sigmoid"` (label 1).
        path: The PNG file to write.
        factors: Names of the factors to show, where a picture has them.

    Returns:
        The path.

    Raises:
        DataError: If there are no or too many pictures, or a label has no class name.
    """
    if not 1 <= len(pictures) <= MAX_PICTURES:
        raise DataError(
            f"`pictures` must hold 1 to {MAX_PICTURES} examples, received "
            f"{len(pictures)}: choose some of them."
        )
    landslide = 1 if landslide_class == "sigmoid" else landslide_class
    colours = palette.class_palette(classes)
    scales = {
        name: _factor_scale(name, pictures)
        for name in factors
        if any(picture.factor(name) is not None for picture in pictures)
    }
    with_truth = any(p.truth is not None for p in pictures)
    titles = [
        "image",
        *(
            f"{name} ({low:.3g} to {high:.3g}{unit})"
            for name, (low, high, _, unit) in scales.items()
        ),
        *["truth"] * with_truth,
        "prediction",
        "outlines",
    ]
    rows = []
    for picture in pictures:
        labels = [*[picture.truth] * with_truth, picture.prediction]
        rows.append(
            [
                *(_factor_panel(picture, *item) for item in scales.items()),
                *(_class_panel(picture, label, colours) for label in labels),
                _outline_panel(picture, landslide),
            ]
        )
    figure = _grid(pictures, rows, titles, _legend(classes, colours, with_truth))
    return save_figure(figure, path)


def _panel_size(picture: Picture) -> tuple[int, int]:
    """Height and width of a picture's panels in pixels."""
    height, width = picture.image.shape[:2]
    scale = _PANEL / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _fit(array: NDArray, picture: Picture) -> NDArray:
    """Scales an array (H, W, ...) to a panel by taking the nearest pixels."""
    indices = [
        (np.arange(wanted) * 2 + 1) * given // (2 * wanted)
        for wanted, given in zip(_panel_size(picture), array.shape, strict=False)
    ]
    return array[np.ix_(*indices)]


def _fit_image(picture: Picture) -> NDArray[np.uint8]:
    height, width = _panel_size(picture)
    if height >= picture.image.shape[0]:
        return _fit(picture.image, picture)
    image = Image.fromarray(picture.image)
    return np.array(image.resize((width, height), Image.Resampling.BOX))


def _fit_mask(mask: NDArray[np.bool_], picture: Picture) -> NDArray[np.bool_]:
    """Scales a mask to a panel; no object is lost, however small it becomes."""
    height, width = _panel_size(picture)
    if height >= mask.shape[0]:
        return _fit(mask, picture)
    share = Image.fromarray(mask.astype(np.float32))
    return np.array(share.resize((width, height), Image.Resampling.BOX)) > 0


def _hatch(panel: NDArray[np.uint8], where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Paints diagonal grey stripes over part of a panel."""
    height, width = where.shape
    diagonal = np.add.outer(np.arange(height), np.arange(width)) % _STRIPES
    stripe = np.where(diagonal < _STRIPES // 2, 0, 60)[..., None]
    grey = (np.array(palette.IGNORE) + stripe).astype(np.uint8)
    return np.where(where[..., None], grey, panel)


def _class_panel(
    picture: Picture, labels: NDArray[np.uint8] | None, colours: NDArray[np.uint8]
) -> NDArray[np.uint8] | None:
    if labels is None:
        return None
    ignored = labels == IGNORE_VALUE
    unknown = labels[~ignored & (labels >= len(colours))]
    if unknown.size:
        raise DataError(
            f"Labels of picture `{picture.id}` must be below {len(colours)}, the "
            f"number of classes, or {IGNORE_VALUE}, received {unknown[0]}."
        )
    painted = colours[np.where(ignored, 0, labels)]
    return _hatch(_fit(painted, picture), _fit(ignored, picture))


def _outline_panel(picture: Picture, landslide: int) -> NDArray[np.uint8]:
    panel = _fit_image(picture)
    lines = [
        np.zeros(panel.shape[:2], bool)
        if labels is None
        else _line(_fit_mask(labels == landslide, picture))
        for labels in (picture.truth, picture.prediction)
    ]
    truth, prediction = lines
    panel[truth] = palette.TRUTH_OUTLINE
    panel[prediction] = palette.PREDICTION_OUTLINE
    panel[truth & prediction] = palette.BOTH_OUTLINE
    return panel


def _line(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rim of a mask, two pixels wide."""
    line = boundaries(mask)
    return line | boundaries(mask & ~line)


def _factor_scale(name: str, pictures: Sequence[Picture]) -> _Style:
    """Returns the style of a factor, by its values where none is fixed."""
    if name in _FACTOR_STYLES:
        return _FACTOR_STYLES[name]
    found = [picture.factor(name) for picture in pictures]
    values = np.concatenate([v[np.isfinite(v)] for v in found if v is not None])
    if not values.size:
        return 0.0, 1.0, "viridis", ""
    low, high = np.percentile(values, [2, 98])
    return float(low), float(max(high, low + 1e-6)), "viridis", ""


def _factor_panel(
    picture: Picture, name: str, scale: _Style
) -> NDArray[np.uint8] | None:
    values = picture.factor(name)
    if values is None:
        return None
    low, high, colour_map, _ = scale
    missing = ~np.isfinite(values)
    if name == "aspect":
        missing |= values < 0  # flat ground has no aspect
    part = np.clip((np.where(missing, low, values) - low) / (high - low), 0, 1)
    painted = matplotlib.colormaps[colour_map](part, bytes=True)[..., :3]
    return _hatch(_fit(painted, picture), _fit(missing, picture))


def _legend(
    classes: Sequence[str], colours: NDArray[np.uint8], with_truth: bool
) -> list[Patch]:
    entries = [
        (colour, "0.5", name)
        for name, colour in zip(classes, colours.tolist(), strict=True)
    ]
    # The outlines are bright, as they lie over dark images: framed on white paper.
    lines = [(palette.PREDICTION_OUTLINE, "0.2", "outline of prediction")]
    if with_truth:
        lines.insert(0, (palette.TRUTH_OUTLINE, "0.2", "outline of truth"))
        lines.append((palette.BOTH_OUTLINE, "0.2", "outline of both"))
    handles = [
        Patch(facecolor=_shade(colour), edgecolor=edge, label=label)
        for colour, edge, label in (*entries, *lines)
    ]
    missing = Patch(
        facecolor=_shade(palette.IGNORE),
        hatch="////",
        edgecolor="0.85",
        label="no value",
    )
    handles.insert(len(entries), missing)
    return handles


def _shade(colour: Sequence[int]) -> tuple[float, float, float]:
    """Returns a colour as matplotlib takes it."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


def _grid(
    pictures: Sequence[Picture],
    rows: Sequence[Sequence[NDArray[np.uint8] | None]],
    titles: Sequence[str],
    handles: list[Patch],
) -> Figure:
    """Places panels at exact pixel positions, so that they line up and stay sharp.

    Args:
        pictures: The examples; their images are the first panels.
        rows: The other panels of each, of its image's size.
        titles: One a column, the image's first.
        handles: The legend.
    """
    images = [_fit_image(picture) for picture in pictures]
    width = _LEFT + len(titles) * (_PANEL + _GAP)
    legend_columns = max(1, width // _LEGEND_WIDTH)
    legend = _LEGEND_ROW * math.ceil(len(handles) / legend_columns) + _GAP
    height = _TOP + sum(len(image) + _GAP for image in images) + legend
    figure = Figure(figsize=(width / DPI, height / DPI))

    def write(
        text: str, across: float, up: float, size: float, rotation: float = 0
    ) -> None:
        figure.text(
            across / width, up / height, text, ha="center", va="center",
            fontsize=size, rotation=rotation, parse_math=False,
        )  # fmt: skip

    below = height - _TOP
    for picture, image, row in zip(pictures, images, rows, strict=True):
        high, wide = image.shape[:2]
        below -= high
        for column, panel in enumerate((image, *row)):
            left = _LEFT + column * (_PANEL + _GAP) + (_PANEL - wide) // 2
            place = (left / width, below / height, wide / width, high / height)
            _draw(figure, place, panel)
        write(picture.id, _LEFT / 2, below + high / 2, 8, rotation=90)
        below -= _GAP
    for column, title in enumerate(titles):
        centre = _LEFT + column * (_PANEL + _GAP) + _PANEL / 2
        write(title, centre, height - _TOP / 2, 9)
    figure.legend(
        handles=handles, loc="lower center", ncols=legend_columns, frameon=False,
        fontsize=8, borderaxespad=0.2, handlelength=1.6,
    )  # fmt: skip
    return figure


def _draw(
    figure: Figure,
    place: tuple[float, float, float, float],
    panel: NDArray[np.uint8] | None,
) -> None:
    axes = figure.add_axes(place)
    axes.set_axis_off()
    if panel is None:
        axes.text(0.5, 0.5, "none", ha="center", va="center", color="0.5")
        return
    axes.imshow(panel, aspect="auto", interpolation="nearest")

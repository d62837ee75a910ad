"""The page of an inventory: numbers, sizes and densities."""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from landslide_tf.array_types import FloatArray
from landslide_tf.inventory import FrequencyDensity, Statistics
from landslide_tf.inventory.statistics_files import PAGE
from landslide_tf.report.chart import Chart, Line
from landslide_tf.report.page import (
    Charts,
    Figure,
    KeyNumbers,
    Section,
    Table,
    write_page,
)
from landslide_tf.report.tables import Row
from landslide_tf.words import counted

_COLOURS = "YlOrRd"
_UNMAPPED = (200, 200, 200)
_SIDE = 600  # pixels of the picture's longer side


def write_inventory_page(path: str | Path, title: str, statistics: Statistics) -> Path:
    """Writes the statistics of an inventory as one HTML file.

    Args:
        path: The file.
        title: Title and heading.
        statistics: The statistics.

    Returns:
        The path.

    Raises:
        DataError: If the file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="landslide-tf-") as folder:
        picture = Path(folder, "density.png")
        share = statistics.density.share
        _colours(share).save(picture, optimize=True)
        sections = [
            Section("", [_numbers(statistics)]),
            Section("Sizes", _sizes(statistics)),
            Section("Density", [_figure(picture, share), _cells(statistics)]),
            Section(PAGE, [_groups(statistics)]),
        ]
        return write_page(path, title, sections)


def _numbers(found: Statistics) -> KeyNumbers:
    sizes = found.sizes
    magnitude = "too few landslides" if found.magnitude is None else "of one event"
    if found.magnitude_error == found.magnitude_error:
        magnitude = f"± {found.magnitude_error:.2f}; of one event"
    numbers = [
        ("Landslides", sizes.number, ""),
        ("Mapped ground, km²", found.mapped_m2 / 1e6, ""),
        ("Landslide area, km²", sizes.total_m2 / 1e6, ""),
        ("Share of the ground, %", 100 * sizes.density, ""),
        ("Landslides a km²", sizes.per_km2, ""),
        ("Largest, m²", _whole(sizes.largest_m2), ""),
        ("Magnitude mLS", found.magnitude, magnitude),
    ]
    if found.repeated_m2:
        text = "landslides there may count as often"
        numbers.append(("Mapped more than once, km²", found.repeated_m2 / 1e6, text))
    return KeyNumbers(numbers=numbers, digits=3)


def _whole(value: float) -> int | None:
    return None if value != value else round(value)


def _sizes(found: Statistics) -> list[str | Charts | Table]:
    """Returns frequency by size, and the laws fitted to it."""
    if not found.sizes.number:
        return ["No landslide was mapped."]
    frequency = found.frequency
    lines = [Line("landslides", _points(frequency, frequency.density))]
    occupied = frequency.edges[frequency.counts > 0]
    areas = np.geomspace(occupied[0], occupied[-1] * 1.2, 60)
    number = found.sizes.number
    # mLS divides by the width of the bin before, which is 1.2 times smaller.
    if (law := found.power_law) is not None:
        tail = areas[areas >= law.x_min]
        value = (law.exponent - 1) / law.x_min * (tail / law.x_min) ** -law.exponent
        lines.append(Line("power law", _pairs(tail, 1.2 * law.number * value)))
    if (gamma := found.inverse_gamma) is not None:
        expected = 1.2 * number * gamma.density(areas)
        shown = expected > frequency.density[frequency.counts > 0].min() / 10
        lines.append(Line("inverse gamma", _pairs(areas[shown], expected[shown])))
    chart = Chart(
        title="Frequency density, 1/m²", lines=lines, x_name="area, m²", log=True,
        log_x=True,
    )  # fmt: skip
    rows: list[Row] = []
    if law is not None:
        rows += [
            ("power law: smallest area, m²", law.x_min, *law.x_min_interval),
            ("power law: exponent", law.exponent, *law.exponent_interval),
        ]
    if gamma is not None:
        rows += [
            ("inverse gamma: rho", gamma.rho, *gamma.rho_interval),
            ("inverse gamma: a, m²", gamma.a, *gamma.a_interval),
            ("inverse gamma: s, m²", gamma.s, *gamma.s_interval),
            ("most frequent area, m²", gamma.rollover, *gamma.rollover_interval),
        ]
    if not rows:
        return [Charts([chart]), "Too few landslides, or of one size: no law fits."]
    table = Table(
        caption="Laws of sizes by maximum likelihood; intervals of 95 % by bootstrap.",
        header=("parameter", "value", "from", "to"),
        rows=rows,
    )
    return [Charts([chart]), table]


def _points(
    frequency: FrequencyDensity, density: FloatArray
) -> list[tuple[float, float]]:
    some = frequency.counts > 0
    # In the middle of its bin, on the axis of the chart.
    return _pairs(frequency.edges[some] * np.sqrt(1.2), density[some])


def _pairs(xs: FloatArray, ys: FloatArray) -> list[tuple[float, float]]:
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def _colours(share: FloatArray) -> Image.Image:
    """Returns a picture of densities, grey where nothing is mapped."""
    known = np.isfinite(share)
    top = share[known].max(initial=0) or 1.0
    ramp = matplotlib.colormaps[_COLOURS](np.where(known, share, 0) / top, bytes=True)
    pixels = np.where(known[..., None], ramp[..., :3], _UNMAPPED).astype(np.uint8)
    image = Image.fromarray(pixels)
    factor = max(1, _SIDE // max(share.shape))
    width, height = image.size
    return image.resize((width * factor, height * factor), Image.Resampling.NEAREST)


def _figure(picture: Path, share: FloatArray) -> Figure:
    top = float(share[np.isfinite(share)].max(initial=0))
    return Figure(
        path=picture,
        alt="Share of landslides in each cell of the mapped ground, north up",
        caption=f"Share of landslides in the ground, from 0 (light) to {top:.2%} "
        "(dark); grey is not mapped.",
    )


def _cells(found: Statistics) -> str:
    rows, columns = found.density.share.shape
    size = found.density.transform.a
    return (
        f"{counted(rows, 'row')} of {counted(columns, 'cell')} of {size:g} m in an "
        "equal-area projection."
    )


def _groups(found: Statistics) -> Table:
    return Table(
        caption="Landslides by region and date of the image after.",
        header=(
            "region", "date", "scenes", "landslides", "area, km²", "share, %",
            "landslides a km²", "largest, m²",
        ),
        rows=[
            (
                group.region or "none",
                group.date,
                group.scenes,
                group.sizes.number,
                group.sizes.total_m2 / 1e6,
                100 * group.sizes.density,
                group.sizes.per_km2,
                _whole(group.sizes.largest_m2),
            )
            for group in found.groups
        ],
    )  # fmt: skip

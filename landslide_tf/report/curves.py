"""Curves of training from the rows of `metrics.csv`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from landslide_tf.errors import DataError
from landslide_tf.report.figures import save_figure


def curves(rows: Sequence[Mapping[str, str | float]], path: str | Path) -> Path:
    """Draws training and validation values over epochs, one panel a metric.

    Args:
        rows: One mapping an epoch, as `csv.DictReader` gives them from `metrics.csv`:
            `epoch`, and numbers named `x` and `val_x`; empty text means no value.
        path: The PNG file to write.

    Returns:
        The path.

    Raises:
        DataError: If there are no epochs or no numbers in them.
    """
    series = {
        name: np.array([_number(row.get(name, "")) for row in rows])
        for name in dict.fromkeys(name for row in rows for name in row)
    }
    series = {
        name: values for name, values in series.items() if np.isfinite(values).any()
    }
    epochs = series.pop("epoch", np.arange(len(rows)))
    names = list(dict.fromkeys(name.removeprefix("val_") for name in series))
    if not names:
        raise DataError(
            f"`rows` must hold numbers of at least one epoch, received {len(rows)} "
            "rows without any: train for an epoch first."
        )
    columns = min(3, len(names))
    lines = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4.0 * columns, 2.8 * lines), layout="constrained")
    for index, name in enumerate(names):
        axes = figure.add_subplot(lines, columns, index + 1)
        for key, label, style in (
            (name, "training", {"color": "#1f6fb4", "marker": "."}),
            (f"val_{name}", "validation", {"color": "#d1495b", "marker": "."}),
        ):
            if key in series:
                # An epoch without validation must not break the line.
                there = np.isfinite(series[key])
                axes.plot(epochs[there], series[key][there], label=label, **style)
        if name == "learning_rate" and (series[name] > 0).all():
            axes.set_yscale("log")
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("epoch", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False)
    return save_figure(figure, path)


def _number(text: str | float | None) -> float:
    try:
        return float(text) if text is not None else math.nan
    except ValueError:
        return math.nan

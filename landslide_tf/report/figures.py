"""Matplotlib figures to files, without its global state."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from landslide_tf.files import atomic_path

DPI = 100


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Writes a figure as PNG: complete or not at all, equal bytes for equal content.

    Args:
        figure: A figure made without `pyplot`; its size in inches counts 100 pixels an
            inch.
        path: The file.

    Returns:
        The path.
    """
    with atomic_path(path) as temporary:
        # The name of the writing software would change the bytes with its version.
        FigureCanvasAgg(figure).print_figure(
            temporary, format="png", dpi=DPI, metadata={"Software": None}
        )
    return Path(path)

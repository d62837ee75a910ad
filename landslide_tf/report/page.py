"""Self-contained HTML pages and Markdown: text, tables, charts and pictures."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from landslide_tf.errors import DataError
from landslide_tf.report.chart import Chart, svg
from landslide_tf.report.tables import Cell, Row, markdown_table, write_texts
from landslide_tf.report.templates import asset, render

_MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a page.

    Attributes:
        caption: What the table shows, one sentence; empty where the text before it
            says so, as in Markdown.
        header: Column names.
        rows: Rows of as many cells; the first cell names the row.
        digits: Digits after the point of real numbers.
        strong: Index of a row to stress, if any.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Row]
    digits: int = 3
    strong: int | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture of a page.

    Attributes:
        path: A PNG, JPEG or SVG file.
        alt: What the picture shows, for those who do not see it.
        caption: The line below it, may be empty.
        embed: Whether the page holds the picture itself, else it refers to the file.
    """

    path: str | Path
    alt: str
    caption: str = ""
    embed: bool = True


@dataclass(frozen=True, kw_only=True)
class KeyNumbers:
    """A row of key numbers at the top of a page.

    Attributes:
        numbers: (label, value, remark) of each; the remark may be empty.
        digits: Digits after the point of real numbers.
    """

    numbers: Sequence[tuple[str, Cell, str]]
    digits: int = 3


@dataclass(frozen=True)
class Code:
    """Commands or source to copy.

    Attributes:
        text: The lines.
    """

    text: str


@dataclass(frozen=True)
class Link:
    """A link to another file.

    Attributes:
        text: What a reader finds there.
        path: The file; the page refers to it by its place beside the page.
    """

    text: str
    path: str | Path


@dataclass(frozen=True)
class Charts:
    """Line charts side by side, as many as the page is wide.

    Attributes:
        charts: The charts.
    """

    charts: Sequence[Chart]


# A string is a paragraph; `code` between backticks is set as such.
Block: TypeAlias = str | Table | Figure | KeyNumbers | Code | Charts | Link


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        heading: Its heading; empty for a part without one.
        blocks: Paragraphs, tables, pictures, charts, numbers and code in order.
    """

    heading: str
    blocks: Sequence[Block]


def write_page(path: str | Path, title: str, sections: Sequence[Section]) -> Path:
    """Writes one HTML file that needs no network, no script and no other style.

    Args:
        path: The file to write.
        title: Title and first heading.
        sections: The parts in order.

    Returns:
        The path.

    Raises:
        DataError: If a picture is missing or of an unknown type, has no `alt`, or a
            table's row has another number of cells than its header.
    """
    path = Path(path)
    document = render(
        "page.html.jinja",
        title=title,
        sections=sections,
        style=asset("page.css"),
        svg=svg,
        place=lambda file: _place(file, path.parent),
        source=lambda figure: _source(figure, path.parent),
    )
    return write_texts(path.parent, page=(path.name, document))["page"]


def markdown(title: str, sections: Sequence[Section]) -> str:
    """Returns a report as Markdown: its headings, paragraphs, tables and pictures.

    Args:
        title: The first heading.
        sections: The parts in order; what only a page can show is left out.
    """
    parts = [f"# {' '.join(title.split())}\n"]
    for section in sections:
        if section.heading:
            parts.append(f"## {section.heading}\n")
        for block in section.blocks:
            if isinstance(block, Table):
                parts += [f"{block.caption}\n"] if block.caption else []
                parts.append(markdown_table(block.header, block.rows, block.digits))
            elif isinstance(block, Figure):
                parts.append(f"![{block.alt}]({Path(block.path).name})\n")
            elif isinstance(block, str):
                parts.append(f"{block}\n")
    return "\n".join(parts)


def _source(figure: Figure, folder: Path) -> str:
    """Returns the address of a picture: what it holds, or its place."""
    file = Path(figure.path)
    media_type = _MEDIA_TYPES.get(file.suffix.lower())
    if media_type is None or not file.is_file():
        raise DataError(
            f"A picture must be an existing PNG, JPEG or SVG file, received `{file}`."
        )
    if not figure.alt.strip():
        raise DataError(f"Picture `{file}` needs `alt`: say in a line what it shows.")
    if not figure.embed:
        return _place(file, folder)
    return f"data:{media_type};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _place(file: str | Path, folder: Path) -> str:
    """Returns the address of a file as seen from a folder."""
    return quote(
        Path(os.path.relpath(Path(file).resolve(), folder.resolve())).as_posix()
    )

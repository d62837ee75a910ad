"""Self-contained HTML pages: text, tables and pictures, light and dark."""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path
from landslide_tf.report.chart import Chart, svg
from landslide_tf.report.style import STYLE
from landslide_tf.report.tables import Row, check_rows, format_cell, is_number

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
        caption: What the table shows, one sentence.
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
    """A row of numbers that a reader should see first.

    Attributes:
        numbers: (label, value, remark) of each; the remark may be empty.
        digits: Digits after the point of real numbers.
    """

    numbers: Sequence[tuple[str, str | float, str]]
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
    """A line that leads to another file.

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
    named = [section for section in sections if section.heading]
    body = [f"<h1>{html.escape(title)}</h1>"]
    if len(named) > 2:
        links = (
            f'<li><a href="#part-{sections.index(section)}">'
            f"{html.escape(section.heading)}</a></li>"
            for section in named
        )
        body.append(f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>')
    for index, section in enumerate(sections):
        blocks = "\n".join(_block(block, path.parent) for block in section.blocks)
        if section.heading:
            heading = f'<h2 id="part-{index}">{html.escape(section.heading)}</h2>'
            label = f' aria-labelledby="part-{index}"'
            body.append(f"<section{label}>\n{heading}\n{blocks}\n</section>")
        else:
            body.append(f"<section>\n{blocks}\n</section>")
    document = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{chr(10).join(body)}\n</main>\n</body>\n</html>\n"
    )
    with atomic_path(path) as temporary:
        temporary.write_text(document, encoding="utf-8")
    return path


def _block(block: Block, folder: Path) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        return _figure(block, folder)
    if isinstance(block, Charts):
        return f'<div class="charts">{"".join(map(svg, block.charts))}</div>'
    if isinstance(block, KeyNumbers):
        return _numbers(block)
    if isinstance(block, Link):
        place = _relative(Path(block.path), folder)
        return f'<p><a href="{place}">{html.escape(block.text)}</a></p>'
    if isinstance(block, Code):
        return f'<pre tabindex="0"><code>{html.escape(block.text.strip())}</code></pre>'
    return f"<p>{_inline(block)}</p>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _table(table: Table) -> str:
    check_rows(table.header, table.rows)
    right = [
        bool(table.rows) and all(is_number(row[column]) for row in table.rows)
        for column in range(len(table.header))
    ]
    heads = "".join(
        f'<th scope="col"{_align(is_right)}>{_inline(name)}</th>'
        for name, is_right in zip(table.header, right, strict=True)
    )
    lines = []
    for number, row in enumerate(table.rows):
        cells = [_inline(format_cell(cell, table.digits)) for cell in row]
        parts = [f'<th scope="row"{_align(right[0])}>{cells[0]}</th>']
        parts += [
            f"<td{_align(is_right)}>{cell}</td>"
            for cell, is_right in zip(cells[1:], right[1:], strict=True)
        ]
        strong = ' class="strong"' if number == table.strong else ""
        lines.append(f"<tr{strong}>{''.join(parts)}</tr>")
    # A wide table scrolls in its own frame, which the keyboard must reach.
    return (
        f'<div class="scroll" role="region" tabindex="0" '
        f'aria-label="{html.escape(table.caption)}"><table>\n'
        f"<caption>{_inline(table.caption)}</caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{chr(10).join(lines)}\n</tbody>\n"
        "</table></div>"
    )


def _align(right: bool) -> str:
    return ' class="number"' if right else ""


def _figure(figure: Figure, folder: Path) -> str:
    file = Path(figure.path)
    media_type = _MEDIA_TYPES.get(file.suffix.lower())
    if media_type is None or not file.is_file():
        raise DataError(
            f"A picture must be an existing PNG, JPEG or SVG file, received `{file}`."
        )
    if not figure.alt.strip():
        raise DataError(f"Picture `{file}` needs `alt`: say in a line what it shows.")
    if figure.embed:
        content = base64.b64encode(file.read_bytes()).decode("ascii")
        source = f"data:{media_type};base64,{content}"
    else:
        source = _relative(file, folder)
    caption = f"<figcaption>{_inline(figure.caption)}</figcaption>"
    return (
        f'<figure><img src="{source}" alt="{html.escape(figure.alt)}">'
        f"{caption if figure.caption else ''}</figure>"
    )


def _relative(file: Path, folder: Path) -> str:
    place = Path(os.path.relpath(file.resolve(), folder.resolve()))
    return quote(place.as_posix())


def _numbers(block: KeyNumbers) -> str:
    items = []
    for label, value, remark in block.numbers:
        shown = html.escape(format_cell(value, block.digits))
        note = f'<dd class="remark">{_inline(remark)}</dd>' if remark else ""
        items.append(f"<div><dt>{_inline(label)}</dt><dd>{shown}</dd>{note}</div>")
    return f'<dl class="numbers">{"".join(items)}</dl>'

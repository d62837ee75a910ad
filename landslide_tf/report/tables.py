"""Tables and numbers as Markdown, CSV and valid JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from landslide_tf.errors import DataError
from landslide_tf.files import write_text

Cell: TypeAlias = str | int | float | None
Row: TypeAlias = Sequence[Cell]

UNDEFINED = "\u2013"  # en dash
_MINUS = "\u2212"


def format_cell(value: object, digits: int = 4) -> str:
    """Formats one table cell.

    Args:
        value: Text, a count, a real number, nothing, or what has a text.
        digits: Digits after the point of a real number.

    Returns:
        Counts with thin thousands groups, real numbers with `digits` digits, `–` for
        NaN and None.
    """
    if value is None:
        return UNDEFINED
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}".replace(",", "\u202f")
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return UNDEFINED
        if math.isinf(value):
            return "∞" if value > 0 else f"{_MINUS}∞"
        return f"{value:.{digits}f}".replace("-", _MINUS)
    return str(value)


def number_columns(header: Sequence[str], rows: Sequence[Row]) -> list[bool]:
    """Returns for each column whether it holds numbers alone, which stand at the right.

    Raises:
        DataError: If a row has another number of cells than the header.
    """
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise DataError(
                f"Row {number} must have {len(header)} cells, one a column, received "
                f"{len(row)}: `{list(row)}`."
            )
    return [
        bool(rows) and all(_is_number(row[column]) for row in rows)
        for column in range(len(header))
    ]


def _is_number(value: Cell) -> bool:
    return value is None or (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
    )


def markdown_table(header: Sequence[str], rows: Sequence[Row], digits: int = 4) -> str:
    """Writes a GitHub-flavoured Markdown table.

    Args:
        header: Column names.
        rows: Rows of as many cells.
        digits: Digits after the point of real numbers.

    Returns:
        The table, columns of numbers aligned right, ending in a line break.

    Raises:
        DataError: If a row has another number of cells than the header.
    """
    right = number_columns(header, rows)
    lines = [[_escape(name) for name in header]]
    lines.append(["---:" if number else ":---" for number in right])
    lines += [[_escape(format_cell(cell, digits)) for cell in row] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def csv_text(header: Sequence[str], rows: Sequence[Row]) -> str:
    r"""Writes a CSV table with every digit; undefined values are empty cells.

    Args:
        header: Column names.
        rows: Rows of as many cells.

    Returns:
        The table with `\n` line ends.

    Raises:
        DataError: If a row has another number of cells than the header.
    """
    number_columns(header, rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue()


def json_text(value: object) -> str:
    """Writes strict JSON: NaN and infinities become `null`.

    Args:
        value: Mappings, sequences, arrays, NumPy scalars, paths, text and numbers.

    Returns:
        The indented document, ending in a line break.

    Raises:
        TypeError: If a value has no JSON form.
    """
    document = json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    return document + "\n"


def write_texts(folder: str | Path, **texts: tuple[str, str]) -> dict[str, Path]:
    """Writes the texts of a report.

    Args:
        folder: Where the files go; made when missing, files of these names replaced.
        texts: (file name, content) by kind.

    Returns:
        The written files by kind.
    """
    files = {}
    for kind, (name, text) in texts.items():
        files[kind] = Path(folder, name)
        write_text(files[kind], text)
    return files


def _escape(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())


def _plain(value: object) -> object:
    """The nearest JSON value of a value; what has none is left to the encoder."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value

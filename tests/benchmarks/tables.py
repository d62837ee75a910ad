"""Tables of numbers with their spread, as the pages and the benchmarks print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: Headings.
        rows: Cells as they are in records: text, numbers, or numbers with their spread.
        published: By the first cell of a row, the cells that others published for it.
    """

    columns: list[str]
    rows: list[list[Any]]
    published: dict[str, list[Any]] = field(default_factory=dict)

    def published_cell(self, row: list[Any], place: int) -> str:
        """Returns what others published in the place of a cell of ours."""
        found = self.published.get(row[0])
        return "" if found is None else shown(found[place - 1], digits=2)

    def lines(self) -> list[list[str]]:
        """Returns the cells as text, published rows behind ours."""
        found = []
        for row in self.rows:
            found.append([shown(cell) for cell in row])
            if row[0] in self.published:
                cells = [shown(cell, digits=2) for cell in self.published[row[0]]]
                found.append([f"{row[0]}, published", *cells])
        return found

    def markdown(self) -> str:
        """Returns the table in Markdown."""
        rows = [self.columns, ["---"] * len(self.columns), *self.lines()]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def shown(cell: Any, digits: int = 3) -> str:
    """Returns a cell as it is printed."""
    if isinstance(cell, float):
        return f"{cell:.{digits}f}".replace("-", MINUS)
    if not isinstance(cell, dict):
        return "" if cell is None else str(cell)
    text = f"{cell['estimate']:+.3f}" if "estimate" in cell else ""
    for key, form in (("value", "{:.3f}"), ("mean", "{:.3f}"), ("std", " ± {:.3f}")):
        if cell.get(key) is not None:
            text += form.format(cell[key])
    if "low" in cell:
        sign = "+" if "estimate" in cell else ""
        text += f" [{cell['low']:{sign}.3f}, {cell['high']:{sign}.3f}]"
    return text.replace("-", MINUS)


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Returns mean and standard deviation over seeds."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": std}

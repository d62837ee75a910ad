"""The published tables: landslide events, image pairs, pairs of the figures."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

from landslide_tf.datasets.common.reading import reading
from landslide_tf.datasets.ecoregion_landslides.boxes import (
    Box,
    calendar_date,
    repaired_box,
)
from landslide_tf.ecoregions import REGIONS, region_index
from landslide_tf.errors import DataError

Row = list[str]

_INVENTORY = (
    "OBJECTID", "Date", "Fatalities", "Confidence", "Inventory", "LS_ID",
    "Info_source", "InventoryURL", "Notes", "Latitude", "Longitude",
    "US Level I ecoregion",
)  # fmt: skip
_PAIRS = (
    "No.", "US level I ecoregion", "LL latitude", "LL longitude", "UR latitude",
    "UR longitude", "Pre-event image date", "Post-event image date",
)  # fmt: skip
_PAIRS_CSV = (
    "no", "region", "ll_lat", "ll_lon", "ur_lat", "ur_lon", "pre", "post",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something wrong in a row of a table.

    Attributes:
        row: Row of the file, from 1.
        key: Number of the event or pair; empty where the row has none.
        kind: What is wrong, one word.
        detail: What was found, and what became of it.
    """

    row: int
    key: str
    kind: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Event:
    """A landslide of the inventory; empty text = missing.

    Attributes:
        row: Row of the file, from 1.
        object_id: The only key that is unique.
        date: Day; January 1 where only the year is known.
        date_precision: `day` or `year`.
        fatalities: Number; None = not known.
        confidence: 5 or 8.
        inventory: Where the event comes from.
        ls_id: Identifier there.
        ls_id_lossy: Whether scientific notation ate digits of it.
        info_source: Source named there.
        url: Address of the inventory.
        notes: Free text.
        latitude: WGS 84, degrees.
        longitude: WGS 84, degrees.
        region: Name of the ecoregion.
    """

    row: int
    object_id: int
    date: datetime.date
    date_precision: Literal["day", "year"]
    fatalities: int | None
    confidence: int
    inventory: str
    ls_id: str
    ls_id_lossy: bool
    info_source: str
    url: str
    notes: str
    latitude: float
    longitude: float
    region: str


@dataclasses.dataclass(frozen=True)
class BoxedPair:
    """An image pair of a table.

    Attributes:
        row: Row of the file, from 1.
        number: Its `No.`.
        region: Name of the ecoregion.
        box: The ground, repaired.
        pre: Day of the image before, as the number YYYYMMDD.
        post: Day of the image after.
        flags: `latitude_swap`, `longitude_swap`, `same_date`, `aspect` where they
            apply.
    """

    row: int
    number: int
    region: str
    box: Box
    pre: int
    post: int
    flags: tuple[str, ...]


def read_inventory(path: str | os.PathLike[str]) -> tuple[list[Event], list[Fault]]:
    """Reads the events inventory.

    Args:
        path: The CSV or XLSX file. Only the latter has all digits of `LS_ID`.

    Returns:
        Events in the file's order; and the faults: `blank_row`, `unreadable` (left
        out), `region_spelling`, `stray_tab` (mended), `year_only`, `ls_id_lossy` and
        `duplicate_point` (kept).

    Raises:
        DataError: If the file is broken or is another table.
    """
    rows = _rows(path)
    _, header = next(rows, (0, []))
    if tuple(cell.strip() for cell in header[: len(_INVENTORY)]) != _INVENTORY:
        raise DataError(
            f"`{path}` must be the inventory with columns {', '.join(_INVENTORY)}, "
            f"received {', '.join(header) or 'nothing'}."
        )
    events: list[Event] = []
    faults: list[Fault] = []
    for number, row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            faults.append(Fault(number, "", "blank_row", "left out"))
            continue
        try:
            event = _event(number, cells)
        except (ValueError, IndexError) as error:
            faults.append(Fault(number, cells[0], "unreadable", f"{error}; left out"))
            continue
        events.append(event)
        faults += _faults_of(event, row)
    return events, faults + _duplicates(events)


def read_pairs(path: str | os.PathLike[str]) -> tuple[list[BoxedPair], list[Fault]]:
    """Reads the table of all image pairs.

    Args:
        path: The workbook, or a CSV file with the columns no, region, ll_lat, ll_lon,
            ur_lat, ur_lon, pre, post.

    Returns:
        Pairs in the file's order; and the faults: `unreadable` (left out),
        `latitude_swap`, `longitude_swap` (mended), `same_date`, `aspect` (kept).

    Raises:
        DataError: If the file is broken or is another table.
    """
    tables, faults = _pair_tables(path)
    return [pair for pairs in tables.values() for pair in pairs], faults


def read_figure_pairs(
    path: str | os.PathLike[str],
) -> tuple[dict[str, list[BoxedPair]], list[Fault]]:
    """Reads the workbook of the pairs that the figures show.

    Args:
        path: The workbook.

    Returns:
        Pairs by figure ("Fig. 1"), numbered from 1 in each; and faults as in
        `read_pairs`.

    Raises:
        DataError: If the file is broken or is another table.
    """
    tables, faults = _pair_tables(path)
    named = {}
    for title, pairs in tables.items():
        figure = re.match(r"Fig\. ?\d+", title)
        if figure is None:
            raise DataError(
                f"`{path}` must have the titles of figures above its tables, received "
                f"`{title}`; is it the table of all pairs?"
            )
        named[figure[0]] = pairs
    return named, faults


def _pair_tables(
    path: str | os.PathLike[str],
) -> tuple[dict[str, list[BoxedPair]], list[Fault]]:
    """Reads blocks of a title, a header and rows."""
    tables: dict[str, list[BoxedPair]] = {}
    faults: list[Fault] = []
    title, current = "", None
    for number, row in _rows(path):
        cells = [cell.strip() for cell in row[: len(_PAIRS)]]
        if tuple(cells) in (_PAIRS, _PAIRS_CSV):
            current = tables.setdefault(title, [])
        elif not any(cells):
            continue
        elif not any(cells[1:]):
            title = cells[0]
        elif current is not None:
            try:
                pair = _pair(number, cells)
            except (ValueError, IndexError) as error:
                faults.append(
                    Fault(number, cells[0], "unreadable", f"{error}; left out")
                )
                continue
            current.append(pair)
            faults += [
                Fault(number, str(pair.number), flag, _DETAILS[flag])
                for flag in pair.flags
            ]
    if current is None:
        raise DataError(
            f"`{path}` must be a table of image pairs with columns "
            f"{', '.join(_PAIRS)}, received no such header."
        )
    return tables, faults


_DETAILS = {
    "latitude_swap": "lower left latitude above the upper right one; exchanged",
    "longitude_swap": "left longitude right of the right one; exchanged",
    "same_date": "both images have one date; not for training",
    "aspect": "the box is implausibly narrow or wide; kept",
}


def _pair(row: int, cells: Row) -> BoxedPair:
    south, west, north, east = (float(cell) for cell in cells[2:6])
    box, flags = repaired_box((south, west), (north, east))
    pre, post = (int(cell) for cell in cells[6:8])
    if calendar_date(pre) > calendar_date(post):
        raise ValueError(f"the image before ({pre}) is later than the one after")
    if pre == post:
        flags.append("same_date")
    # Of exchanged corners the shape says no more than the exchange.
    if not box.plausible and not {"latitude_swap", "longitude_swap"} & set(flags):
        flags.append("aspect")
    return BoxedPair(
        row, int(cells[0]), _region(cells[1]), box, pre, post, tuple(flags)
    )


def _event(row: int, cells: Row) -> Event:
    date, precision = _date(cells[1])
    latitude, longitude = float(cells[9]), float(cells[10])
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise ValueError(f"{latitude}, {longitude} is no place in degrees")
    return Event(
        row=row,
        object_id=int(cells[0]),
        date=date,
        date_precision=precision,
        fatalities=int(cells[2]) if cells[2] else None,
        confidence=int(cells[3]),
        inventory=cells[4],
        ls_id=cells[5],
        ls_id_lossy=bool(re.fullmatch(r"[\d.]+E\+?\d+", cells[5])),
        info_source=cells[6],
        url=cells[7],
        notes=cells[8],
        latitude=latitude,
        longitude=longitude,
        region=_region(cells[11]),
    )


def _region(name: str) -> str:
    index = region_index(name)
    if index < 0:
        raise ValueError("`*` names no ecoregion")
    return REGIONS[index]


def _date(text: str) -> tuple[datetime.date, Literal["day", "year"]]:
    for form in ("%Y/%m/%d", "%m/%d/%Y", "%Y%m%d"):
        try:
            return datetime.datetime.strptime(text, form).date(), "day"
        except ValueError:
            continue
    if re.fullmatch(r"[12]\d{3}", text):
        return datetime.date(int(text), 1, 1), "year"
    raise ValueError(f"`{text}` is no date")


def _faults_of(event: Event, row: Row) -> list[Fault]:
    spelling = row[11].strip()
    tabs = [
        name
        for name, cell in zip(_INVENTORY, row, strict=False)
        if "\t" in cell and cell != cell.strip()
    ]
    found = [
        ("region_spelling", f"`{spelling}`; mended", spelling != event.region),
        *(("stray_tab", f"around `{name}`; taken away", True) for name in tabs),
        ("year_only", f"January 1, {event.date.year}", event.date_precision == "year"),
        ("ls_id_lossy", f"`{event.ls_id}`; no key", event.ls_id_lossy),
    ]
    key = str(event.object_id)
    return [Fault(event.row, key, kind, text) for kind, text, holds in found if holds]


def _duplicates(events: list[Event]) -> list[Fault]:
    first: dict[tuple[float, float], Event] = {}
    twins = [
        (event, first.setdefault((event.latitude, event.longitude), event))
        for event in events
    ]
    return [
        Fault(
            event.row,
            str(event.object_id),
            "duplicate_point",
            f"same point as row {twin.row}; kept",
        )
        for event, twin in twins
        if twin is not event
    ]


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, Row]]:
    """Yields the rows of a table as text with their number from 1."""
    if Path(path).suffix.lower() == ".csv":
        with reading(path, "a CSV file in UTF-8"):
            text = Path(path).read_text("utf-8-sig")
        yield from enumerate(csv.reader(io.StringIO(text, newline="")), 1)
        return
    import openpyxl  # too slow for `import landslide_tf`

    with reading(path, "an XLSX workbook"):
        workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
        with closing(workbook) as book:
            content = list(book.worksheets[0].iter_rows(values_only=True))
    for number, cells in enumerate(content, 1):
        yield number, [_text(cell) for cell in cells]


def _text(cell: object) -> str:
    if isinstance(cell, datetime.datetime):
        return f"{cell:%Y/%m/%d}"
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell)

"""What to download for the published image pairs, and under which names."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from etils import epath

from landslide_tf.datasets.common.reading import read_table
from landslide_tf.datasets.ecoregion_landslides.boxes import split_boxes
from landslide_tf.datasets.ecoregion_landslides.files import KINDS
from landslide_tf.datasets.ecoregion_landslides.tables import (
    BoxedPair,
    Event,
    read_inventory,
    read_pairs,
)
from landslide_tf.ecoregions import REGIONS, region_index
from landslide_tf.errors import DataError
from landslide_tf.files import write_text
from landslide_tf.outputs import check_apart, check_own, check_own_folder

PLAN, PLACES, PAIRS = "plan.csv", "plan.geojson", "pairs.csv"
_BOX = ("ll_lat", "ll_lon", "ur_lat", "ur_lon")


@dataclasses.dataclass(frozen=True)
class PlannedPair:
    """An image pair to save and label.

    Attributes:
        pair: Number, region, box, dates and flags.
        split: Part it is in when all planned pairs are there.
        events: Landslides of the inventory inside the box.
    """

    pair: BoxedPair
    split: str
    events: tuple[Event, ...] = ()

    def stem(self, phase: str) -> str:
        """Returns the name of the image `PRE` or `POST`, without a suffix."""
        south, west, north, east = self.pair.box.key
        date = self.pair.pre if phase == "PRE" else self.pair.post
        corners = f"{south:.6f}_{west:.6f}_{north:.6f}_{east:.6f}"
        return f"GE_{corners}_LS_{self.pair.number}_US_{date}_{phase}"

    def row(self) -> dict[str, Any]:
        """Returns the pair as a row of `plan.csv`."""
        pair = self.pair
        south, west, north, east = pair.box.key
        width, height = pair.box.size
        folder = pair.region
        return {
            "no": pair.number,
            "region": pair.region,
            "latitude": round((south + north) / 2, 6),
            "longitude": round((west + east) / 2, 6),
            "ll_lat": south,
            "ll_lon": west,
            "ur_lat": north,
            "ur_lon": east,
            "width_m": round(width, 1),
            "height_m": round(height, 1),
            "pre": pair.pre,
            "post": pair.post,
            "split": self.split,
            "flags": ",".join(pair.flags),
            "events": " ".join(str(event.object_id) for event in self.events),
            "event_dates": " ".join(_day(event) for event in self.events),
            "pre_file": f"{folder}/PRE_IMAGES/{self.stem('PRE')}.jpg",
            "post_file": f"{folder}/POST_IMAGES/{self.stem('POST')}.jpg",
            "label_file": f"{folder}/POST_JSON_LABELS/{self.stem('POST')}.json",
        }


def _day(event: Event) -> str:
    return str(event.date.year if event.date_precision == "year" else event.date)


def plan_pairs(
    table: str | os.PathLike[str],
    *,
    inventory: str | os.PathLike[str] | None = None,
    regions: Collection[str] = (),
) -> list[PlannedPair]:
    """Lists the image pairs of the published table with the events in their boxes.

    Args:
        table: The workbook of all pairs, or a CSV file as `read_pairs` takes it.
        inventory: The inventory of events, CSV or XLSX.
        regions: Names or codes of ecoregions; none is all.

    Returns:
        The pairs in the table's order.

    Raises:
        DataError: If a file is broken or another table, there is no such region, or
            none of its pairs.
    """
    pairs, _ = read_pairs(table)
    if regions:
        wanted = {REGIONS[region_index(name)] for name in regions}
        pairs = [pair for pair in pairs if pair.region in wanted]
    if not pairs:
        raise DataError(
            f"`{table}` must list image pairs of {', '.join(regions) or 'a region'}, "
            "received none."
        )
    events = read_inventory(inventory)[0] if inventory is not None else []
    splits: dict[int, str] = {}
    for index, region in enumerate(REGIONS):
        boxes = {pair.number: pair.box for pair in pairs if pair.region == region}
        splits |= split_boxes(index, boxes)
    return [
        PlannedPair(
            pair,
            splits[pair.number],
            tuple(
                event
                for event in events
                if pair.box.holds(event.latitude, event.longitude)
            ),
        )
        for pair in pairs
    ]


def write_plan(
    folder: str | Path,
    planned: Sequence[PlannedPair],
    *,
    read: Sequence[str | Path | None] = (),
    overwrite: bool = False,
) -> dict[str, Path]:
    """Writes a plan, the folders that the images go to, and the builder's table.

    Args:
        folder: `<manual_dir>/ecoregion_landslides`; files in it stay.
        planned: From `plan_pairs`.
        read: Files that were read for it.
        overwrite: Whether files of the plan's names with other content are replaced.

    Returns:
        The written files: `plan` (`plan.csv`, a row a pair with centre and corners in
        degrees, size in metres, dates, part, events and file names), `places`
        (`plan.geojson`, the boxes for a map) and `pairs` (`pairs.csv`, which gives the
        builder the published numbers).

    Raises:
        DataError: If a file to write is one of those that were read, or is there with
            other content.
    """
    folder = Path(folder)
    texts = _texts(planned)
    check_own_folder(folder, "a plan", lambda entry: True)  # whatever it holds stays
    check_apart([folder / name for name in texts], read)
    for name in texts:
        check_own(
            folder / name,
            "plan",
            lambda path: path.read_bytes() == texts[path.name].encode(),
            overwrite=overwrite,
        )
    for region in dict.fromkeys(p.pair.region for p in planned):
        for name, _ in KINDS.values():
            (folder / region / name).mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text)
    names = {"plan": PLAN, "places": PLACES, "pairs": PAIRS}
    return {key: folder / name for key, name in names.items()}


def _texts(planned: Sequence[PlannedPair]) -> dict[str, str]:
    """Returns what the files of a plan hold, by their names."""
    rows = [p.row() for p in planned]
    columns = ("no", "region", *_BOX, "pre", "post")
    features = [
        {
            "type": "Feature",
            "properties": row,
            "geometry": {"type": "Polygon", "coordinates": [_ring(p)]},
        }
        for p, row in zip(planned, rows, strict=True)
    ]
    collection = {"type": "FeatureCollection", "features": features}
    return {
        PLAN: csv_rows(rows),
        PLACES: json.dumps(collection) + "\n",
        PAIRS: csv_rows([{name: row[name] for name in columns} for row in rows]),
    }


def _ring(planned: PlannedPair) -> list[list[float]]:
    """Returns the corners of a box, counter-clockwise, the first one twice."""
    south, west, north, east = planned.pair.box.key
    ring = [[west, south], [east, south], [east, north], [west, north]]
    return [*ring, ring[0]]


def read_plan(folder: str | Path) -> list[dict[str, str]]:
    """Reads the rows of a folder's `plan.csv`.

    Raises:
        DataError: If it is missing or broken.
    """
    path = epath.Path(folder) / PLAN
    if not path.is_file():
        raise DataError(
            f"`{folder}` must hold `{PLAN}`: write it with `landslide-tf datasets plan "
            f"WORKBOOK --out {folder}`."
        )
    return read_table(path, ("no", "region", "split", *_BOX, "pre", "post"))


def csv_rows(rows: Sequence[dict[str, Any]]) -> str:
    """Writes rows of equal keys as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

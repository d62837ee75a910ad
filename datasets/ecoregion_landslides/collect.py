"""How far a planned collection of image pairs has come, and its masks."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath
from numpy.typing import NDArray

from landslide_tf.datasets.common.reading import read_rgb
from landslide_tf.datasets.ecoregion_landslides.boxes import Box
from landslide_tf.datasets.ecoregion_landslides.labels import read_label
from landslide_tf.datasets.ecoregion_landslides.names import parse_pair_name
from landslide_tf.datasets.ecoregion_landslides.pairs import KINDS
from landslide_tf.datasets.ecoregion_landslides.plan import csv_rows, read_plan
from landslide_tf.ecoregions import region_index
from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path

COLLECTED = "collected.csv"
_MOST_STRETCH = 0.01  # relative difference of two images' aspect, as of the builder
_MOST_ASPECT = 0.1  # the same of an image and its box

# Region, corners, date: what a file shows.
Key = tuple[int, tuple[float, ...], int]


@dataclasses.dataclass
class Collection:
    """What a folder holds of its plan.

    Attributes:
        rows: One a planned pair: `no`, `region`, `split`, `state` (`complete`,
            `faulty`, or `lacks` and what), `width`, `height` (pixels),
            `landslide_share` and `remark`.
        strays: Files that are no planned image or label, and why.
        masks: Masks that were written from polygons.
    """

    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    strays: list[str] = dataclasses.field(default_factory=list)
    masks: int = 0

    @property
    def faulty(self) -> list[dict[str, Any]]:
        """Rows of pairs that the builder would refuse."""
        return [row for row in self.rows if row["state"] == "faulty"]

    def lines(self) -> Iterator[str]:
        """Says it for readers."""
        for region in dict.fromkeys(row["region"] for row in self.rows):
            states = Counter(r["state"] for r in self.rows if r["region"] == region)
            counts = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
            yield f"{region}: {sum(states.values())} planned: {counts}"
        for row in self.rows:
            if row["remark"]:
                yield f"No. {row['no']}: {row['remark']}"
        for stray in self.strays:
            yield f"not planned: {stray}"
        yield f"masks written from polygons: {self.masks}"


def collect_pairs(folder: str | Path) -> Collection:
    """Compares a folder with its plan, reads what is there, writes masks of polygons.

    Args:
        folder: A folder that `write_plan` has written, with images and labels since.

    Returns:
        What is complete, lacking and faulty. `collected.csv` says it too, and
        `POST_LABELS` has a mask (0 and 255) for every readable file of polygons.

    Raises:
        DataError: If there is no plan, or it is broken.
    """
    root = epath.Path(folder)
    plan = read_plan(folder)
    found = Collection()
    files = {kind: _files(root, kind, found) for kind in KINDS}
    used: set[epath.Path] = set()
    for row in plan:
        parts = {}
        for kind in KINDS:
            path = files[kind].get(_key(row, kind))
            if path is not None:
                parts[kind] = path
                used.add(path)
        found.rows.append(_collected(row, parts, found))
    for listed in files.values():
        found.strays += [
            f"{_short(path)}: no pair with this place and date"
            for path in listed.values()
            if path not in used
        ]
    with atomic_path(Path(folder) / COLLECTED) as temporary:
        temporary.write_text(csv_rows(found.rows), encoding="utf-8")
    return found


def _key(row: dict[str, str], kind: str) -> Key:
    box = tuple(float(row[name]) for name in ("ll_lat", "ll_lon", "ur_lat", "ur_lon"))
    return (
        region_index(row["region"]),
        box,
        int(row["pre" if kind == "pre" else "post"]),
    )


def _files(root: epath.Path, kind: str, found: Collection) -> dict[Key, epath.Path]:
    """Lists the files of a kind by what their names say."""
    folder, suffixes = KINDS[kind]
    phase = "pre" if kind == "pre" else "post"
    listed: dict[Key, epath.Path] = {}
    for place in sorted(root.glob(f"*/{folder}")):
        for path in sorted(place.iterdir()):
            if path.name.startswith(".") or path.name in ("desktop.ini", "Thumbs.db"):
                continue
            try:
                name = parse_pair_name(path.name)
                key = region_index(place.parent.name), name.box.key, name.date
            except DataError as error:
                found.strays.append(f"{_short(path)}: {error}")
                continue
            if path.suffix.lower() not in suffixes or name.phase != phase:
                found.strays.append(f"{_short(path)}: not for this folder")
            elif key in listed:
                found.strays.append(f"{_short(path)}: twice, see {listed[key].name}")
            else:
                listed[key] = path
    return listed


def _short(path: epath.Path) -> str:
    return "/".join(path.parts[-3:])


def _collected(
    row: dict[str, str], parts: dict[str, epath.Path], found: Collection
) -> dict[str, Any]:
    """Returns how far one pair is."""
    result = {name: row[name] for name in ("no", "region", "split")}
    facts: dict[str, Any] = {"width": "", "height": "", "landslide_share": ""}
    label = parts.get("json", parts.get("png"))
    lacking = [kind for kind in ("pre", "post") if kind not in parts]
    lacking += [] if label is not None else ["label"]
    state, remark = "complete", ""
    if lacking:
        state = f"lacks {' and '.join(lacking)}"
    else:
        try:
            facts, remark, mask = _read(row, parts, label)
        except DataError as error:
            state, remark = "faulty", " ".join(str(error).split())
        else:
            if "json" in parts:
                _write_mask(Path(parts["json"]), mask)
                found.masks += 1
    return {**result, "state": state, **facts, "remark": remark}


def _read(
    row: dict[str, str], parts: dict[str, epath.Path], label: epath.Path
) -> tuple[dict[str, Any], str, NDArray[np.uint8]]:
    """Reads a pair as the builder does.

    Returns:
        Its size and share of landslide, what a user may want to look at, and the mask.
    """
    pre, post = read_rgb(parts["pre"]), read_rgb(parts["post"])
    height, width = post.shape[:2]
    stretch = (pre.shape[1] / pre.shape[0]) / (width / height) - 1
    if not abs(stretch) < _MOST_STRETCH:
        raise DataError(
            f"`{_short(parts['pre'])}` must show the view of the image after, "
            f"{post.shape[:2]}, received {pre.shape[:2]}; save both from one view."
        )
    mask = read_label(label, (height, width))
    remarks = []
    if pre.shape != post.shape:
        remarks.append(f"the image before is {pre.shape[:2]}, after {post.shape[:2]}")
    if np.array_equal(pre, post):
        remarks.append("both images are the same")
    across, up = _box(row).size
    if abs((across / up) / (width / height) - 1) > _MOST_ASPECT:
        remarks.append(
            f"the image is {width} by {height} pixels, its box {across:.0f} by "
            f"{up:.0f} m"
        )
    if not mask.any():
        remarks.append("no landslide is labelled")
    share = round(float(mask.mean()), 6)
    facts = {"width": width, "height": height, "landslide_share": share}
    return facts, "; ".join(remarks), mask


def _box(row: dict[str, str]) -> Box:
    south, west, north, east = (
        float(row[name]) for name in ("ll_lat", "ll_lon", "ur_lat", "ur_lon")
    )
    return Box((south, west), (north, east))


def _write_mask(polygons: Path, mask: NDArray[np.uint8]) -> None:
    """Writes the mask of a file of polygons where the builder looks for pictures."""
    from PIL import Image  # too slow for `import landslide_tf`

    folder = polygons.parent.parent / "POST_LABELS"
    folder.mkdir(exist_ok=True)
    with atomic_path(folder / f"{polygons.stem}.png") as temporary:
        Image.fromarray(mask * np.uint8(255)).save(temporary, format="PNG")

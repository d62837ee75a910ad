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
from landslide_tf.datasets.ecoregion_landslides.boxes import Box, parse_pair_name
from landslide_tf.datasets.ecoregion_landslides.files import (
    KINDS,
    check_view,
    read_label,
)
from landslide_tf.datasets.ecoregion_landslides.plan import csv_rows, read_plan
from landslide_tf.ecoregions import region_index
from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path, write_text
from landslide_tf.outputs import check_own

COLLECTED = "collected.csv"
_COLUMNS = (
    "no", "region", "split", "state", "width", "height", "landslide_share", "remark"
)  # fmt: skip
# Tells masks that were made of polygons from those that somebody has drawn.
_MARK, _SOFTWARE = "Software", "landslide-tf datasets collect"
_MOST_STRETCH = 0.1  # relative difference of the aspects of an image and its box

# Region, corners, date: what a file shows.
Key = tuple[int, tuple[float, ...], int]


@dataclasses.dataclass
class Collection:
    """Contents of a folder compared with its plan.

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


def collect_pairs(folder: str | Path, *, overwrite: bool = False) -> Collection:
    """Compares a folder with its plan, reads its files and draws masks from polygons.

    Args:
        folder: A folder that `write_plan` has written, with images and labels since.
        overwrite: Whether masks and a `collected.csv` of others are replaced, too.

    Returns:
        What is complete, lacking and faulty. `collected.csv` says it too, and
        `POST_LABELS` has a mask (0 and 255) for every readable file of polygons. A mask
        that shows something else and was not written here is kept, with a remark.

    Raises:
        DataError: If there is no plan, or it is broken, or `collected.csv` is something
            else.
    """
    root = epath.Path(folder)
    plan = read_plan(folder)
    check_own(Path(folder, COLLECTED), "list", _is_collected, overwrite=overwrite)
    found = Collection()
    files = {kind: _files(root, kind, found) for kind in KINDS}
    for row in plan:
        parts = {
            kind: listed[key]
            for kind, listed in files.items()
            if (key := _key(row, kind)) in listed
        }
        found.rows.append(_collected(row, parts, found, overwrite))
    for kind, listed in files.items():
        planned = {_key(row, kind) for row in plan}
        found.strays += [
            f"{_short(path)}: no pair with this place and date"
            for key, path in listed.items()
            if key not in planned
        ]
    write_text(Path(folder) / COLLECTED, csv_rows(found.rows))
    return found


def _key(row: dict[str, str], kind: str) -> Key:
    date = row["pre" if kind == "pre" else "post"]
    return region_index(row["region"]), _corners(row), int(date)


def _files(root: epath.Path, kind: str, found: Collection) -> dict[Key, epath.Path]:
    """Lists the files of a kind by what their names say."""
    folder, suffixes = KINDS[kind]
    phase = "pre" if kind == "pre" else "post"
    listed: dict[Key, epath.Path] = {}
    for path in sorted(root.glob(f"*/{folder}/*")):
        if path.name.startswith(".") or path.name in ("desktop.ini", "Thumbs.db"):
            continue
        try:
            name = parse_pair_name(path.name)
            key = region_index(path.parent.parent.name), name.box.key, name.date
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
    row: dict[str, str],
    parts: dict[str, epath.Path],
    found: Collection,
    overwrite: bool,
) -> dict[str, Any]:
    """Returns how far one pair is, and writes its mask where it has polygons."""
    result: dict[str, Any] = dict.fromkeys(_COLUMNS, "") | {"state": "complete"}
    result |= {name: row[name] for name in ("no", "region", "split")}
    label = parts.get("json", parts.get("png"))
    lacking = [kind for kind in ("pre", "post") if kind not in parts]
    lacking += ["label"] * (label is None)
    if label is None or lacking:
        return result | {"state": f"lacks {' and '.join(lacking)}"}
    try:
        read, mask = _read(row, parts, label)
    except DataError as error:
        return result | {"state": "faulty", "remark": " ".join(str(error).split())}
    if "json" in parts:
        given = Path(parts["png"]) if "png" in parts else None
        if given is None or overwrite or _may_replace(given, mask):
            _write_mask(Path(parts["json"]), given, mask)
            found.masks += 1
        else:
            kept = f"`{given.name}` is kept and shows something else than the polygons"
            read["remark"] = "; ".join(filter(None, (read["remark"], kept)))
    return result | read


def _read(
    row: dict[str, str], parts: dict[str, epath.Path], label: epath.Path
) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Reads a pair as the builder does.

    Returns:
        Its size, share of landslide and what a user may want to look at; the mask.
    """
    pre, post = read_rgb(parts["pre"]), read_rgb(parts["post"])
    height, width = post.shape[:2]
    check_view(pre, post, _short(parts["pre"]))
    mask = read_label(label, (height, width))
    south, west, north, east = _corners(row)
    across, up = Box((south, west), (north, east)).size
    shape = abs((across / up) / (width / height) - 1)
    remarks = {
        f"the image before is {pre.shape[:2]}, after {post.shape[:2]}": (
            pre.shape != post.shape
        ),
        "both images are the same": np.array_equal(pre, post),
        f"the image is {width} by {height} pixels, its box {across:.0f} by "
        f"{up:.0f} m": shape > _MOST_STRETCH,
        "no landslide is labelled": not mask.any(),
    }
    return {
        "width": width,
        "height": height,
        "landslide_share": round(float(mask.mean()), 6),
        "remark": "; ".join(remark for remark, holds in remarks.items() if holds),
    }, mask


def _corners(row: dict[str, str]) -> tuple[float, ...]:
    return tuple(float(row[name]) for name in ("ll_lat", "ll_lon", "ur_lat", "ur_lon"))


def _is_collected(path: Path) -> bool:
    """Whether a file is an earlier list of what was collected."""
    with path.open(encoding="utf-8") as stream:
        return stream.readline().rstrip() == ",".join(_COLUMNS)


def _may_replace(picture: Path, mask: NDArray[np.uint8]) -> bool:
    """Whether a picture was written here, or shows what is to be written."""
    from PIL import Image  # too slow for `import landslide_tf`

    try:
        with Image.open(picture) as image:
            if image.info.get(_MARK) == _SOFTWARE:
                return True
        return bool(np.array_equal(read_label(epath.Path(picture), mask.shape), mask))
    except (OSError, DataError):
        return False


def _write_mask(polygons: Path, picture: Path | None, mask: NDArray[np.uint8]) -> None:
    """Writes the mask of a file of polygons where the builder looks for pictures.

    Args:
        polygons: The file of polygons.
        picture: The picture of the same place and date that is there, if any.
        mask: 1 = landslide.
    """
    from PIL import Image, PngImagePlugin  # too slow for `import landslide_tf`

    folder = polygons.parent.parent / "POST_LABELS"
    folder.mkdir(exist_ok=True)
    mark = PngImagePlugin.PngInfo()
    mark.add_text(_MARK, _SOFTWARE)
    with atomic_path(picture or folder / f"{polygons.stem}.png") as temporary:
        image = Image.fromarray(mask * np.uint8(255))
        image.save(temporary, format="PNG", pnginfo=mark)

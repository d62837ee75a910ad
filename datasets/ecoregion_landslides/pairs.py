"""Finding a user's image pairs, and splitting them by ground."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterable

from etils import epath

from landslide_tf.datasets.common.pairing import by_key
from landslide_tf.datasets.common.reading import reading
from landslide_tf.datasets.common.splits import warn_of_shared_ground
from landslide_tf.datasets.ecoregion_landslides.boxes import SPLITS, Box, split_boxes
from landslide_tf.datasets.ecoregion_landslides.names import PairName, parse_pair_name
from landslide_tf.datasets.ecoregion_landslides.tables import read_pairs
from landslide_tf.ecoregions import CODES, region_index
from landslide_tf.errors import DataError

LAYOUT = (
    "`<REGION>/{PRE_IMAGES,POST_IMAGES}/GE_..._{PRE,POST}.jpg` with "
    "`<REGION>/POST_LABELS/*.png` or `<REGION>/POST_JSON_LABELS/*.json`"
)
PAIR_TABLES = ("pairs.csv", "Coordinates for all the images.xlsx")

_IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
KINDS = {
    "pre": ("PRE_IMAGES", _IMAGES),
    "post": ("POST_IMAGES", _IMAGES),
    "png": ("POST_LABELS", (".png",)),
    "json": ("POST_JSON_LABELS", (".json",)),
}

Key = tuple[str, tuple[float, ...]]  # landslide, corners


@dataclasses.dataclass(frozen=True)
class ImagePair:
    """Files of a pair and what their names say."""

    region: int
    pair_id: str
    pre: epath.Path
    post: epath.Path
    label: epath.Path
    ls_id: str
    box: Box
    pre_date: int
    post_date: int
    flags: tuple[str, ...]


@dataclasses.dataclass
class Folder:
    """What the folders of the regions hold.

    Attributes:
        pairs: Complete pairs, by id.
        incomplete: Files whose pair lacks an image or a label, and what it lacks.
        ignored: Files that are neither images nor labels.
    """

    pairs: list[ImagePair] = dataclasses.field(default_factory=list)
    incomplete: list[str] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)


def find_pairs(root: epath.Path, regions: Iterable[int]) -> Folder:
    """Lists the image pairs of some regions.

    Args:
        root: The folder with a folder a region.
        regions: Indices of the wanted regions.

    Returns:
        Pairs and leftovers.

    Raises:
        DataError: If a file's name cannot be read, two files are the same image, or
            no pair is complete.
    """
    found = Folder()
    wanted = set(regions)
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if not any((folder / name).is_dir() for name, _ in KINDS.values()):
            continue
        region = region_index(folder.name)
        if region in wanted:
            _add_region(found, folder, region)
    if not found.pairs:
        raise DataError(
            f"`{root}` must hold image pairs of {', '.join(CODES[k] for k in wanted)}: "
            f"{LAYOUT}; received no complete pair, {len(found.incomplete)} incomplete."
        )
    found.pairs.sort(key=lambda pair: pair.pair_id)
    return found


def split_pairs(root: epath.Path, pairs: list[ImagePair]) -> dict[str, list[ImagePair]]:
    """Splits the pairs by the user's list, or region by region without shared ground.

    Args:
        root: The folder, perhaps with `splits.csv` or a table of all pairs.
        pairs: All pairs.

    Returns:
        Pairs by split.

    Raises:
        DataError: If `splits.csv` names another split or leaves out a pair.
    """
    if (root / "splits.csv").exists():
        chosen = _listed(root / "splits.csv", pairs)
    else:
        numbers = _numbers(root)
        chosen = {}
        for region in sorted({pair.region for pair in pairs}):
            keys = {
                numbers.get((region, p.box.key, p.pre_date, p.post_date), p.pair_id): p
                for p in pairs
                if p.region == region
            }
            boxes = {key: pair.box for key, pair in keys.items()}
            for key, split in split_boxes(region, boxes).items():
                chosen[keys[key].pair_id] = split
    splits: dict[str, list[ImagePair]] = {split: [] for split in SPLITS}
    for pair in pairs:
        splits[chosen[pair.pair_id]].append(pair)
    names = {split: [p.pair_id for p in members] for split, members in splits.items()}
    warn_of_shared_ground(names, {pair.pair_id: pair.box.bounds for pair in pairs})
    return splits


def _add_region(found: Folder, folder: epath.Path, region: int) -> None:
    files: dict[str, dict[Key, epath.Path]] = {}
    names: dict[epath.Path, PairName] = {}
    for kind, (name, suffixes) in KINDS.items():
        phase = "pre" if kind == "pre" else "post"
        listed, ignored = by_key(folder / name, _key(folder / name, phase), suffixes)
        files[kind] = listed
        names |= {path: parse_pair_name(path.name) for path in listed.values()}
        found.ignored += [f"{folder.name}/{other}" for other in ignored]
    # Polygons are what was drawn, a picture is made from them.
    labels = files["png"] | files["json"]
    for key in sorted(files["pre"].keys() | files["post"].keys() | labels.keys()):
        parts = {"pre": files["pre"], "post": files["post"], "label": labels}
        if lacking := [part for part, listed in parts.items() if key not in listed]:
            here = next(listed[key] for listed in parts.values() if key in listed)
            found.incomplete.append(
                f"{folder.name}/{here.parent.name}/{here.name}: no {', '.join(lacking)}"
            )
            continue
        pre, post = files["pre"][key], files["post"][key]
        found.pairs.append(
            _pair(region, (pre, post, labels[key]), (names[pre], names[post]))
        )


def _pair(
    region: int,
    files: tuple[epath.Path, epath.Path, epath.Path],
    names: tuple[PairName, PairName],
) -> ImagePair:
    before, after = names
    flags = {*before.repairs, *after.repairs}
    if before.date > after.date:
        raise DataError(
            f"`{files[0]}` must be older than `{files[1].name}`, received "
            f"{before.date} and {after.date}; rename the files."
        )
    if before.date == after.date:
        flags.add("same_date")
    if not after.box.plausible:
        flags.add("aspect")
    south, west = after.box.lower_left
    place = f"{CODES[region]}_{after.ls_id}_{south:.6f}_{west:.6f}"
    return ImagePair(
        region,
        f"{place}_{before.date}_{after.date}",
        *files,
        after.ls_id,
        after.box,
        before.date,
        after.date,
        tuple(sorted(flags)),
    )


def _key(folder: epath.Path, phase: str) -> Callable[[str], Key]:
    """Makes the function that reads what a file of a folder shows."""

    def read(stem: str) -> Key:
        try:
            name = parse_pair_name(stem)
        except DataError as error:
            raise DataError(f"in `{folder}`: {error}") from error
        if name.phase != phase:
            raise DataError(
                f"`{folder / stem}` must end with `{phase.upper()}`, which its folder "
                "holds; rename or move the file."
            )
        return name.ls_id, name.box.key

    return read


def _numbers(root: epath.Path) -> dict[tuple[int, tuple[float, ...], int, int], int]:
    """Reads the numbers of the pairs from a table that lies in the folder."""
    path = next((root / name for name in PAIR_TABLES if (root / name).exists()), None)
    if path is None:
        return {}
    pairs, _ = read_pairs(path)
    return {(region_index(p.region), p.box.key, p.pre, p.post): p.number for p in pairs}


def _listed(path: epath.Path, pairs: list[ImagePair]) -> dict[str, str]:
    with reading(path, "a CSV file with pair_id,split"):
        rows = list(csv.DictReader(path.read_text().splitlines()))
        chosen = {row["pair_id"].strip(): row["split"].strip() for row in rows}
    chosen = {k: "validation" if v == "val" else v for k, v in chosen.items()}
    if wrong := sorted(set(chosen.values()) - set(SPLITS)):
        raise DataError(
            f"`{path}` must name the splits {', '.join(SPLITS)}, received `{wrong[0]}`."
        )
    if missing := sorted({pair.pair_id for pair in pairs} - chosen.keys()):
        raise DataError(
            f"`{path}` must name a split for every pair, received none for "
            f"{len(missing)}, among them `{missing[0]}`; add them or remove the file."
        )
    return chosen

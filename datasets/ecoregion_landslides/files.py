"""A user's image pairs: their files and labels, and a split by ground.

Apart from the builder: `collect` reads and checks the same files.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from etils import epath
from numpy.typing import NDArray

from landslide_tf.datasets.common.pairing import by_key
from landslide_tf.datasets.common.reading import read_raster, reading
from landslide_tf.datasets.common.splits import (
    SPLITS,
    read_splits,
    warn_of_shared_ground,
)
from landslide_tf.datasets.ecoregion_landslides.boxes import (
    Box,
    parse_pair_name,
    split_boxes,
)
from landslide_tf.datasets.ecoregion_landslides.tables import read_pairs
from landslide_tf.ecoregions import CODES, region_index
from landslide_tf.errors import DataError

LAYOUT = (
    "`<REGION>/{PRE_IMAGES,POST_IMAGES}/GE_..._{PRE,POST}.jpg` with "
    "`<REGION>/POST_LABELS/*.png` or `<REGION>/POST_JSON_LABELS/*.json`"
)
PAIR_TABLES = ("pairs.csv", "Coordinates for all the images.xlsx")

_MOST_STRETCH = 0.01  # relative difference of the two images' aspect
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
    path = root / "splits.csv"
    if path.exists():
        chosen = read_splits(path, [pair.pair_id for pair in pairs], "pair_id")
    else:
        numbers = _numbers(root)
        chosen = {}
        for region in sorted({pair.region for pair in pairs}):
            keys = {
                numbers.get((region, p.box.key, p.pre_date, p.post_date), p.pair_id): p
                for p in pairs
                if p.region == region
            }
            found = split_boxes(region, {key: pair.box for key, pair in keys.items()})
            chosen |= {keys[key].pair_id: split for key, split in found.items()}
    splits: dict[str, list[ImagePair]] = {split: [] for split in SPLITS}
    for pair in pairs:
        splits[chosen[pair.pair_id]].append(pair)
    names = {split: [p.pair_id for p in members] for split, members in splits.items()}
    warn_of_shared_ground(names, {pair.pair_id: pair.box.bounds for pair in pairs})
    return splits


def _add_region(found: Folder, folder: epath.Path, region: int) -> None:
    files: dict[str, dict[Key, epath.Path]] = {}
    for kind, (name, suffixes) in KINDS.items():
        phase = "pre" if kind == "pre" else "post"
        listed, ignored = by_key(folder / name, _key(folder / name, phase), suffixes)
        files[kind] = listed
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
        found.pairs.append(
            _pair(region, files["pre"][key], files["post"][key], labels[key])
        )


def _pair(
    region: int, pre: epath.Path, post: epath.Path, label: epath.Path
) -> ImagePair:
    before, after = parse_pair_name(pre.name), parse_pair_name(post.name)
    flags = {*before.repairs, *after.repairs}
    if before.date > after.date:
        raise DataError(
            f"`{pre}` must be older than `{post.name}`, received "
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
        pre,
        post,
        label,
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


def check_view(pre: np.ndarray, post: np.ndarray, path: object) -> None:
    """Refuses an image before that shows another view than the one after.

    Args:
        pre: Image before, (H, W, 3).
        post: Image after, (H, W, 3); the sizes may differ.
        path: File of the image before, for the message.

    Raises:
        DataError: If width by height differs by 1 % or more.
    """
    (rows, columns), (height, width) = pre.shape[:2], post.shape[:2]
    if not abs((columns / rows) / (width / height) - 1) < _MOST_STRETCH:
        raise DataError(
            f"`{path}` must show the view of the image after, {post.shape[:2]}, "
            f"received {pre.shape[:2]}; save both from one view."
        )


def read_label(path: epath.Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Reads a label.

    Args:
        path: labelme's JSON, or a picture of which every value but 0 is landslide.
        size: Rows and columns of the image that was labelled.

    Returns:
        uint8 (H, W), 1 = landslide.

    Raises:
        DataError: If the file is broken, of another size, or has other shapes than
            polygons.
    """
    if path.suffix.lower() == ".json":
        return _burnt(path, size)
    # Of a picture with four bands the last one is alpha.
    values = read_raster(path).values[..., :3]
    if values.shape[:2] != size:
        raise DataError(
            f"`{path}` must have the size {size} of its image, received "
            f"{values.shape[:2]}; label it again."
        )
    return np.any(values, axis=-1).astype(np.uint8)


def _burnt(path: epath.Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Burns the polygons of a JSON: a pixel counts where its centre is inside."""
    from rasterio.features import rasterize  # too slow for `import landslide_tf`

    with reading(path, "labels of labelme"):
        content = json.loads(path.read_text("utf-8"))
        stated = content["imageHeight"], content["imageWidth"]
        shapes = [_polygon(shape, path) for shape in content["shapes"]]
        if stated != size:
            raise DataError(
                f"`{path}` must label an image of {size}, received labels for one of "
                f"{stated}; label it again."
            )
        if not shapes:
            return np.zeros(size, np.uint8)
        return np.asarray(rasterize(shapes, out_shape=size, dtype="uint8"), np.uint8)


def _polygon(shape: dict[str, Any], path: epath.Path) -> dict[str, Any]:
    """Makes a geometry of one of labelme's shapes, whatever its label."""
    kind = shape.get("shape_type", "polygon")
    points = np.asarray(shape["points"], np.float64)
    if kind != "polygon" or points.ndim != 2 or points.shape[1] != 2:
        raise DataError(f"`{path}` must hold polygons, received a `{kind}`.")
    if len(points) < 3 or not np.isfinite(points).all():
        raise DataError(
            f"`{path}` must hold polygons of three corners or more, received "
            f"{points.tolist()}."
        )
    return {"type": "Polygon", "coordinates": [[*points.tolist(), points[0].tolist()]]}

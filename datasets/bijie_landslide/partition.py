"""How the images of Bijie are split.

Apart from the builder: four schemes, each a rule of its own.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence

from landslide_tf.datasets.bijie_landslide.files import KINDS, PUBLISHED, Scene
from landslide_tf.datasets.common.overlaps import find_overlaps
from landslide_tf.datasets.common.reading import read_rgb
from landslide_tf.datasets.common.report import warn_incomplete
from landslide_tf.datasets.common.splits import SPLITS, split_by_hash
from landslide_tf.errors import DataError

Scenes = Mapping[str, Sequence[Scene]]  # by kind, in code point order of the names
Parts = dict[str, set[str]]  # names by split

# Landslide images by the initials of their county, in code point order of the names.
COUNTIES = {
    "df": 35, "hz": 102, "js": 75, "ny": 72, "qx": 168, "qxg": 125, "wn": 70,
    "zdf": 1, "zj": 122,
}  # fmt: skip
_PART_OF_COUNTY = {"hz": "test", "wn": "test", "js": "validation"}
_SEED = 42
_RANDOM = 0.15  # of the images, each of test and validation
_RELEASED = 0.2

# SHA-256 of the file names of each kind, sorted and joined by line feeds.
_NAMES = {
    "landslide": "69fc7027b660e1e1101f475982ff40f99306a4e44928db85b57a3bfb0b9331ed",
    "non-landslide": "a19875f3d5a9f6d4ac8af17edfd52fe96ff453d1ba18fa78ef3db7fef724cd28",
}


def by_county(scenes: Scenes) -> Parts:
    """Splits landslide images by whole counties.

    The letters of a name look like a county's initials: hz and wn are test, js is
    validation, all others are train.
    Images without landslide, named by another rule, are cut in order of their names
    into runs of 64, 16 and 20 %.

    Args:
        scenes: Images by kind.

    Returns:
        Names by split.

    Raises:
        DataError: If a landslide image is of no known county.
    """
    parts: Parts = {split: set() for split in SPLITS}
    for scene in scenes["landslide"]:
        county = _county(scene)
        parts[_PART_OF_COUNTY.get(county, "train")].add(scene.name)
    others = scenes["non-landslide"]
    for place, scene in enumerate(others):
        total = len(others)
        if scene.position is not None:
            place, total = scene.position, PUBLISHED["non-landslide"]
        run = (place >= int(0.64 * total)) + (place >= int(0.8 * total))
        parts[SPLITS[run]].add(scene.name)
    return parts


def by_group(scenes: Scenes) -> Parts:
    """Splits at random, 70, 15 and 15 %, images that share pixels together.

    Args:
        scenes: Images by kind.

    Returns:
        Names by split.

    Raises:
        DataError: If an image cannot be read.
    """
    green = {
        scene.name: read_rgb(scene.image)[..., 1]
        for kind in KINDS
        for scene in scenes[kind]
    }
    groups = [(pair.first, pair.second) for pair in find_overlaps(green)]
    return at_random(scenes, groups)


def at_random(scenes: Scenes, groups: Sequence[tuple[str, str]] = ()) -> Parts:
    """Splits at random, 70, 15 and 15 %, whatever the images share.

    Args:
        scenes: Images by kind.
        groups: Names that must share a split.

    Returns:
        Names by split.
    """
    names = [scene.name for kind in KINDS for scene in scenes[kind]]
    found = split_by_hash(names, _SEED, test=_RANDOM, validation=_RANDOM, groups=groups)
    return {part: set(members) for part, members in found.items()}


def released(scenes: Scenes) -> Parts:
    """Splits as the released code of evidential fusion does: 80 % train, 20 % test.

    Args:
        scenes: Images by kind.

    Returns:
        Names by split; there is no validation part.
    """
    draw = random.Random(0)
    parts: Parts = {"train": set(), "test": set()}
    for kind in KINDS:
        numbered = scenes[kind][0].position is not None
        total = PUBLISHED[kind] if numbered else len(scenes[kind])
        if not numbered and _digest(scenes[kind]) != _NAMES[kind]:
            warn_incomplete(
                f"The {kind} images of `bijie_landslide` are not the {total} of the "
                f"released lists, but {len(scenes[kind])}: the split follows the same "
                "rule and is another one."
            )
        test = set(draw.sample(range(total), int(_RELEASED * total)))
        for place, scene in enumerate(scenes[kind]):
            place = place if scene.position is None else scene.position
            parts["test" if place in test else "train"].add(scene.name)
    return parts


SCHEMES: dict[str, Callable[[Scenes], Parts]] = {
    "county": by_county,
    "grouped": by_group,
    "random": at_random,
    "released": released,
}


def _county(scene: Scene) -> str:
    """Returns the county's initials, from the name or from the place among all."""
    if scene.position is not None:
        first = 0
        for county, count in COUNTIES.items():
            first += count
            if scene.position < first:
                return county
    if scene.prefix not in COUNTIES:
        raise DataError(
            f"`{scene.image}` must begin with the initials of a county "
            f"({', '.join(COUNTIES)}), as the original names do, or be numbered "
            f"ls_0000 to ls_{PUBLISHED['landslide'] - 1:04}; restore the name or take "
            "the configuration `-grouped`."
        )
    return scene.prefix


def _digest(scenes: Sequence[Scene]) -> str:
    names = sorted(scene.image.name for scene in scenes)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()

"""What a built data set holds, and whether its parts show the same ground."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.datasets.common.overlaps import find_overlaps
from landslide_tf.datasets.common.splits import Bounds, overlapping_pairs
from landslide_tf.datasets.common.tile_grid import (
    Quarters,
    pairs_with_equal_quarters,
    quarter_digests,
)
from landslide_tf.errors import DataError
from landslide_tf.progress import with_progress
from landslide_tf.words import counted

_IMAGES = ("image", "post", "pre")
_NAMED = 5  # files named of a list in the report's text


@dataclasses.dataclass(frozen=True)
class SharedGround:
    """Two examples that show the same ground.

    Attributes:
        first: Id of an example.
        second: Id of the other one.
        splits: Where the two are.
        how: `pixels`, `half tiles`, or `footprints` (of the georeference).
        share: Common part, as a share of the smaller example.
    """

    first: str
    second: str
    splits: tuple[str, str]
    how: str
    share: float

    @property
    def crosses(self) -> bool:
        """Whether the two are in different parts."""
        return self.splits[0] != self.splits[1]


@dataclasses.dataclass(frozen=True)
class Check:
    """Result of checking a data set.

    Attributes:
        name: Full name of the data set.
        examples: Number of examples by split.
        shares: Share of the labelled pixels, or of the examples, by split and class;
            `unlabelled` is a share of all.
        left_out: Names of files that the build left out, by reason.
        duplicates: Ids of examples with equal images, each group in order.
        shared: Every pair that shows the same ground, inside of parts as well.
    """

    name: str
    examples: Mapping[str, int]
    shares: Mapping[str, Mapping[str, float]]
    left_out: Mapping[str, list[str]]
    duplicates: list[tuple[str, ...]]
    shared: list[SharedGround]

    @property
    def leaks(self) -> list[SharedGround]:
        """Pairs whose examples are in different parts."""
        return [pair for pair in self.shared if pair.crosses]

    def lines(self) -> Iterator[str]:
        """Yields the report as lines of text."""
        yield self.name
        for split, count in self.examples.items():
            shares = ", ".join(
                f"{name} {100 * share:.2f} %"
                for name, share in self.shares[split].items()
            )
            yield f"  {split:10} {counted(count, 'example'):>15}: {shares}"
        for reason, names in self.left_out.items():
            yield f"  left out, {reason}: {len(names)} ({_listed(names)})"
        yield f"  equal images: {counted(len(self.duplicates), 'group')}"
        for group in self.duplicates:
            yield f"    {_listed(group)}"
        leaks = self.leaks
        inside = counted(len(self.shared) - len(leaks), "pair")
        yield f"  shared ground inside parts: {inside}"
        yield f"  shared ground between parts: {counted(len(leaks), 'pair')}"
        for pair in leaks:
            yield (
                f"    {pair.first} ({pair.splits[0]}) and {pair.second} "
                f"({pair.splits[1]}): {100 * pair.share:.0f} %, by {pair.how}"
            )


def check_dataset(builder: tfds.core.DatasetBuilder) -> Check:
    """Checks a built data set for ground that examples share.

    Pixels are compared by `find_overlaps` in the green, second or only band, or by the
    quarters of tiles where the builder says that they overlap by a half; footprints
    where examples have `transform` and `crs`, between examples of one coordinate
    system.

    Args:
        builder: A data set that is built; ids are unique over its splits.

    Returns:
        What was found.

    Raises:
        DataError: If the data set has no images or no ids, or two examples of it have
            one id.
    """
    features = builder.info.features
    image = next((name for name in _IMAGES if name in features), None)
    if image is None or "id" not in features:
        raise DataError(
            f"`{builder.info.full_name}` must have the features `image` and `id` to be "
            f"checked, received {', '.join(features)}."
        )
    metadata = dict(builder.info.metadata or {})
    read = _Reader(image, metadata, getattr(builder, "HALF_TILES", False))
    read_config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    for split, info in builder.info.splits.items():
        examples: Iterable[Any] = tfds.as_numpy(
            builder.as_dataset(split=split, read_config=read_config)
        )
        for example in with_progress(examples, f"Reading {split}", info.num_examples):
            read.add(split, example)
    return Check(
        name=builder.info.full_name,
        examples={s: info.num_examples for s, info in builder.info.splits.items()},
        shares={s: read.shares(s) for s in builder.info.splits},
        left_out=dict(_name_lists(metadata.get("files") or {})),
        duplicates=read.duplicates(),
        shared=read.shared(),
    )


class _Reader:
    """Takes examples one by one and keeps what comparing them needs."""

    def __init__(
        self, image: str, metadata: Mapping[str, Any], half_tiles: bool
    ) -> None:
        self._image = image
        self._classes = list(metadata.get("classes") or ())
        names = [band["name"] for band in metadata.get("bands") or ()]
        self._band = names.index("green") if "green" in names else None
        self._half_tiles = half_tiles
        self._split: dict[str, str] = {}
        self._counts: dict[str, np.ndarray] = defaultdict(
            lambda: np.zeros(IGNORE_VALUE + 1, np.int64)
        )
        self._equal: dict[bytes, list[str]] = defaultdict(list)
        self._flat: set[str] = set()
        self._bands: dict[str, np.ndarray] = {}
        self._quarters: dict[str, Quarters] = {}
        self._bounds: dict[str, dict[str, Bounds]] = defaultdict(dict)

    def add(self, split: str, example: Mapping[str, Any]) -> None:
        name = example["id"].decode()
        if name in self._split:
            raise DataError(
                f"Expected each id once, received `{name}` in {self._split[name]} and "
                f"{split}; build the data set with names that differ."
            )
        self._split[name] = split
        target = example["mask"] if "mask" in example else example.get("label", ())
        self._counts[split] += np.bincount(
            np.ravel(target).astype(np.int64), minlength=IGNORE_VALUE + 1
        )
        image = example[self._image]
        digest = hashlib.sha256(repr((image.shape, image.dtype)).encode())
        digest.update(image.tobytes())
        self._equal[digest.digest()].append(name)
        if (image == image[:1, :1]).all():
            self._flat.add(name)
        if self._half_tiles:
            self._quarters[name] = quarter_digests(image)
        else:
            second = min(1, image.shape[-1] - 1)
            band = second if self._band is None else self._band
            self._bands[name] = np.ascontiguousarray(image[..., band])
        placed = "transform" in example and "crs" in example
        if placed and (bounds := _bounds(example["transform"], image.shape[:2])):
            self._bounds[example["crs"].decode()][name] = bounds

    def shares(self, split: str) -> dict[str, float]:
        counts = self._counts[split]
        labelled = counts[:IGNORE_VALUE].sum()
        shares = {
            name: float(counts[k] / labelled) if labelled else 0.0
            for k, name in enumerate(self._classes)
        }
        unlabelled = counts[IGNORE_VALUE] / max(1, counts.sum())
        return shares | ({"unlabelled": float(unlabelled)} if unlabelled else {})

    def duplicates(self) -> list[tuple[str, ...]]:
        return sorted(
            tuple(sorted(names)) for names in self._equal.values() if len(names) > 1
        )

    def shared(self) -> list[SharedGround]:
        found: dict[tuple[str, str], tuple[str, float]] = {
            (one, other): ("footprints", _common_share(boxes[one], boxes[other]))
            for boxes in self._bounds.values()
            for one, other in overlapping_pairs(boxes)
        }
        quarters = pairs_with_equal_quarters(self._quarters)
        found |= {pair: ("half tiles", share) for pair, share in quarters.items()}
        overlaps = find_overlaps(self._bands)
        found |= {(o.first, o.second): ("pixels", o.overlap_share) for o in overlaps}
        found |= {
            pair: ("pixels", 1.0)
            for group in self.duplicates()
            if group[0] not in self._flat  # one colour looks the same everywhere
            for pair in combinations(group, 2)
        }
        split = self._split
        return [
            SharedGround(*pair, (split[pair[0]], split[pair[1]]), how, share)
            for pair, (how, share) in sorted(found.items())
        ]


def _bounds(transform: np.ndarray, size: tuple[int, int]) -> Bounds | None:
    """Returns the rectangle around an example, None without georeference."""
    a, b, c, d, e, f = (float(value) for value in transform)
    height, width = size
    x = [c, c + a * width, c + b * height, c + a * width + b * height]
    y = [f, f + d * width, f + e * height, f + d * width + e * height]
    if not np.isfinite([*x, *y]).all():
        return None
    return min(x), min(y), max(x), max(y)


def _common_share(one: Bounds, other: Bounds) -> float:
    """Returns the common rectangle as a share of the smaller one."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / min(areas)


def _name_lists(
    report: Mapping[str, Any], place: str = ""
) -> Iterator[tuple[str, list[str]]]:
    """Yields the lists of names in a build's report of its files, with their keys."""
    for key, value in report.items():
        where = f"{place} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from _name_lists(value, where)
        elif isinstance(value, list) and value:
            yield where, [str(name) for name in value]


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

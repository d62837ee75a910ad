"""Images before and after an event, as one image of the bands of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from landslide_tf.pipelines.store import DataDescription, Example

PAIR = ("pre", "post")


def joined_pairs(
    examples: Iterable[Example], description: DataDescription
) -> tuple[Iterator[Example], DataDescription]:
    """Joins `pre` and `post` of every example into `image`, where there are such.

    Args:
        examples: Examples of one data set.
        description: What the data set says about itself.

    Returns:
        The examples, and the description with the joined bands, named such as
        `pre_red` and `post_blue`.
    """
    iterator = iter(examples)
    first = next(iterator, None)
    if first is None or "image" in first or not set(PAIR) <= first.keys():
        return _chained(first, iterator), description
    bands = [c for c in description.channels.values() if c.feature == "image"]
    joined = {
        f"{time}_{band.name}": replace(
            band, name=f"{time}_{band.name}", index=band.index + part * len(bands)
        )
        for part, time in enumerate(PAIR)
        for band in bands
    }
    factors = {k: c for k, c in description.channels.items() if c.feature != "image"}
    return map(_joined, _chained(first, iterator)), replace(
        description, channels={**joined, **factors}
    )


def _chained(first: Example | None, rest: Iterator[Example]) -> Iterator[Example]:
    if first is not None:
        yield first
    yield from rest


def _joined(example: Example) -> Example:
    others = {k: v for k, v in example.items() if k not in PAIR}
    return {"image": np.concatenate([example[t] for t in PAIR], axis=-1), **others}

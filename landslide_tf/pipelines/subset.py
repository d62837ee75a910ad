"""A few examples of a data set, as where only a few are labelled."""

from __future__ import annotations

import numpy as np

from landslide_tf.errors import DataError
from landslide_tf.pipelines.store import ExampleStore


def sample_examples(store: ExampleStore, count: int, seed: int) -> ExampleStore:
    """Draws some examples at random; more of one seed add to fewer.

    Args:
        store: The examples.
        count: How many, at least 1.
        seed: Seed of the draw.

    Returns:
        A store of `count` examples in their order, one with landslide among them
        where there is any.

    Raises:
        DataError: If there are not as many.
    """
    if not 1 <= count <= len(store):
        full = f"{store.description.name}:{store.description.split}"
        raise DataError(
            f"`{full}` has {len(store)} examples: expected from 1 to {len(store)} of "
            f"them, received {count}."
        )
    order = np.random.default_rng(seed).permutation(len(store))
    # The first that shows landslide comes first of all.
    first = int(store.positive[order].argmax())
    chosen = np.concatenate([order[[first]], np.delete(order, first)])[:count]
    return store.subset(sorted(chosen.tolist()))

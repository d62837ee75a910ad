"""Multistage sampling: training patches drawn so that rare classes are seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from landslide_tf.datasets.common.patches import Patch
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.terrain import DIHEDRAL

SamplingMethod = Literal["original", "mus1", "mus2"]


class Draw(NamedTuple):
    """One training example: a patch and its rotation or flip.

    Attributes:
        patch: The window.
        transform: One of `terrain.DIHEDRAL`; aspect turns along
            (`terrain.dihedral_factors`).

    >>> from landslide_tf.prepare import Draw, Patch
    >>> patch = Patch("valley", 0, 0, 256, label=1, fractions=(0.4, 0.6))
    >>> Draw(patch, "rot90").transform
    'rot90'
    """

    patch: Patch
    transform: str


def multistage_sample(
    patches: Sequence[Patch],
    method: SamplingMethod = "mus2",
    *,
    seed: int,
    repeats: int = len(DIHEDRAL),
    max_ratio: float = 10.0,
) -> list[Draw]:
    """Draws training patches that balance the classes.

    After the idea of Xia et al. 2019 (Remote Sensing 11(21), 2523), of which they print
    no details. Only training patches are sampled; validation and test stay as
    they are.

    - `"original"`: every patch once.
    - `"mus1"`, by patches: with m the median number of patches of the classes
      present, a larger class gives m of its patches; a smaller one repeats its own
      evenly up to m, none more than `repeats` times.
    - `"mus2"`, by pixels: to `mus1` come, one by one, the patches that lead nearest to
      equal shares of pixels, until the largest share is at most `max_ratio` times the
      smallest or the list is twice as long. Where no list on the way gets there, the
      most even one is returned.

    Each repeat of a patch has another of the eight flips and turns, the first none.

    Args:
        patches: The pool, of one number of classes; classes absent from it are
            skipped.
        method: How to sample.
        seed: Seed of the draw; equal arguments give equal lists.
        repeats: How often a patch may come, from 1 to 8.
        max_ratio: Ratio of pixel shares to reach, at least 1.

    Returns:
        The draws, by class; mix them before training.

    Raises:
        DataError: If the patches or an argument are not valid.

    >>> from landslide_tf.prepare import Patch, multistage_sample
    >>> rare = Patch("s", 0, 0, 8, label=1, fractions=(0.5, 0.5))
    >>> common = [Patch("s", 0, 8 * k, 8, 0, (1.0, 0.0)) for k in (1, 2, 3)]
    >>> draws = multistage_sample([rare, *common], "mus1", seed=0)
    >>> [draw.patch.label for draw in draws], draws[-1].transform
    ([0, 0, 1, 1], 'rot270')
    """
    fractions = _checked_fractions(patches)
    if method not in get_args(SamplingMethod):
        raise DataError(
            f"`method` cannot be `{method}`."
            f"{did_you_mean(str(method), get_args(SamplingMethod))}"
        )
    if not isinstance(repeats, int) or not 1 <= repeats <= len(DIHEDRAL):
        raise DataError(
            f"Expected `repeats` from 1 to {len(DIHEDRAL)}, received {repeats}; a "
            "square has no more flips and turns."
        )
    if not max_ratio >= 1:
        raise DataError(f"Expected `max_ratio` of at least 1, received {max_ratio}.")
    if not patches or method == "original":
        return [Draw(patch, DIHEDRAL[0]) for patch in patches]
    generator = np.random.default_rng(seed)
    # The order in which each patch uses its transforms, the unchanged one first.
    drawn = generator.random((len(patches), len(DIHEDRAL)))
    drawn[:, 0] = -1
    order = drawn.argsort(axis=1)
    labels = np.array([patch.label for patch in patches])
    chosen = _even_patches(labels, repeats, generator)
    if method == "mus2":
        chosen += _even_pixels(fractions, chosen, repeats, max_ratio)
    uses = [0] * len(patches)
    draws = []
    for k in chosen:
        draws.append(Draw(patches[k], DIHEDRAL[order[k, uses[k]]]))
        uses[k] += 1
    return draws


def _even_patches(
    labels: NDArray[np.int64], repeats: int, generator: np.random.Generator
) -> list[int]:
    """Returns indices with about as many patches of each class."""
    classes, counts = np.unique(labels, return_counts=True)
    median = int(np.median(counts))
    chosen: list[int] = []
    for label, count in zip(classes, counts, strict=True):
        own = np.flatnonzero(labels == label)
        # Whole rounds before a random rest: no patch of a rare class is left out.
        rounds, rest = divmod(min(median, repeats * int(count)), int(count))
        chosen += own.tolist() * rounds
        chosen += sorted(generator.choice(own, rest, replace=False).tolist())
    return chosen


def _even_pixels(
    fractions: NDArray[np.float64], chosen: list[int], repeats: int, max_ratio: float
) -> list[int]:
    """Returns the indices that come to `chosen` for more even shares of pixels."""
    fractions = fractions[:, fractions.any(axis=0)]
    classes = fractions.shape[1]
    uses = np.bincount(chosen, minlength=len(fractions))
    totals = fractions[chosen].sum(axis=0)
    added: list[int] = []
    # A step may widen the ratio before a later one narrows it.
    best, length = _ratio(totals), 0
    while (
        _ratio(totals) > max_ratio
        and len(added) < len(chosen)
        and (uses < repeats).any()
    ):
        gain = fractions @ (1 / classes - totals / totals.sum())
        k = int(np.where(uses < repeats, gain, -np.inf).argmax())
        added.append(k)
        uses[k] += 1
        totals = totals + fractions[k]
        if _ratio(totals) < best:
            best, length = _ratio(totals), len(added)
    return added[:length]


def _ratio(totals: NDArray[np.float64]) -> float:
    least = float(totals.min())
    return float(totals.max()) / least if least > 0 else np.inf


def _checked_fractions(patches: Sequence[Patch]) -> NDArray[np.float64]:
    """Returns the patches' shares of pixels, (patches, classes)."""
    classes = len(patches[0].fractions) if patches else 0
    for patch in patches:
        shares = patch.fractions
        fits = len(shares) == classes and 0 <= patch.label < classes
        if not (fits and min(shares) >= 0 and 0 < sum(shares) <= 1 + 1e-9):
            raise DataError(
                f"Expected the patch of `{patch.id}` at row {patch.row}, column "
                f"{patch.column} to have one of {classes} classes and their shares of "
                f"its pixels, received {patch.label} and {shares}; make patches of one "
                "pool with one number of classes."
            )
    return np.array([patch.fractions for patch in patches], np.float64)

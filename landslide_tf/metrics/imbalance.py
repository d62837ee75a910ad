"""Class weights and the first bias of a classifier, from the classes' shares."""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.array_types import FloatArray
from landslide_tf.choices import WeightRule
from landslide_tf.errors import DataError, check_choice

LOG_OFFSET = 1.02
SMALLEST_SHARE = 1e-6


def class_weights(
    shares: ArrayLike, rule: WeightRule = "median_frequency"
) -> list[float]:
    """Returns loss weights that emphasise rare classes.

    - `"median_frequency"`: w_c = median(f) / f_c, the median over the classes that are
      there; absent classes get 0 (Eigen and Fergus 2015, section 6.3.2, whose f_c
      leaves images without class c out of the total).
    - `"log"`: w_c = 1 / ln(1.02 + f_c), from 1.42 to 50.5, the weight of an absent
      class (Paszke et al. 2016, section 5.2).

    Args:
        shares: f, the share of each class among the labelled pixels, shape (C,), in
            [0, 1].
        rule: How weights follow from shares.

    Returns:
        One weight a class.

    Raises:
        DataError: If a share is out of range, all are 0, or the rule is unknown.

    Example:
        >>> from landslide_tf import metrics
        >>> metrics.class_weights([0.9, 0.1])
        [0.5555555555555556, 5.0]
    """
    frequencies = _checked(shares)
    check_choice("rule", rule, get_args(WeightRule))
    if rule == "log":
        return (1.0 / np.log(LOG_OFFSET + frequencies)).tolist()
    present = frequencies > 0
    median = np.median(frequencies[present])
    weights = median / np.where(present, frequencies, np.inf)
    return weights.tolist()


def prior_bias(shares: ArrayLike, *, sigmoid: bool = False) -> list[float]:
    """Returns the initial bias with which a classifier predicts the class shares.

    A network whose last layer starts with this bias does not spend its first steps on
    learning that landslides are rare (Lin et al. 2017, section 3.3). For a loss with
    class weights w pass the shares w·f: they are what it drives the scores to.

    Args:
        shares: Share or weighted share of each class, shape (C,), any sum.
        sigmoid: Whether the model has one output channel for class 1 of 2.

    Returns:
        ln f_c of each class, shares below 10⁻⁶ raised to it; for `sigmoid` the one
        value ln(f_1 / f_0).

    Raises:
        DataError: If a share is negative, all are 0, or `sigmoid` has not 2 classes.

    Example:
        >>> from landslide_tf import metrics
        >>> [round(bias, 3) for bias in metrics.prior_bias([0.9, 0.1])]
        [-0.105, -2.303]
    """
    frequencies = _checked(shares, largest=np.inf)
    prior = np.log(np.maximum(frequencies / frequencies.sum(), SMALLEST_SHARE))
    if not sigmoid:
        return prior.tolist()
    if prior.size != 2:
        raise DataError(
            f"Expected 2 `shares` for a sigmoid model, received {prior.size}; give "
            "those of other ground and landslide."
        )
    return [float(prior[1] - prior[0])]


def _checked(shares: ArrayLike, largest: float = 1.0) -> FloatArray:
    frequencies = np.asarray(shares, dtype=np.float64)
    usable = (
        frequencies.ndim == 1
        and np.isfinite(frequencies).all()
        and (frequencies >= 0).all()
        and (frequencies <= largest).all()
        and frequencies.any()
    )
    if not usable:
        raise DataError(
            f"Expected one share a class, from 0 to {largest:g} and not all 0, "
            f"received {frequencies.tolist()}; divide the classes' pixel counts by the "
            "number of labelled pixels."
        )
    return frequencies

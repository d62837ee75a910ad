"""Laws of the sizes of landslides, fitted by maximum likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.objects.sizes import checked_areas

Interval = tuple[float, float]

_LEAST = 10  # areas that a fit needs, and a tail
_CANDIDATES, _REPEATED = 5000, 500  # smallest areas tried at most: once, in samples
_FARTHEST = 1e4  # how far below the smallest area the shift may lie, in mean areas
_LEVEL = 0.95


@dataclass(frozen=True)
class PowerLaw:
    """The tail of large landslides: p(A) ∝ A^−exponent for A ≥ x_min.

    Attributes:
        x_min: Smallest area of the tail, m².
        exponent: Above 1.
        distance: Kolmogorov–Smirnov distance of the tail from the law.
        number: Landslides in the tail.
        error: Standard error of the exponent, (exponent − 1)/√number.
        x_min_interval: 95 % of the bootstrap; NaN without.
        exponent_interval: Likewise.
        x_min_error: Standard deviation of the bootstrap.
        exponent_error: Likewise.

    >>> from landslide_tf.objects import fit_power_law
    >>> fit_power_law([271.8281828] * 3, x_min=100, bootstrap=0).number
    3
    """

    x_min: float
    exponent: float
    distance: float
    number: int
    error: float
    x_min_interval: Interval = (math.nan, math.nan)
    exponent_interval: Interval = (math.nan, math.nan)
    x_min_error: float = math.nan
    exponent_error: float = math.nan


def fit_power_law(
    areas: ArrayLike,
    *,
    x_min: float | None = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> PowerLaw:
    """Fits a power law to the largest landslides, without bins.

    Clauset, Shalizi and Newman (2009, SIAM Review 51, 661): the exponent is
    1 + n/Σ ln(A/x_min), and x_min the area from which the law is nearest to the areas
    by the Kolmogorov–Smirnov distance. Of more than 5,000 different areas, 5,000 at
    equal steps of their rank are tried (500 in each sample of the bootstrap), and at
    least 10 landslides stay in the tail.

    Args:
        areas: Areas, m² (N,).
        x_min: Smallest area of the tail, m²; None = found.
        bootstrap: Samples with replacement for the intervals; 0 gives none.
        seed: Of the samples.

    Returns:
        The law.

    Raises:
        DataError: If there are too few areas, or all are equal.

    >>> import numpy as np
    >>> from landslide_tf.objects import fit_power_law
    >>> areas = 100 * np.exp([1.0, 1.0, 1.0])
    >>> found = fit_power_law(areas, x_min=100, bootstrap=0)
    >>> round(found.exponent, 6), round(found.error, 6)
    (2.0, 0.57735)
    """
    found = checked_areas(areas, 1 if x_min is not None else _LEAST + 1)
    low, exponent, distance, number = _best_tail(found, x_min, _CANDIDATES)
    if not number:
        raise DataError(
            "Expected landslides of different sizes above `x_min`, received none: no "
            "power law fits them."
        )
    law = PowerLaw(low, exponent, distance, number, (exponent - 1) / math.sqrt(number))
    draws = _bootstrap(
        found, lambda drawn: _best_tail(drawn, x_min, _REPEATED)[:2], bootstrap, seed
    )
    if not len(draws):
        return law
    deviations = draws.std(axis=0)
    return replace(
        law,
        x_min_interval=_interval(draws[:, 0]),
        exponent_interval=_interval(draws[:, 1]),
        x_min_error=float(deviations[0]),
        exponent_error=float(deviations[1]),
    )


def _best_tail(
    areas: FloatArray, x_min: float | None, candidates: int
) -> tuple[float, float, float, int]:
    """Returns smallest area, exponent, distance and number of the best tail."""
    ordered = np.sort(areas)
    if x_min is not None:
        starts = [int(np.searchsorted(ordered, x_min))]
    else:
        _, first = np.unique(ordered, return_index=True)
        first = first[first <= len(ordered) - _LEAST]
        step = np.linspace(0, len(first) - 1, min(len(first), candidates))
        starts = [int(k) for k in first[np.unique(np.rint(step).astype(int))]]
    best = (math.nan, math.nan, math.inf, 0)
    for start in starts:
        tail = ordered[start:]
        if not tail.size:
            continue
        low = float(tail[0]) if x_min is None else x_min
        logs = np.log(tail / low)
        if not logs[-1] > 0:
            continue
        exponent = 1 + tail.size / float(logs.sum())
        law = 1 - np.exp((1 - exponent) * logs)
        ranks = np.arange(tail.size + 1) / tail.size
        distance = float(max((law - ranks[:-1]).max(), (ranks[1:] - law).max()))
        if distance < best[2]:
            best = (low, exponent, distance, tail.size)
    return best


@dataclass(frozen=True)
class InverseGamma:
    """The three-parameter inverse gamma law of landslide areas.

    p(A) = 1/(a Γ(ρ)) · (a/(A − s))^(ρ+1) · exp(−a/(A − s)) for A > s.

    Attributes:
        rho: Shape ρ: large areas fall off with the exponent ρ + 1.
        a: Scale, m².
        s: Shift, m², below the smallest area.
        rollover: Most frequent area s + a/(ρ + 1), m².
        log_likelihood: Of the areas.
        rho_interval: 95 % of the bootstrap; NaN without.
        a_interval: Likewise.
        s_interval: Likewise.
        rollover_interval: Likewise.

    >>> from landslide_tf.objects import InverseGamma
    >>> law = InverseGamma(rho=1.4, a=1280.0, s=-132.0, rollover=401, log_likelihood=0)
    >>> round(float(law.density([401.3])[0]), 6)
    0.000653
    """

    rho: float
    a: float
    s: float
    rollover: float
    log_likelihood: float
    rho_interval: Interval = (math.nan, math.nan)
    a_interval: Interval = (math.nan, math.nan)
    s_interval: Interval = (math.nan, math.nan)
    rollover_interval: Interval = (math.nan, math.nan)

    def density(self, areas: ArrayLike) -> FloatArray:
        """Returns p(A) of areas in m², 1/m²; 0 up to the shift."""
        above = np.asarray(areas, float) - self.s
        inside = np.where(above > 0, above, np.inf)
        logs = (
            self.rho * math.log(self.a)
            - (self.rho + 1) * np.log(inside)
            - self.a / inside
            - special.gammaln(self.rho)
        )
        return np.exp(logs)


def fit_inverse_gamma(
    areas: ArrayLike, *, bootstrap: int = 200, seed: int = 0
) -> InverseGamma:
    """Fits the three-parameter inverse gamma law to the areas of landslides.

    Malamud et al. (2004, doi 10.1002/esp.1064, eq. 3), by maximum likelihood: for a
    shift s the reciprocals of A − s have a gamma law, whose likelihood has one maximum;
    the shift is that of the largest one.

    Args:
        areas: Areas, m² (N,).
        bootstrap: Samples with replacement for the intervals; 0 gives none.
        seed: Of the samples.

    Returns:
        The law.

    Raises:
        DataError: If there are fewer than eleven areas, or all are equal.

    >>> import numpy as np
    >>> from landslide_tf.objects import fit_inverse_gamma
    >>> rng = np.random.default_rng(1)
    >>> areas = 1280 / rng.gamma(1.4, size=500)  # without a shift
    >>> found = fit_inverse_gamma(areas, bootstrap=20)
    >>> found.rho_interval[0] < 1.4 < found.rho_interval[1]
    True
    """
    found = checked_areas(areas, _LEAST + 1)
    if found.min() == found.max():
        raise DataError(
            "Expected landslides of different sizes, received equal ones: no law of "
            "sizes fits them."
        )
    rho, a, s, likelihood = _inverse_gamma(found)
    law = (rho, a, s, s + a / (rho + 1), likelihood)

    def refit(drawn: FloatArray) -> tuple[float, ...]:
        if drawn.min() == drawn.max():
            return (math.nan,) * 4
        rho, a, s, _ = _inverse_gamma(drawn)
        return rho, a, s, s + a / (rho + 1)

    draws = _bootstrap(found, refit, bootstrap, seed)
    if not len(draws):
        return InverseGamma(*law)
    return InverseGamma(*law, *(_interval(column) for column in draws.T))


def _inverse_gamma(areas: FloatArray) -> tuple[float, float, float, float]:
    """Returns ρ, a, s and the logarithm of the likelihood."""
    smallest, mean = float(areas.min()), float(areas.mean())

    def profile(logarithm: float) -> tuple[float, float, float]:
        """Returns log-likelihood, ρ and a of a shift exp(logarithm) below the least."""
        above = areas - smallest + math.exp(logarithm)
        inverse, logs = 1 / above, np.log(above)
        level, log_mean = float(inverse.mean()), float(logs.mean())
        rho = _gamma_shape(math.log(level) + log_mean)
        a = rho / level
        one = rho * math.log(a) - (rho + 1) * log_mean - a * level
        return len(areas) * (one - float(special.gammaln(rho))), rho, a

    # Below about a millionth of the mean the law is a spike at the smallest area.
    bounds = (math.log(mean * 1e-6), math.log(mean * _FARTHEST))
    # The likelihood may have two maxima: the best of a coarse row comes first.
    row = np.linspace(*bounds, 40)
    values = [profile(value)[0] for value in row]
    best = int(np.argmax(values))
    near = (row[max(best - 1, 0)], row[min(best + 1, len(row) - 1)])
    solved = optimize.minimize_scalar(
        lambda value: -profile(value)[0], bounds=near, method="bounded",
        options={"xatol": 1e-8},
    )  # fmt: skip
    likelihood, rho, a = profile(float(solved.x))
    return rho, a, smallest - math.exp(float(solved.x)), likelihood


def _gamma_shape(target: float) -> float:
    """Solves ln ρ − ψ(ρ) = target, of a gamma law's likelihood, for target > 0."""
    target = max(target, 1e-12)
    rho = (3 - target + math.sqrt((target - 3) ** 2 + 24 * target)) / (12 * target)
    for _ in range(20):  # Newton on 1/ρ (Minka 2002) doubles the digits
        psi = float(special.psi(rho))
        slope = 1 / rho - float(special.polygamma(1, rho))
        step = (math.log(rho) - psi - target) / (rho * rho * slope)
        rho = 1 / (1 / rho + step)
        if abs(step) * rho < 1e-12:
            break
    return rho


def _bootstrap(
    areas: FloatArray,
    fit: Callable[[FloatArray], tuple[float, ...]],
    number: int,
    seed: int,
) -> FloatArray:
    """Returns the parameters (draws, P) of samples; failed ones left out."""
    rng = np.random.default_rng(seed)
    rows = [fit(rng.choice(areas, areas.size)) for _ in range(number)]
    found = np.array(rows, float)
    return found[np.isfinite(found).all(axis=1)] if number else found


def _interval(values: FloatArray) -> Interval:
    low, high = np.quantile(values, ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2))
    return float(low), float(high)

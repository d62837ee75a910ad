"""How many landslides there are of which size, and the magnitude of their event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError, check_choice

_FIRST, _GROWTH, _EDGES = 2.0, 1.2, 120
# Of the function that Tanyaş et al. released: area, density and bin of Northridge.
_REFERENCE_DENSITY = 8.364725347860417e-4
_REFERENCE_NUMBER = 11111
_REFERENCE_AREA = 48765.99623713225
_STEPS = 500  # of the intervals whose deviations its draws have

MagnitudeVariant = Literal["refitted", "released"]


def checked_areas(areas: ArrayLike, least: int = 1) -> FloatArray:
    """Returns areas in m² as float64 (N,), or says why they are none.

    Args:
        areas: Areas in m².
        least: How many are needed.

    Raises:
        DataError: If there are fewer, or one is not finite and above 0.

    >>> from landslide_tf.objects.sizes import checked_areas
    >>> checked_areas([100, 200]).tolist()
    [100.0, 200.0]
    """
    found = np.asarray(areas, float)
    if found.ndim != 1 or found.size < least:
        raise DataError(
            f"Expected `areas` of at least {least} landslides, received an array of "
            f"shape {found.shape}; map more ground or take all scenes together."
        )
    if not (np.isfinite(found) & (found > 0)).all():
        raise DataError("Expected `areas` finite and above 0 m²; leave out the others.")
    return found


@dataclass(frozen=True)
class SizeSummary:
    """Number and area of landslides.

    Attributes:
        number: How many there are.
        total_m2: Sum of their areas, m².
        mean_m2: Mean area, m²; NaN without landslides, as the next two.
        median_m2: Median area, m².
        largest_m2: Largest area, m².
        per_km2: Landslides a km² of mapped ground; NaN where none is mapped.
        density: km² of landslides a km² of mapped ground.

    >>> from landslide_tf.objects import summarize_sizes
    >>> summarize_sizes([1e4, 3e4], mapped_m2=1e6).largest_m2
    30000.0
    """

    number: int
    total_m2: float
    mean_m2: float
    median_m2: float
    largest_m2: float
    per_km2: float
    density: float


def summarize_sizes(areas: ArrayLike, *, mapped_m2: float) -> SizeSummary:
    """Counts landslides and compares them with the ground that was mapped.

    Args:
        areas: Areas, m² (N,); may be empty.
        mapped_m2: Area of the mapped ground, m².

    Returns:
        The numbers.

    Raises:
        DataError: If an area is not above 0.

    >>> from landslide_tf.objects import summarize_sizes
    >>> found = summarize_sizes([1e4, 3e4], mapped_m2=2e6)
    >>> found.number, found.per_km2, found.density
    (2, 1.0, 0.02)
    """
    found = checked_areas(areas, 0)
    total, number = float(found.sum()), found.size
    middle = (np.mean, np.median, np.max)
    mean, median, largest = (float(f(found)) if number else np.nan for f in middle)
    ground = mapped_m2 if mapped_m2 > 0 else np.nan
    return SizeSummary(
        number, total, mean, median, largest, number / ground * 1e6, total / ground
    )


@dataclass(frozen=True)
class FrequencyDensity:
    """Landslides by size.

    Attributes:
        edges: Lower edge of each bin, m², float64 (120,).
        counts: Landslides in each bin.
        density: Counts by the widths that mLS divides by, 1/m².

    >>> from landslide_tf.objects import frequency_density
    >>> found = frequency_density([2.1, 2.5])
    >>> found.counts[:3].tolist(), found.density[:2].round(3).tolist()
    ([1, 1, 0], [0.5, 2.5])
    """

    edges: FloatArray
    counts: FloatArray
    density: FloatArray


def frequency_density(areas: ArrayLike) -> FrequencyDensity:
    """Counts landslides by size in bins that grow by a fifth.

    Edges are x₁ = 2 m² and xᵢ = 1.2 xᵢ₋₁; the density is the count of xᵢ ≤ A < xᵢ₊₁ by
    w₁ = 2, wᵢ = xᵢ − xᵢ₋₁: the widths of Tanyaş, Allstadt and van Westen (2018), which
    are those of the bin before.

    Args:
        areas: Areas, m² (N,); may be empty.

    Returns:
        The bins.

    Raises:
        DataError: If an area is not above 0.

    >>> from landslide_tf.objects import frequency_density
    >>> frequency_density([2.1, 2.5]).edges[:3].round(2).tolist()
    [2.0, 2.4, 2.88]
    """
    edges = _edges()
    bins = np.append(edges, edges[-1] * _GROWTH)
    counts, _ = np.histogram(checked_areas(areas, 0), bins)
    return FrequencyDensity(edges, counts, counts / np.diff(edges, prepend=0))


def _edges() -> FloatArray:
    # Products one after the other: powers would differ in the last digits.
    return np.multiply.accumulate(np.append(_FIRST, np.full(_EDGES - 1, _GROWTH)))


def landslide_magnitude(areas: ArrayLike, *, cutoff: float, beta: float) -> float:
    """Returns the magnitude mLS of the event that caused landslides.

    After Tanyaş, Allstadt and van Westen (2018, doi 10.1002/esp.4359): the power law
    through the frequency density at the cutoff is read in the middle, on a logarithmic
    scale, between cutoff and largest area, and compared with that of the Northridge
    earthquake, whose magnitude is log₁₀ 11111.

    Args:
        areas: Areas of the landslides of one event, m² (N,).
        cutoff: Smallest area that follows the power law, m².
        beta: Exponent of the frequency density, below 0.

    Returns:
        The magnitude.

    Raises:
        DataError: If an argument is not valid, or no landslide is as large as the
            cutoff's bin.

    >>> import numpy as np
    >>> from landslide_tf.objects import landslide_magnitude
    >>> areas = 1000 * np.random.default_rng(0).pareto(1.4, 500) + 1000
    >>> round(landslide_magnitude(areas, cutoff=1000, beta=-2.4), 2)
    2.83
    """
    found = checked_areas(areas)
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise DataError(f"Expected `cutoff` above 0 m², received {cutoff}.")
    if not (np.isfinite(beta) and beta < 0):
        raise DataError(f"Expected `beta` below 0, received {beta}.")
    (value,) = _magnitudes(found, np.array([cutoff]), np.array([beta]))
    if not np.isfinite(value):
        raise DataError(
            f"Expected landslides in the bin of the cutoff of {cutoff:g} m², received "
            "none: take a cutoff among the areas."
        )
    return float(value)


def _magnitudes(
    areas: FloatArray, cutoffs: FloatArray, betas: FloatArray
) -> FloatArray:
    """Returns mLS of each cutoff and exponent, NaN where the bin is empty."""
    table = frequency_density(areas)
    behind = np.searchsorted(table.edges, cutoffs).clip(1, len(table.edges) - 1)
    lower, upper = table.edges[behind - 1], table.edges[behind]
    bins = np.where(cutoffs - lower <= upper - cutoffs, behind - 1, behind)
    # The middle of the law stands above and below the fraction bar: its area cancels.
    with np.errstate(divide="ignore"):
        level = np.log10(table.density[bins]) - betas * np.log10(cutoffs)
    reference = np.log10(_REFERENCE_DENSITY / _REFERENCE_NUMBER)
    found = level - (reference - betas * np.log10(_REFERENCE_AREA))
    return np.where(np.isfinite(found), found, np.nan)


def magnitude_interval(
    areas: ArrayLike,
    *,
    cutoff: float,
    beta: float,
    cutoff_error: float,
    beta_error: float,
    draws: int = 10_000,
    seed: int = 0,
    variant: MagnitudeVariant = "refitted",
) -> tuple[float, float]:
    """Returns how sure a magnitude is, by drawing cutoffs and exponents.

    Each draw is a magnitude of its own here. In the released function (Tanyaş et al.
    2018) the law's density in the middle stays that of the given cutoff and exponent,
    so that only the place of the middle varies, and an error is half the width of an
    even distribution, whose standard deviation the draws have: errors come out about
    half as large.

    Args:
        areas: Areas, m² (N,).
        cutoff: As of `landslide_magnitude`.
        beta: As of `landslide_magnitude`.
        cutoff_error: Standard deviation of the cutoff, m².
        beta_error: Standard deviation of the exponent.
        draws: Normal draws of both; those without a magnitude are left out.
        seed: Of the draws.
        variant: `"refitted"`, or `"released"` as the released function has it.

    Returns:
        Mean and standard deviation of the magnitudes; NaN where none has a value.

    Raises:
        DataError: If the areas are not valid, or there is no such variant.

    >>> import numpy as np
    >>> from landslide_tf.objects import magnitude_interval
    >>> areas = 1000 * np.random.default_rng(0).pareto(1.4, 500) + 1000
    >>> mean, deviation = magnitude_interval(
    ...     areas, cutoff=1500, beta=-2.4, cutoff_error=50, beta_error=0.1
    ... )
    >>> 0.01 < deviation < 0.3
    True
    """
    check_choice("variant", variant, get_args(MagnitudeVariant))
    found, rng = checked_areas(areas), np.random.default_rng(seed)
    middle = cutoff, beta
    if variant == "released":
        low = cutoff - cutoff_error if cutoff > cutoff_error else _FIRST
        middle = (low + cutoff + cutoff_error) / 2, beta
        cutoff_error = _spread((cutoff + cutoff_error - low) / 2)
        beta_error = _spread(beta_error)
    cutoffs = rng.normal(middle[0], cutoff_error, draws)
    betas = rng.normal(middle[1], beta_error, draws)
    valid = (cutoffs > 0) & (betas < 0)
    cutoffs, betas = cutoffs[valid], betas[valid]
    if variant == "released":
        given = _magnitudes(found, np.array([cutoff]), np.array([beta]))
        largest = found.max()
        step = betas * np.log10(_REFERENCE_AREA / np.sqrt(largest * cutoffs))
        values = (
            given + step - beta * np.log10(_REFERENCE_AREA / np.sqrt(largest * cutoff))
        )
    else:
        values = _magnitudes(found, cutoffs, betas)
    values = values[np.isfinite(values)]
    if not values.size:
        return np.nan, np.nan
    return float(values.mean()), float(values.std())


def _spread(half: float) -> float:
    """Returns the standard deviation of even steps over an interval."""
    return float(np.linspace(-half, half, _STEPS).std(ddof=1))

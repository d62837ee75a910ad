"""What an inventory says of landslides: numbers, sizes, densities."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pyproj
import shapely

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.inventory.schema import SYSTEM, Landslides, Query, Scene
from landslide_tf.objects import (
    DensityGrid,
    FrequencyDensity,
    InverseGamma,
    PowerLaw,
    SizeSummary,
    density_grid,
    equal_area_system,
    fit_inverse_gamma,
    fit_power_law,
    frequency_density,
    landslide_magnitude,
    magnitude_interval,
    multi_polygon,
    summarize_sizes,
)
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.reprojection import reprojected
from landslide_tf.words import counted


@dataclass(frozen=True)
class Group:
    """Landslides of one region and date.

    Attributes:
        region: Name of the region.
        date: Date of the image after.
        scenes: Mapped scenes.
        sizes: Numbers and areas.

    >>> from landslide_tf.inventory import Group, summarize_sizes
    >>> Group("ALPS", "2024-05-01", 1, summarize_sizes([], mapped_m2=1e6)).sizes.number
    0
    """

    region: str
    date: str
    scenes: int
    sizes: SizeSummary


@dataclass(frozen=True)
class Statistics:
    """Statistics of the accepted landslides of an inventory, or of a part of it.

    Attributes:
        sizes: Numbers and areas.
        mapped_m2: Ground that was mapped, that which was mapped twice counted once.
        repeated_m2: Ground that was mapped more than once: its landslides may be
            counted as often.
        groups: The same by region and date.
        frequency: Landslides by size.
        power_law: Law of the large ones; None where there are too few.
        inverse_gamma: Law of all of them; None where there are too few.
        magnitude: mLS; None where it has no value.
        magnitude_error: Its standard deviation, NaN where it is not known.
        cutoff: Smallest area of the power law that mLS takes, m²; NaN without.
        beta: Exponent that mLS takes.
        density: Densities by place.
        system: Projection of the densities, as WKT.

    >>> from landslide_tf.inventory import Statistics
    >>> "magnitude" in Statistics.__dataclass_fields__
    True
    """

    sizes: SizeSummary
    mapped_m2: float
    repeated_m2: float
    groups: tuple[Group, ...]
    frequency: FrequencyDensity
    power_law: PowerLaw | None
    inverse_gamma: InverseGamma | None
    magnitude: float | None
    magnitude_error: float
    cutoff: float
    beta: float
    density: DensityGrid
    system: str

    def facts(self) -> dict[str, str]:
        """Returns the numbers as text, by what they are of."""
        sizes = self.sizes
        found = {
            "landslides": f"{sizes.number} of {sizes.total_m2 / 1e6:.4f} km² on "
            f"{self.mapped_m2 / 1e6:.3f} km²: {sizes.density:.3%} of the ground, "
            f"{sizes.per_km2:.3f} a km²"
        }
        if sizes.number:
            found["areas"] = (
                f"mean {sizes.mean_m2:.0f} m², median {sizes.median_m2:.0f} m², "
                f"largest {sizes.largest_m2:.0f} m²"
            )
        if (law := self.power_law) is not None:
            low, high = law.exponent_interval
            found["power law"] = (
                f"from {law.x_min:.0f} m² with exponent {law.exponent:.3f} "
                f"({low:.3f} to {high:.3f}), {counted(law.number, 'landslide')}, "
                f"distance {law.distance:.3f}"
            )
        if (gamma := self.inverse_gamma) is not None:
            found["inverse gamma"] = (
                f"rho {gamma.rho:.3f}, a {gamma.a:.1f} m², s {gamma.s:.1f} m²; most "
                f"frequent area {gamma.rollover:.0f} m²"
            )
        if self.magnitude is not None:
            error = self.magnitude_error
            sure = "" if math.isnan(error) else f" ± {error:.2f}"
            found["magnitude mLS"] = (
                f"{self.magnitude:.2f}{sure} (cutoff {self.cutoff:.0f} m², beta "
                f"{self.beta:.3f})"
            )
        if self.repeated_m2:
            found["mapped more than once"] = (
                f"{self.repeated_m2 / 1e6:.3f} km²: landslides there may count as "
                "often; choose with `--from` and `--to`"
            )
        return found

    def lines(self) -> list[str]:
        """Returns the numbers as lines for a terminal."""
        return [f"{name}: {text}" for name, text in self.facts().items()]

    def as_dict(self) -> dict[str, Any]:
        """Returns all but the grid as JSON values, None for what has no value."""
        found = {
            "sizes": asdict(self.sizes),
            "mapped_m2": self.mapped_m2,
            "repeated_m2": self.repeated_m2,
            "groups": [asdict(group) for group in self.groups],
            "frequency_density": {
                name: getattr(self.frequency, name).tolist()
                for name in ("edges", "counts", "density")
            },
            "power_law": None if self.power_law is None else asdict(self.power_law),
            "inverse_gamma": (
                None if self.inverse_gamma is None else asdict(self.inverse_gamma)
            ),
            "magnitude": {
                "mls": self.magnitude,
                "error": self.magnitude_error,
                "cutoff_m2": self.cutoff,
                "beta": self.beta,
            },
        }
        plain: dict[str, Any] = _plain(found)
        return plain


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON values
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def inventory_statistics(
    landslides: Landslides,
    scenes: Sequence[Scene],
    *,
    query: Query | None = None,
    cell_m: float | None = None,
    cutoff: float | None = None,
    beta: float | None = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> Statistics:
    """Computes the statistics of the landslides that no rule rejected.

    Args:
        landslides: Landslides of an inventory.
        scenes: The scenes they were mapped in, those without landslides too.
        query: What both were chosen by: of its box alone the ground counts.
        cell_m: Width of a cell of the densities, metres; None = as of `density_grid`.
        cutoff: Smallest area of the power law for mLS, m²; None = as fitted.
        beta: Its exponent, below 0; None = as fitted.
        bootstrap: Samples for the intervals.
        seed: Of the samples and draws.

    Returns:
        The statistics.

    Raises:
        DataError: If nothing was mapped, one of `cutoff` and `beta` is missing, or no
            landslide is in the bin of the cutoff.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.inventory import *
    >>> outline = shapely.MultiPolygon([shapely.box(15, 46, 15.02, 46.01)])
    >>> facts = {"id": "a", "region": "ALPS", "date_max": "2024-05-01"}
    >>> none = Landslides(np.array([], object), {name: [] for name in FIELDS})
    >>> found = inventory_statistics(none, [Scene(facts, outline)])
    >>> found.sizes.number, found.sizes.density, round(found.mapped_m2 / 1e6, 2)
    (0, 0.0, 1.72)
    """
    if (cutoff is None) != (beta is None):
        raise DataError("Give `cutoff` and `beta` both, or neither.")
    if not scenes:
        raise DataError("No mapped scene fits the query: change region, dates or box.")
    accepted = landslides.accepted
    grounds, projected, system = _projected(scenes, accepted, query)
    whole = float(shapely.area(shapely.union_all(grounds)))
    areas = accepted.numbers("area_m2")
    law = gamma = None
    with contextlib.suppress(DataError):
        law = fit_power_law(areas, bootstrap=bootstrap, seed=seed)
    with contextlib.suppress(DataError):
        gamma = fit_inverse_gamma(areas, bootstrap=bootstrap, seed=seed)
    known = _Magnitude(None, math.nan, math.nan, math.nan)
    if cutoff is not None and beta is not None:
        found = landslide_magnitude(areas, cutoff=cutoff, beta=beta)
        known = _Magnitude(found, math.nan, cutoff, beta)
    elif law is not None:
        known = _fitted_magnitude(areas, law, seed)
    return Statistics(
        sizes=summarize_sizes(areas, mapped_m2=whole),
        mapped_m2=whole,
        repeated_m2=_repeated(grounds, whole),
        groups=_groups(accepted, scenes, grounds),
        frequency=frequency_density(areas),
        power_law=law,
        inverse_gamma=gamma,
        magnitude=known.value,
        magnitude_error=known.error,
        cutoff=known.cutoff,
        beta=known.beta,
        density=density_grid(projected, grounds, cell_m=cell_m),
        system=system.to_wkt(),
    )


class _Magnitude(NamedTuple):
    """mLS of an event, None where it has none, and the power law it is of."""

    value: float | None
    error: float
    cutoff: float
    beta: float


def _fitted_magnitude(areas: FloatArray, law: PowerLaw, seed: int) -> _Magnitude:
    """Returns the magnitude by the power law that fits the areas, with its error."""
    cutoff, beta, magnitude = law.x_min, -law.exponent, None
    with contextlib.suppress(DataError):
        magnitude = landslide_magnitude(areas, cutoff=cutoff, beta=beta)
    _, error = magnitude_interval(
        areas,
        cutoff=cutoff,
        beta=beta,
        cutoff_error=law.x_min_error,
        beta_error=law.exponent_error,
        seed=seed,
    )
    return _Magnitude(magnitude, error, cutoff, beta)


def _projected(
    scenes: Sequence[Scene], landslides: Landslides, query: Query | None
) -> tuple[Geometries, Geometries, pyproj.CRS]:
    """Returns grounds and landslides in an equal-area projection around them."""
    outlines = np.array([scene.outline for scene in scenes], object)
    if query is not None and query.box is not None:
        cut = shapely.intersection(outlines, shapely.box(*query.box))
        outlines = np.array([multi_polygon(ground) for ground in cut], object)
    if not shapely.area(outlines).any():
        raise DataError("No mapped ground lies in the box: choose another one.")
    degrees = pyproj.CRS(SYSTEM)
    system = equal_area_system(degrees, *_middle(outlines))
    moved = [
        shapely.make_valid(reprojected(shapes, degrees, system))
        for shapes in (outlines, landslides.geometries)
    ]
    return moved[0], moved[1], system


def _middle(outlines: Geometries) -> tuple[float, float]:
    """Returns the mean direction of grounds from the centre of the earth, degrees."""
    at = np.radians(
        shapely.get_coordinates(shapely.centroid(shapely.get_parts(outlines)))
    )
    x, y = np.cos(at[:, 0]) * np.cos(at[:, 1]), np.sin(at[:, 0]) * np.cos(at[:, 1])
    mean = x.mean(), y.mean(), np.sin(at[:, 1]).mean()
    longitude = math.degrees(math.atan2(mean[1], mean[0]))
    return longitude, math.degrees(math.atan2(mean[2], math.hypot(*mean[:2])))


def _repeated(grounds: Geometries, whole: float) -> float:
    """Returns how much ground lies in more than one scene, m²."""
    first, second = shapely.STRtree(grounds).query(grounds, predicate="intersects")
    ordered = first < second
    shared = shapely.intersection(grounds[first[ordered]], grounds[second[ordered]])
    found = float(shapely.area(shapely.union_all(shared))) if len(shared) else 0.0
    return found if found > 1e-9 * whole else 0.0


def _groups(
    landslides: Landslides, scenes: Sequence[Scene], grounds: Geometries
) -> tuple[Group, ...]:
    """Returns the numbers of each region and date."""
    areas = landslides.numbers("area_m2")
    of_rows = list(
        zip(landslides.columns["region"], landslides.columns["date_max"], strict=True)
    )
    of_scenes = [(s.facts["region"], s.facts["date_max"]) for s in scenes]
    found = []
    for key in sorted(set(of_scenes), key=str):
        rows = np.array([own == key for own in of_rows], bool)
        here = np.array([own == key for own in of_scenes], bool)
        mapped = float(shapely.area(shapely.union_all(grounds[here])))
        sizes = summarize_sizes(areas[rows], mapped_m2=mapped)
        found.append(Group(str(key[0]), str(key[1]), int(here.sum()), sizes))
    return tuple(found)

"""Statistics of landslide sizes against released, published and drawn values."""

import json

import numpy as np
import pytest
from scipy import stats

from landslide_tf import objects
from landslide_tf.errors import DataError


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs" / "golden" / "mls.json").read_text())


def test_the_magnitude_of_the_released_sample(golden):
    areas, cutoff, beta = golden["areas_m2"], golden["cutoff_m2"], golden["beta"]
    table = objects.frequency_density(areas)
    at = golden["bin_index_0based"]
    assert len(table.edges) == 120
    assert table.edges[at] == pytest.approx(golden["bin_edge_m2"], rel=1e-12)
    density = golden["frequency_density_at_bin"]
    assert table.density[at] == pytest.approx(density, rel=1e-12)
    found = objects.landslide_magnitude(areas, cutoff=cutoff, beta=beta)
    assert found == pytest.approx(golden["mls"], abs=1e-10)
    # With a sure cutoff the magnitude is linear in β: d mLS/dβ = log₁₀(48766/c).
    mean, deviation = objects.magnitude_interval(
        areas, cutoff=cutoff, beta=beta, cutoff_error=0, beta_error=golden["beta_error"]
    )
    assert mean == pytest.approx(golden["mls"], abs=0.005)
    slope = np.log10(48765.99623713225 / cutoff)
    assert deviation == pytest.approx(golden["beta_error"] * slope, rel=0.02)
    _, wider = objects.magnitude_interval(
        areas,
        cutoff=cutoff,
        beta=beta,
        cutoff_error=golden["cutoff_error"],
        beta_error=golden["beta_error"],
    )
    assert wider > deviation


def test_the_error_of_the_released_function(golden):
    cutoff, beta = golden["cutoff_m2"], golden["beta"]
    errors = {key: golden[key] for key in ("cutoff_error", "beta_error")}
    mean, deviation = objects.magnitude_interval(
        golden["areas_m2"], cutoff=cutoff, beta=beta, variant="released", **errors
    )
    assert mean == pytest.approx(golden["mls"], abs=0.01)
    assert f"{golden['mls']:.2f} +- {deviation:.2f}" == golden["readme_states"]
    # Around the middle it is the length of the gradient by β and log₁₀ of the cutoff.
    by_beta = np.log10(48765.99623713225 / golden["midpoint_area_m2"])
    by_cutoff = -beta / 2 / np.log(10) / cutoff
    parts = [
        golden[key] / np.sqrt(3) * by
        for key, by in (("cutoff_error", by_cutoff), ("beta_error", by_beta))
    ]
    assert deviation == pytest.approx(np.hypot(*parts), rel=0.05)
    with pytest.raises(DataError, match="`variant`"):
        objects.magnitude_interval([100.0], cutoff=50, beta=-2, variant="x", **errors)


def test_the_power_law_of_the_released_sample(golden):
    # Cutoff and exponent of the release were fitted by Clauset's own script.
    found = objects.fit_power_law(golden["areas_m2"], bootstrap=0)
    assert found.x_min == golden["cutoff_m2"]
    assert round(-found.exponent, 2) == golden["beta"]


def test_magnitudes_add_like_counts():
    areas = stats.pareto.rvs(1.4, scale=1000, size=2000, random_state=3)
    one = objects.landslide_magnitude(areas, cutoff=1200, beta=-2.4)
    ten = objects.landslide_magnitude(np.tile(areas, 10), cutoff=1200, beta=-2.4)
    assert ten - one == pytest.approx(1.0, abs=1e-12)


def test_an_empty_bin_and_bad_arguments():
    with pytest.raises(DataError, match="bin of the cutoff"):
        objects.landslide_magnitude([10.0, 20.0], cutoff=1e6, beta=-2.4)
    with pytest.raises(DataError, match="below 0"):
        objects.landslide_magnitude([10.0], cutoff=10, beta=2.4)
    with pytest.raises(DataError, match="above 0 m²"):
        objects.frequency_density([10.0, -1.0])


def test_the_tail_of_known_draws():
    rng = np.random.default_rng(5)
    tail = stats.pareto.rvs(1.4, scale=2000, size=4000, random_state=rng)
    areas = np.concatenate([rng.uniform(100, 2000, 4000), tail])
    found = objects.fit_power_law(areas, bootstrap=40, seed=1)
    assert found.exponent_interval[0] < 2.4 < found.exponent_interval[1]
    assert found.x_min > 1900
    known = objects.fit_power_law(areas, x_min=2000, bootstrap=0)
    assert found.distance <= known.distance
    assert abs(known.exponent - 2.4) < 3 * known.error
    above = areas[areas >= found.x_min]
    # scipy's estimate of the same tail, and its test statistic.
    shape, _, _ = stats.pareto.fit(above, floc=0, fscale=found.x_min)
    assert found.exponent == pytest.approx(shape + 1, rel=1e-9)
    expected = stats.kstest(above, stats.pareto(shape, scale=found.x_min).cdf)
    assert found.distance == pytest.approx(expected.statistic, rel=1e-9)
    assert found.number == len(above)


def test_the_published_inverse_gamma_comes_back():
    rng = np.random.default_rng(2)
    areas = stats.invgamma.rvs(1.4, loc=-132, scale=1280, size=5000, random_state=rng)
    found = objects.fit_inverse_gamma(areas[areas > 0], bootstrap=60, seed=1)
    for low_high, true in (
        (found.rho_interval, 1.4),
        (found.a_interval, 1280),
        (found.s_interval, -132),
        (found.rollover_interval, -132 + 1280 / 2.4),
    ):
        assert low_high[0] < true < low_high[1]
    law = stats.invgamma(found.rho, loc=found.s, scale=found.a)
    kept = areas[areas > 0]
    assert found.log_likelihood == pytest.approx(law.logpdf(kept).sum(), rel=1e-9)
    assert found.density(kept) == pytest.approx(law.pdf(kept), rel=1e-9)
    # No neighbour is likelier: it is a maximum.
    for rho, s, a in np.array([found.rho, found.s, found.a]) * (
        1 + 0.01 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1]])
    ):
        near = stats.invgamma(rho, loc=s, scale=a).logpdf(kept).sum()
        assert near < found.log_likelihood


@pytest.mark.parametrize("fit", [objects.fit_power_law, objects.fit_inverse_gamma])
def test_sizes_that_no_law_fits(fit):
    with pytest.raises(DataError, match="at least 11"):
        fit([1.0, 2.0])
    with pytest.raises(DataError, match="different sizes"):
        fit(np.full(50, 7.0))
    seeded = [fit(np.arange(1.0, 60), bootstrap=5, seed=4) for _ in range(2)]
    assert seeded[0] == seeded[1]

"""Where landslides lie, against counts of pixels."""

import numpy as np
import pytest
import shapely

from landslide_tf import objects
from landslide_tf.errors import DataError


def test_densities_against_pixels():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 180, (30, 2)) * 10.0
    slides = shapely.box(*corners.T, *(corners + 10 * rng.integers(2, 20, (30, 2))).T)
    slides = np.array([shapely.union_all(slides)], object)  # pixels count once
    mapped = np.array([shapely.box(0, 0, 1500, 2000), shapely.box(1000, 0, 2000, 900)])
    found = objects.density_grid(slides, mapped, cell_m=500)
    assert found.share.shape == (4, 4)
    at = np.arange(200) * 10.0 + 5
    x, y = np.meshgrid(at, at[::-1])
    known = shapely.intersects_xy(shapely.union_all(mapped), x, y)
    inside = shapely.intersects_xy(slides[0], x, y) & known
    blocks = [v.reshape(4, 50, 4, 50).sum(axis=(1, 3)) for v in (inside, known)]
    assert found.mapped_m2 == pytest.approx(blocks[1] * 100.0)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found.share, blocks[0] / blocks[1])
    assert np.isnan(found.per_km2[0, 3])  # not mapped: not known to have none


def test_counts_go_to_the_cell_of_the_centroid():
    slides = np.array([shapely.box(900, 0, 1300, 10), shapely.box(0, 0, 10, 10)])
    mapped = np.array([shapely.box(0, 0, 2000, 500)])
    found = objects.density_grid(slides, mapped)
    assert found.per_km2.tolist() == [[2.0, 2.0]]  # half of each cell is mapped
    assert (found.transform.c, found.transform.f) == (0, 1000)


def test_no_ground_and_too_many_cells():
    none, ground = np.array([], object), np.array([shapely.box(0, 0, 1e7, 1e7)])
    with pytest.raises(DataError, match="received none"):
        objects.density_grid(none, none)
    with pytest.raises(DataError, match="larger cells"):
        objects.density_grid(none, ground, cell_m=1000)
    with pytest.raises(DataError, match="above 0 metres"):
        objects.density_grid(none, ground, cell_m=0)


@pytest.mark.slow
def test_cells_grow_until_there_are_four_million_at_most():
    none, ground = np.array([], object), np.array([shapely.box(0, 0, 1e7, 1e7)])
    assert objects.density_grid(none, ground).transform.a == 8000


def test_frequency_ratios_balance():
    slides, ground = np.array([3.0, 0, 7]), np.array([10.0, 40, 50])
    ratio = objects.frequency_ratio(slides, ground)
    assert (ratio * ground).sum() / ground.sum() == pytest.approx(1)
    assert np.isnan(objects.frequency_ratio([1, 0], [5, 0])[1])
    assert np.isnan(objects.frequency_ratio([0, 0], [5, 2])).all()
    with pytest.raises(DataError, match="the area of their class"):
        objects.frequency_ratio([6], [5])

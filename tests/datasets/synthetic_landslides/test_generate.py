"""Generated tiles: what they are made of, and what can be learnt from what."""

import functools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from landslide_tf import terrain
from landslide_tf.datasets.synthetic_landslides import generate_tile
from landslide_tf.errors import DataError

LANDSLIDE, BUILDING, FOREST, WATER, ROAD, BARE = range(6)
ARRAYS = ("image", "dem", "slope", "aspect", "ndvi", "mask")


@functools.cache
def stack(region, split, count, visible=False):
    tiles = [generate_tile(11, region, split, i, visible=visible) for i in range(count)]
    return {name: np.stack([tile[name] for tile in tiles]) for name in ARRAYS}


def soil(tiles):
    """Pixels of landslides and bare land."""
    return np.isin(tiles["mask"], (LANDSLIDE, BARE))


def test_golden_tile():
    tile = generate_tile(7, 0, "train", 0)
    counts = np.bincount(tile["mask"].ravel(), minlength=6)
    assert counts.tolist() == [852, 79, 14315, 0, 838, 300]
    assert tile["image"].mean() == pytest.approx(90.5379, abs=1e-3)
    assert tile["dem"].mean(dtype=float) == pytest.approx(3133.0347, abs=1e-3)
    assert tile["slope"].mean(dtype=float) == pytest.approx(20.1464, abs=1e-3)
    assert tile["ndvi"].mean(dtype=float) == pytest.approx(0.54817, abs=1e-4)


@pytest.mark.parametrize("visible", [False, True])
def test_equal_arguments_give_equal_bytes(visible):
    one, two = (
        generate_tile(3, 1, "test", 5, size=64, visible=visible, nodata_fraction=0.1)
        for _ in range(2)
    )
    for name in ARRAYS:
        assert one[name].tobytes() == two[name].tobytes()


@pytest.mark.parametrize(
    "other",
    [(4, 1, "test", 5), (3, 2, "test", 5), (3, 1, "train", 5), (3, 1, "test", 6)],
)
def test_every_part_of_the_key_counts(other):
    one = generate_tile(3, 1, "test", 5, size=64)
    two = generate_tile(*other, size=64)
    for name in ("image", "dem", "slope", "ndvi"):
        assert (one[name] != two[name]).any()


def test_types_and_shapes():
    tile = generate_tile(0, 3, "validation", 0, size=32)
    assert (tile["image"].dtype, tile["image"].shape) == (np.uint8, (32, 32, 3))
    for name in ("dem", "slope", "aspect", "ndvi"):
        assert (tile[name].dtype, tile[name].shape) == (np.float32, (32, 32))
    assert (tile["mask"].dtype, tile["mask"].shape) == (np.uint8, (32, 32))
    assert (tile["region"], tile["index"]) == (3, 0)


@pytest.mark.parametrize("region", range(4))
def test_class_shares(region):
    mask = stack(region, "train", 40)["mask"]
    percent = 100 * np.bincount(mask.ravel(), minlength=6) / mask.size
    expected = [2.6, 0.7, 88.5, 1.3, 3.6, 3.3]
    np.testing.assert_allclose(percent, expected, atol=1.0)


@pytest.mark.parametrize("region", range(4))
def test_slopes(region):
    tiles = stack(region, "train", 40)
    quantiles = np.percentile(tiles["slope"], [5, 25, 50, 75, 95])
    np.testing.assert_allclose(quantiles, [2.2, 7.0, 18.8, 29.2, 37.9], atol=1.0)
    steep = tiles["slope"][tiles["mask"] == LANDSLIDE]
    flat = tiles["slope"][tiles["mask"] == BARE]
    np.testing.assert_allclose(np.percentile(steep, [5, 95]), [19.9, 40.5], atol=2.5)
    np.testing.assert_allclose(np.percentile(flat, [5, 95]), [1.7, 17.1], atol=2.5)


@pytest.mark.parametrize("region", range(4))
def test_landslides_and_bare_land_have_one_colour(region):
    tiles = stack(region, "train", 40)
    images, mask = tiles["image"].astype(float), tiles["mask"]
    difference = images[mask == LANDSLIDE].mean(0) - images[mask == BARE].mean(0)
    assert np.abs(difference).max() < 3
    ndvi = tiles["ndvi"]
    assert abs(ndvi[mask == LANDSLIDE].mean() - ndvi[mask == BARE].mean()) < 0.02


@pytest.mark.parametrize("region", [0, 3])
def test_only_the_slope_tells_landslides_from_bare_land(region):
    train, test = stack(region, "train", 40), stack(region, "test", 30)
    model = LogisticRegression(max_iter=500)
    model.fit(train["image"][soil(train)] / 255.0, train["mask"][soil(train)] == 0)
    truth = test["mask"][soil(test)] == LANDSLIDE
    colour = model.predict_proba(test["image"][soil(test)] / 255.0)[:, 1]
    assert 0.4 < roc_auc_score(truth, colour) < 0.6
    assert 0.4 < roc_auc_score(truth, test["ndvi"][soil(test)]) < 0.6
    slope = test["slope"][soil(test)]
    assert roc_auc_score(truth, slope) > 0.98
    assert ((slope > 20) == truth).mean() > 0.93


def test_vegetation_and_water_differ_in_the_index():
    tiles = stack(0, "train", 40)
    mean = {c: tiles["ndvi"][tiles["mask"] == c].mean() for c in range(6)}
    assert mean[WATER] < mean[BUILDING] < mean[FOREST]
    assert mean[FOREST] == pytest.approx(0.60, abs=0.03)
    assert np.abs(tiles["ndvi"]).max() <= 1


def test_lakes_are_level_and_in_half_of_the_tiles():
    tiles = stack(0, "train", 40)
    wet = (tiles["mask"] == WATER).any(axis=(1, 2))
    assert 10 <= wet.sum() <= 30
    for dem, mask in zip(tiles["dem"][wet], tiles["mask"][wet], strict=True):
        assert np.ptp(dem[mask == WATER]) < 1e-3


def test_factors_can_be_derived_again_from_the_elevations():
    tile = generate_tile(5, 2, "train", 1, size=64, nodata_fraction=0.05)
    for name in ("slope", "aspect"):
        again = getattr(terrain, name)(tile["dem"], 2.0, edges="compute")
        np.testing.assert_array_equal(tile[name], again)


def test_holes_take_elevation_away_and_nothing_else():
    whole = generate_tile(5, 2, "train", 1)
    holed = generate_tile(5, 2, "train", 1, nodata_fraction=0.1)
    missing = np.isnan(holed["dem"])
    assert missing.sum() == round(0.1 * 128 * 128)
    for name in ("slope", "aspect"):
        np.testing.assert_array_equal(np.isnan(holed[name]), missing)
    np.testing.assert_array_equal(holed["dem"][~missing], whole["dem"][~missing])
    for name in ("image", "mask", "ndvi"):
        np.testing.assert_array_equal(holed[name], whole[name])


def brightness_follows_relief(tile, azimuth):
    shade = terrain.hillshade(tile["dem"], 2.0, azimuth=azimuth, edges="compute")
    ground = tile["mask"] == FOREST
    return np.corrcoef(shade[ground], tile["image"].mean(-1)[ground])[0, 1]


def test_shading_is_off_by_default_and_leaks_when_on():
    plain = generate_tile(9, 1, "train", 0)
    shaded = generate_tile(9, 1, "train", 0, shading=1.0)
    assert abs(brightness_follows_relief(plain, 315)) < 0.1
    assert brightness_follows_relief(shaded, 315) > 0.6
    np.testing.assert_array_equal(plain["mask"], shaded["mask"])


def test_visible_landslides_show_in_colour():
    hidden, shown = stack(0, "test", 30), stack(0, "test", 30, visible=True)
    np.testing.assert_array_equal(shown["mask"], hidden["mask"] == LANDSLIDE)
    np.testing.assert_array_equal(shown["dem"], hidden["dem"])
    pixels = soil(hidden)
    colour = shown["image"][pixels].astype(float).sum(-1)
    assert roc_auc_score(shown["mask"][pixels], colour) > 0.9


@pytest.mark.parametrize(("region", "sun"), list(enumerate((315, 135, 225, 45))))
def test_each_visible_region_has_its_sun(region, sun):
    # The picture is drawn again in even light; the quotient is what the sun adds.
    lit = generate_tile(11, region, "train", 0, visible=True)["image"]
    tile = generate_tile(11, region, "train", 0, visible=True, shading=0.0)
    quotient = (lit.astype(float) + 1).sum(-1) / (tile["image"].astype(float) + 1).sum(
        -1
    )
    correlations = {}
    for azimuth in (315, 135, 225, 45):
        shade = terrain.hillshade(tile["dem"], 2.0, azimuth=azimuth, edges="compute")
        correlations[azimuth] = np.corrcoef(shade.ravel(), quotient.ravel())[0, 1]
    assert max(correlations, key=correlations.get) == sun
    assert correlations[sun] > 0.9


def test_visible_regions_have_seasons():
    forests = [
        generate_tile(11, r, "train", 0, visible=True, shading=0.0) for r in range(4)
    ]
    for region, tile in enumerate(forests):
        plain = generate_tile(11, region, "train", 0)
        ground = plain["mask"] == FOREST
        shift = tile["image"][ground].mean(0) - plain["image"][ground].mean(0)
        season = [(0, 0, 0), (25, 10, -5), (45, 25, 10), (-15, -20, -10)][region]
        np.testing.assert_allclose(shift, season, atol=2)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"split": "val"}, "`split`"),
        ({"region": 4}, "`region`"),
        ({"region": -1}, "`region`"),
        ({"seed": -1}, "`seed`"),
        ({"index": -1}, "`index`"),
        ({"size": 130}, "`size`"),
        ({"size": 28}, "`size`"),
        ({"cell": 0.0}, "`cell`"),
        ({"cell": float("nan")}, "`cell`"),
        ({"nodata_fraction": 1.0}, "`nodata_fraction`"),
        ({"nodata_fraction": -0.1}, "`nodata_fraction`"),
        ({"shading": 1.5}, "`shading`"),
    ],
)
def test_arguments_out_of_range(arguments, word):
    valid = {"seed": 0, "region": 0, "split": "train", "index": 0, "size": 32}
    with pytest.raises(DataError, match=word) as caught:
        generate_tile(**valid | arguments)
    assert "\n" not in str(caught.value)

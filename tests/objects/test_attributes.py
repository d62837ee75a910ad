"""Attributes of objects against values worked out by hand and by scikit-image."""

import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.features
import shapely
from rasterio import Affine
from scipy import ndimage
from skimage import measure

from landslide_tf import objects, terrain
from landslide_tf.objects import cells, zones
from landslide_tf.raster.dem import DemFiles
from landslide_tf.terrain import Grid

GRID = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 300, 260)


def write(path, values, grid=GRID, **options):
    with rasterio.open(
        path, "w", driver="GTiff", height=grid.height, width=grid.width, count=1,
        dtype=values.dtype, crs=grid.crs, transform=grid.transform, **options,
    ) as dataset:  # fmt: skip
        dataset.write(values, 1)
    return path


def test_shapes_by_hand():
    corner = shapely.box(0, 0, 20, 20) - shapely.box(10, 10, 20, 20)
    found = objects.shape_attributes(np.array([shapely.box(0, 0, 40, 10), corner]))
    for name, values in {
        "area_m2": (400, 300),
        "perimeter_m": (100, 80),
        "length_m": (40, 20),
        "lwr": (4, 1),
        "rectangularity": (1, 0.75),
        "compactness": (0.502655, 0.589049),
        "solidity": (1, 0.857143),
        "eq_diameter_m": (np.sqrt(1600 / np.pi), np.sqrt(1200 / np.pi)),
    }.items():
        assert found[name] == pytest.approx(values, abs=1e-6), name


@pytest.mark.parametrize("angle", [0, 17, 90, 133])
def test_length_width_and_direction_of_turned_rectangles(angle):
    # Angles of shapely turn counter-clockwise, bearings clockwise from the north.
    north = shapely.box(-5, -40, 5, 40)
    turned = shapely.affinity.rotate(north, -angle, origin=(0, 0))
    found = objects.shape_attributes(np.array([turned]))
    assert found["length_m"][0] == pytest.approx(80)
    assert found["width_m"][0] == pytest.approx(10)
    turn = (found["orientation_deg"][0] - angle + 90) % 180 - 90
    assert turn == pytest.approx(0, abs=1e-6)


def test_areas_are_those_on_the_ellipsoid():
    geographic = Grid("EPSG:4326", Affine(0.001, 0, 15, 0, -0.001, 60), 300, 300)
    cell = shapely.box(15.1, 59.8, 15.11, 59.81)
    expected, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(
        shapely.segmentize(cell, 1e-4)
    )
    found = objects.measure(np.array([cell], object), geographic)
    assert found["area_m2"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("block", [64, 1024])
def test_pixel_values_against_regionprops(tmp_path, monkeypatch, block):
    monkeypatch.setattr(zones, "_BLOCK", block)  # objects that lie in several
    rng = np.random.default_rng(0)
    smooth = rng.random(GRID.shape)
    mask = np.kron(rng.random((30, 26)) > 0.6, np.ones((10, 10))) > 0
    chances = np.where(mask, 0.5 + smooth / 2, smooth / 2).astype(np.float32)
    path = write(tmp_path / "mask.tif", mask.astype(np.uint8))
    found, pixels = objects.outlines(path, GRID)
    table = objects.pixel_attributes(
        found, GRID, probability=write(tmp_path / "p.tif", chances)
    )
    labels = measure.label(mask, connectivity=2)
    expected = measure.regionprops_table(
        labels, chances, properties=("area", "intensity_mean", "intensity_max")
    )
    order, wanted = (
        np.argsort(table["probability"]),
        np.argsort(expected["intensity_mean"]),
    )
    for got, name in (
        (pixels, "area"),
        (table["probability"], "intensity_mean"),
        (table["max_prob"], "intensity_max"),
    ):
        assert got[order] == pytest.approx(expected[name][wanted], rel=1e-5), name


def any_polygons(seed, number=40):
    """Turned, holed and overlapping polygons, some of them beyond the grid."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        x, y = random.uniform(499_900, 502_700), random.uniform(4_596_900, 4_600_100)
        corners = random.normal((x, y), 150, (random.integers(3, 9), 2))
        shape = shapely.convex_hull(shapely.MultiPoint(corners))
        found.append(shape - shapely.Point(x, y).buffer(random.uniform(1, 60)))
    # Its line holds no pixel.
    line = shapely.LineString([(500_000, 4_599_000), (501_000, 4_599_000)])
    return np.array([*found, shapely.GeometryCollection([found[0], line])], object)


@pytest.mark.parametrize("at_once", [500, 2**16])
def test_pixels_are_those_that_gdal_burns(monkeypatch, at_once):
    monkeypatch.setattr(cells, "_AT_ONCE", at_once)
    shapes = any_polygons(0)
    whole = cells.spans(shapes, GRID)
    part = np.clip(whole, (60, 70, 60, 70), (200, 180, 200, 180))
    for windows in (whole, part):
        found = list(cells.held_cells(shapes, GRID, windows))
        owner, row, column = np.concatenate(found, axis=1)
        for number, (shape, window) in enumerate(zip(shapes, windows, strict=True)):
            areas = [g for g in shapely.get_parts(shape) if g.area > 0]
            burnt = rasterio.features.rasterize(
                areas, out_shape=GRID.shape, transform=GRID.transform
            )
            top, left, bottom, right = window
            inside = np.argwhere(burnt[top:bottom, left:right]) + window[:2]
            own = np.stack([row, column], axis=1)[owner == number]
            np.testing.assert_array_equal(own, inside)


def test_terrain_of_any_polygons_is_that_of_their_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(zones, "_BLOCK", 96)
    smooth = ndimage.gaussian_filter(np.random.default_rng(3).random(GRID.shape), 3)
    dem = write(tmp_path / "dem.tif", (3000 * smooth).astype(np.float32))
    shapes = any_polygons(4)[:-1]
    found = objects.pixel_attributes(shapes, GRID, dem=DemFiles(dem))
    heights = (3000 * smooth).astype(np.float32)
    slope, aspect = terrain.slope(heights, 10), terrain.aspect(heights, 10)
    for number, shape in enumerate(shapes):
        inside = rasterio.features.rasterize(
            [shape], out_shape=GRID.shape, transform=GRID.transform
        ).astype(bool)
        if not inside.any():
            continue
        direction = np.angle(np.exp(1j * np.radians(aspect[inside])).mean(), deg=True)
        for name, value in {
            "elev_max_m": 3000 * smooth[inside].max(),
            "elev_mean_m": 3000 * smooth[inside].mean(),
            "slope_mean_deg": slope[inside].mean(),
            "slope_p90_deg": np.percentile(slope[inside], 90),
            "aspect_mean_deg": direction % 360,
        }.items():
            assert found[name][number] == pytest.approx(value, rel=1e-4), name


def test_terrain_of_a_plane(tmp_path):
    x = GRID.transform.c + 10 * (np.arange(GRID.width) + 0.5)
    plane = np.broadcast_to(0.5 * (x - 500_000), GRID.shape).astype(np.float32)
    dem = write(tmp_path / "dem.tif", plane)
    box = shapely.box(500_100, 4_599_000, 500_300, 4_599_100)
    beyond = shapely.box(400_000, 4_599_000, 400_300, 4_599_100)
    tiny = shapely.box(500_101, 4_599_001, 500_102, 4_599_002)
    found = objects.pixel_attributes(
        np.array([box, beyond, tiny]), GRID, dem=DemFiles(dem)
    )
    slope = np.degrees(np.arctan(0.5))
    assert found["slope_mean_deg"][[0, 2]] == pytest.approx([slope, slope], abs=1e-4)
    assert found["slope_p90_deg"][0] == pytest.approx(slope, abs=1e-4)
    assert found["aspect_mean_deg"][0] == pytest.approx(270)  # it falls to the west
    assert found["elev_min_m"][0] == pytest.approx(0.5 * 105)
    assert found["relief_m"][0] == pytest.approx(0.5 * 190)
    assert all(np.isnan(found[name][1]) for name in objects.TERRAIN)
    assert found["elev_mean_m"][2] == pytest.approx(0.5 * 105)  # the cell it lies in


def test_aspects_around_north_do_not_cancel(tmp_path):
    row, column = np.mgrid[: GRID.height, : GRID.width]
    ridge = (10.0 * row + np.abs(column - 130) * 2).astype(np.float32)
    dem = write(tmp_path / "ridge.tif", ridge)
    west = GRID.transform.c + 1300
    box = shapely.box(west - 200, 4_599_000, west + 200, 4_599_200)
    found = objects.pixel_attributes(np.array([box]), GRID, dem=DemFiles(dem))
    away = abs((found["aspect_mean_deg"][0] + 180) % 360 - 180)
    assert away < 2


def test_overlapping_polygons_each_have_their_pixels(tmp_path):
    values = np.zeros(GRID.shape, np.float32)
    values[:, :20] = 1
    path = write(tmp_path / "p.tif", values)
    boxes = [
        shapely.box(500_000, 4_599_000, 500_000 + w, 4_599_500) for w in (200, 400)
    ]
    found = objects.pixel_attributes(np.array(boxes), GRID, probability=path)
    assert found["probability"] == pytest.approx([1, 0.5])


def test_objects_with_several_lobes():
    lobe = shapely.Point(500_500, 4_599_000).buffer(200)
    far = shapely.affinity.translate(lobe, 600)
    neck = shapely.box(500_500, 4_598_980, 501_100, 4_599_020)
    both = shapely.union_all([lobe, far, neck])
    small = shapely.union_all([lobe, shapely.affinity.scale(far, 0.4, 0.4), neck])
    long = shapely.affinity.rotate(shapely.box(0, 0, 900, 100), 27)
    long = shapely.affinity.translate(long, 500_500, 4_598_500)
    found = objects.amalgamated(np.array([lobe, both, small, long]), GRID)
    assert found.tolist() == [False, True, False, False]
    assert objects.amalgamated(np.array([small]), GRID, bound=0.3).tolist() == [True]


def test_lobes_of_one_object_say_nothing_of_another(monkeypatch):
    shapes = any_polygons(7, 60)
    shapes = np.array([shapely.union_all(shapes[k : k + 3]) for k in range(58)])
    together = objects.amalgamated(shapes, GRID)
    alone = [objects.amalgamated(shapes[k : k + 1], GRID)[0] for k in range(58)]
    assert together.tolist() == alone and 0 < together.sum() < 58

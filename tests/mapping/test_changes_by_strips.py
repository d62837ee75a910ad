"""Changes between maps that are read in strips, against whole arrays in NumPy."""

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import rasterio.warp
from rasterio import Affine
from scipy import ndimage

from landslide_tf.mapping import aligned_maps, map_changes
from landslide_tf.raster.grid import rows_of
from tests.mapping.test_map_changes import class_map, read

HEIGHT, WIDTH, SLIDE = 61, 40, 1
EIGHT = np.ones((3, 3))
PLACES = {
    "EPSG:32633": Affine(10, 0, 500_000, 0, -10, 4_600_000),
    "EPSG:4326": Affine(1e-4, 0, 15, 0, -1e-4, 65),
}


def series(dates=4):
    """Four classes in winding patches, most of which stay; some are not known."""
    rng = np.random.default_rng(0)
    maps, coarse = [], np.zeros((HEIGHT // 2 + 1, WIDTH // 2), int)
    for _ in range(dates):
        drawn = rng.choice(4, coarse.shape, p=(0.3, 0.4, 0.2, 0.1))
        coarse = np.where(rng.random(coarse.shape) < 0.5, drawn, coarse)
        values = coarse.repeat(2, 0).repeat(2, 1)[:HEIGHT].astype(np.uint8)
        values[rng.random(values.shape) < 0.03] = 255
        maps.append(values)
    return maps


def cell_areas(system):
    """Areas of the pixels of each row, from the ellipsoid."""
    place = PLACES[system]
    if system != "EPSG:4326":
        return np.full(HEIGHT, 100.0)
    ellipsoid, found = pyproj.Geod(ellps="WGS84"), []
    for row in range(HEIGHT):
        west, north = place @ (0, row)
        east, south = place @ (1, row + 1)
        corners = [west, west, east, east], [north, south, south, north]
        found.append(abs(ellipsoid.polygon_area_perimeter(*corners)[0]))
    return np.array(found)


def large(mask, areas, min_area):
    """Labels of the objects that are large enough, in reading order; their areas."""
    labels, number = ndimage.label(mask, EIGHT)
    sizes = ndimage.sum_labels(areas, labels, np.arange(1, number + 1))
    kept = np.flatnonzero(sizes >= min_area) + 1
    found = np.zeros_like(labels)
    for new, old in enumerate(kept, 1):
        found[labels == old] = new
    return found, sizes[kept - 1]


def lasting(maps, step, persist):
    return np.all([m == SLIDE for m in maps[step : step + persist]], axis=0)


def first_steps(maps, areas, persist, min_area):
    steps = np.full(maps[0].shape, -1)
    for step in range(len(maps) - persist + 1):
        waiting = lasting(maps, step, persist) & (steps < 0)
        if step:
            waiting = large(waiting, areas, min_area)[0] > 0
        steps[waiting] = step
    return steps


def new_objects(maps, areas, persist, min_area):
    """Step, area, pixels, centroid and shares before of each, and their labels."""
    rows = []
    for step in range(1, len(maps) - persist + 1):
        before = maps[step - 1]
        mask = lasting(maps, step, persist) & (before != SLIDE) & (before != 255)
        labels, sizes = large(mask, areas, min_area)
        for label, size in enumerate(sizes, 1):
            own = labels == label
            shares = [areas[own & (before == k)].sum() / size for k in range(4)]
            centre = np.argwhere(own).mean(axis=0)
            rows.append((step, size, own.sum(), *centre, *shares))
    return np.array(rows)


@pytest.mark.slow
@pytest.mark.parametrize("persist", [1, 2])
@pytest.mark.parametrize("system", list(PLACES))
def test_strips_of_any_height_give_what_whole_arrays_do(
    tmp_path, monkeypatch, system, persist
):
    maps, place = series(), PLACES[system]
    names = ["other", "slide", "water", "road"]
    paths = [
        class_map(
            tmp_path / f"{k}.tif", values, classes=names, landslide=SLIDE, crs=system,
            transform=place,
        )
        for k, values in enumerate(maps)
    ]  # fmt: skip
    by_row = cell_areas(system)
    areas = np.broadcast_to(by_row[:, None], maps[0].shape)
    smallest = 4.5 * by_row.mean()
    expected = new_objects(maps, areas, persist, smallest)
    steps = first_steps(maps, areas, persist, smallest)
    assert len(expected) > 20 and len(set(expected[:, 0])) == 4 - persist
    results = []
    for rows in (1, 7, 512):
        monkeypatch.setattr(
            aligned_maps, "rows_of", lambda shape, rows=rows: rows_of(shape, rows)
        )
        out = tmp_path / f"out-{rows}"
        found = map_changes(paths, out, persist=persist, min_area=smallest)
        results.append((found.transitions, found.objects))

        pairs = [(0, 1), (1, 2), (2, 3), (0, 3)]
        assert [(t["from"], t["to"]) for t in found.transitions] == pairs
        for (a, b), table in zip(pairs, found.transitions, strict=True):
            both = (maps[a] != 255) & (maps[b] != 255)
            for i in range(4):
                for j in range(4):
                    here = both & (maps[a] == i) & (maps[b] == j)
                    assert table["pixels"][i][j] == here.sum()
                    area = pytest.approx(areas[here].sum(), rel=1e-4)
                    assert table["area_m2"][i][j] == area
        np.testing.assert_array_equal(read(out / "first_step.tif"), steps)
        for t in range(1, 4):
            before, after = maps[t - 1], maps[t]
            unknown = (before == 255) | (after == 255)
            new = (after == SLIDE) & (before != SLIDE) & ~unknown
            raster = read(out / f"new_{t}.tif")
            np.testing.assert_array_equal(raster, np.where(unknown, 255, new))
            raster = read(out / f"from_{t}.tif")
            np.testing.assert_array_equal(raster, np.where(new, before, 255))

        rows_found = [
            (o.step, o.area, o.pixels, *o.centroid,
             *(o.previous.get(k, 0.0) for k in range(4)))
            for o in found.objects
        ]  # fmt: skip
        np.testing.assert_allclose(rows_found, expected, rtol=1e-4, atol=1e-9)
        np.testing.assert_array_equal(
            np.array(rows_found)[:, [0, 2]], expected[:, [0, 2]]
        )
        meta, _, wkb, columns = pyogrio.raw.read(out / "new_landslides.gpkg")
        table = dict(zip(meta["fields"], columns, strict=True))
        np.testing.assert_array_equal(table["step"], expected[:, 0])
        np.testing.assert_array_equal(table["area_px"], expected[:, 2])
        np.testing.assert_allclose(table["was_water"], expected[:, 7], atol=1e-4)
        np.testing.assert_array_equal(table["was_slide"], 0)
        results[-1] += (wkb.tolist(),)
    for other in results[1:]:
        assert other == results[0]  # to the last bit


def test_a_shift_is_found_and_moved_back_whatever_the_strips(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    scene = rng.integers(0, 2, (20, 20)).repeat(8, 0).repeat(8, 1)
    paths = [
        class_map(tmp_path / f"{k}.tif", values, classes=["other", "s"], landslide=1)
        for k, values in enumerate((scene, np.roll(scene, (3, -4), (0, 1))))
    ]
    found = []
    for rows in (5, 512):
        monkeypatch.setattr(
            aligned_maps, "rows_of", lambda shape, rows=rows: rows_of(shape, rows)
        )
        out = tmp_path / f"out-{rows}"
        result = map_changes(paths, out, align=True, min_area=0)
        found.append((result.shifts, result.transitions, read(out / "new_1.tif")))
    assert found[0][:2] == found[1][:2]
    np.testing.assert_array_equal(found[0][2], found[1][2])


def test_a_map_of_another_system_is_the_same_in_any_strips(tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    scene = rng.integers(0, 2, (25, 25)).repeat(8, 0).repeat(8, 1)
    first = class_map(tmp_path / "a.tif", scene, classes=["other", "s"], landslide=1)
    with rasterio.open(first) as dataset:
        west, south, east, north = rasterio.warp.transform_bounds(
            dataset.crs, "EPSG:4326", *dataset.bounds
        )
    size = (north - south) / 220, (east - west) / 200
    transform = Affine(size[1], 0, west, 0, -size[0], north)
    other = class_map(
        tmp_path / "b.tif", rng.integers(0, 2, (220, 200)), classes=["other", "s"],
        landslide=1, crs="EPSG:4326", transform=transform,
    )  # fmt: skip
    found = []
    for rows in (5, 512):
        monkeypatch.setattr(
            aligned_maps, "rows_of", lambda shape, rows=rows: rows_of(shape, rows)
        )
        out = tmp_path / f"out-{rows}"
        map_changes([first, other], out, min_area=0)
        found.append(read(out / "new_1.tif"))
    np.testing.assert_array_equal(found[0], found[1])

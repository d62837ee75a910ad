"""Maps of several dates on files: the published golden, other grids, displacement."""

import json

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from rasterio import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from landslide_tf.errors import DataError
from landslide_tf.mapping import Mask, MaskFiles, estimate_shift, map_changes
from tests.mapping import map_files as files
from tests.raster.test_masks import polygons

CLASSES = ["landslide", "a", "b", "c", "d", "e"]
# Xia et al. 2021, section 4.2, worked by hand.
DATES = (
    "0 0 5 5 / 5 5 5 2 / 5 5 2 2",
    "0 0 0 5 / 5 0 5 2 / 5 5 2 2",
    "0 0 0 0 / 0 0 5 2 / 255 5 2 0",
)


def grown(text):
    return np.array([row.split() for row in text.split("/")], np.uint8)


def class_map(path, values, *, classes=CLASSES, landslide=0, **options):
    name = files.write(path, values[None].astype(np.uint8), nodata=255, **options)
    with rasterio.open(name, "r+") as dataset:
        dataset.update_tags(CLASSES=json.dumps(classes), LANDSLIDE_CLASS=str(landslide))
    return name


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_the_golden_of_three_dates(tmp_path):
    maps = [class_map(tmp_path / f"{t}.tif", grown(d)) for t, d in enumerate(DATES)]
    found = map_changes(maps, tmp_path / "out", min_area=0)
    first, second, whole = (np.array(t["pixels"]) for t in found.transitions)
    assert (first[0, 0], first[5, 0], first[5, 5], first[2, 2]) == (2, 2, 5, 3)
    assert first.sum() == 12 and second.sum() == 11
    assert (second[0, 0], second[5, 0], second[2, 0]) == (4, 2, 1)
    assert (whole >= 0).all() and [t["to"] for t in found.transitions] == [1, 2, 2]
    assert np.array(found.transitions[0]["area_m2"])[5, 0] == pytest.approx(200)
    steps = [[0, 0, 1, 2], [2, 1, -1, -1], [-1, -1, -1, 2]]
    assert read(tmp_path / "out" / "first_step.tif").tolist() == steps
    new = read(tmp_path / "out" / "new_2.tif")
    assert (new == 1).sum() == 3 and new[2, 0] == 255
    previous = read(tmp_path / "out" / "from_2.tif")
    assert previous[2, 3] == 2 and previous[0, 3] == 5
    meta, _, wkb, columns = pyogrio.raw.read(tmp_path / "out" / "new_landslides.gpkg")
    shapes = shapely.from_wkb(wkb)
    assert shapely.is_valid(shapes).all()
    # Step 1: two pixels that meet at a corner; step 2: one and one and one.
    np.testing.assert_array_equal(columns[1], [1, 2, 2, 2])
    np.testing.assert_allclose(shapely.area(shapes), [200, 100, 100, 100])
    # Measured on the ellipsoid, as the polygons of `map`.
    table = dict(zip(meta["fields"], columns, strict=True))
    ground = pyproj.Transformer.from_crs(files.CRS, "EPSG:4326", always_xy=True)
    for shape, area in zip(shapes, table["area_m2"], strict=True):
        lonlat = shapely.transform(shape, ground.transform, interleaved=False)
        expected, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(lonlat)
        assert area == pytest.approx(abs(expected), rel=1e-4)
    assert table["area_px"].tolist() == [2, 1, 1, 1]
    assert table["lwr"][1] == pytest.approx(1, abs=1e-3)
    content = json.loads((tmp_path / "out" / "changes.json").read_text())
    assert content["classes"] == CLASSES and content["new_landslides"] == 4


def patches(seed=0, size=160):
    """A map of many patches, half of them landslide."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 2, (size // 8, size // 8)), np.ones((8, 8)))


@pytest.mark.parametrize("shift", [(0, 0), (3, -5), (-7, 2)])
def test_the_shift_is_found(shift):
    before = patches()
    after = np.roll(before, shift, (0, 1))
    after[40:70, 40:70] = 1  # and something changed
    assert estimate_shift(before, after) == pytest.approx(shift, abs=0.3)


def test_maps_without_anything_in_common_have_no_shift():
    assert estimate_shift(patches(0), patches(1)) is None
    assert estimate_shift(np.zeros((20, 20)), np.zeros((20, 20))) is None
    assert estimate_shift(np.zeros((1, 1)), np.zeros((1, 1))) is None


def test_displaced_maps_warn_and_are_aligned_on_demand(tmp_path):
    scene = patches()
    before = class_map(tmp_path / "a.tif", scene)
    after = class_map(tmp_path / "b.tif", np.roll(scene, (3, -4), (0, 1)))
    with pytest.warns(UserWarning, match=r"lies \+3.0 rows and -4.0 columns off"):
        found = map_changes([before, after], tmp_path / "shifted")
    assert np.array(found.transitions[0]["pixels"])[1, 0] > 1000
    found = map_changes([before, after], tmp_path / "aligned", align=True)
    table = np.array(found.transitions[0]["pixels"])
    # What came in at the rims stays.
    assert table[0, 1] + table[1, 0] < 0.03 * table.sum()
    inner = read(tmp_path / "aligned" / "new_1.tif")[8:-8, 8:-8]
    assert (inner == 0).all()


def test_maps_on_other_grids_are_brought_to_the_first(tmp_path):
    scene = patches()
    before = class_map(tmp_path / "a.tif", scene)
    with rasterio.open(before) as dataset:
        west, _, east, north = transform_bounds(
            dataset.crs, "EPSG:4326", *dataset.bounds
        )
        transform = Affine(2e-5, 0, west, 0, -2e-5, north)
        place = {"transform": transform, "width": int((east - west) / 2e-5)}
        with WarpedVRT(dataset, crs="EPSG:4326", height=720, **place) as warped:
            values = warped.read(1)
    after = class_map(tmp_path / "b.tif", values, crs="EPSG:4326", transform=transform)
    found = map_changes([before, after], tmp_path / "out")
    table = np.array(found.transitions[0]["pixels"])
    assert np.trace(table) > 0.98 * table.sum() > 0.9 * scene.size


def test_what_does_not_fit(tmp_path):
    scene = patches(size=32)
    first = class_map(tmp_path / "a.tif", scene)
    far = Affine(10, 0, 700_000, 0, -10, 4_600_000)
    other = class_map(tmp_path / "far.tif", scene, transform=far)
    with pytest.raises(DataError, match="share no ground"):
        map_changes([first, other], tmp_path / "out")
    other = class_map(tmp_path / "o.tif", scene, classes=["landslide", "x"])
    with pytest.raises(DataError, match=r"classes of .*map both with one model"):
        map_changes([first, other], tmp_path / "out")
    with pytest.raises(DataError, match="at least two maps"):
        map_changes([first], tmp_path / "out")
    with pytest.raises(DataError, match="must be a raster"):
        map_changes([first, tmp_path / "no.tif"], tmp_path / "out")
    silent = files.write(tmp_path / "s.tif", scene[None].astype(np.uint8))
    with pytest.raises(DataError, match="--landslide-class"):
        map_changes([silent, silent], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert map_changes([silent, silent], tmp_path / "out", landslide_class=1)


def test_masked_ground_is_left_out_on_every_date(tmp_path):
    before = np.zeros((40, 40), np.uint8)
    after = before.copy()
    after[4:14, 4:14] = after[20:30, 20:30] = after[20:30, 4:10] = 1
    maps = [
        class_map(
            tmp_path / f"{k}.tif", values, classes=["other", "slide"], landslide=1
        )
        for k, values in enumerate((before, after))
    ]
    clouds = np.full((40, 40), 4, np.uint8)
    clouds[18:32, 18:32] = 9
    scl = files.write(tmp_path / "scl.tif", clouds[None])
    west, north = 500_000, 4_600_000
    area = polygons(
        tmp_path / "a.geojson", shapely.box(west, north - 400, west + 400, north - 100)
    )
    masks = MaskFiles(area, masks=(Mask(scl, (9,)),))
    found = map_changes(maps, tmp_path / "out", masks=masks, min_area=0)
    counts = np.zeros((40, 40), bool)
    counts[10:] = True
    counts &= clouds != 9
    new = counts & (after == 1)
    assert np.array(found.transitions[0]["pixels"]).tolist() == [
        [(counts & (after == 0)).sum(), new.sum()],
        [0, 0],
    ]
    written = read(tmp_path / "out" / "new_1.tif")
    np.testing.assert_array_equal(written, np.where(counts, new, 255))
    np.testing.assert_array_equal(
        read(tmp_path / "out" / "first_step.tif"), np.where(new, 1, -1)
    )
    assert sorted(item.area for item in found.objects) == [4000, 6000]
    said = {"WITHIN": "a.geojson", "MASK": '["scl.tif:9"]'}
    content = json.loads((tmp_path / "out" / "changes.json").read_text())
    assert content["masked"] == said
    for name in ("new_1.tif", "from_1.tif", "first_step.tif"):
        with rasterio.open(tmp_path / "out" / name) as dataset:
            assert dataset.tags().items() >= said.items()
    with pytest.raises(DataError, match="which leave none"):
        everything = MaskFiles(masks=(Mask(scl, (4, 9)),))
        map_changes(maps, tmp_path / "none", masks=everything)
    assert not (tmp_path / "none").exists()

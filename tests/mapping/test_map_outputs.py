"""Files that a map comes in: rasters, polygons, style; and terrain on other grids."""

import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio import Affine
from rasterio.warp import transform_bounds

from landslide_tf.errors import DataError
from landslide_tf.mapping import (
    MapOptions,
    Member,
    Outputs,
    SceneFiles,
    evaluate_map,
    map_scene,
)
from landslide_tf.mapping.styles import qgis_style
from landslide_tf.raster.dem import DemFiles
from landslide_tf.terrain import Grid, factors_on_grid
from tests.mapping import map_files as files
from tests.mapping import transparent

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("stable", "slide")


def blobs(height=60, width=60):
    """A scene with two landslides: 40 × 10 and 20 × 20 less a 10 × 10 corner."""
    landslide = np.zeros((height, width), np.float32)
    landslide[5:15, 5:45] = 0.8
    landslide[30:50, 30:50] = 1
    landslide[40:50, 40:50] = 0
    landslide[55, 55] = 1
    return np.stack([1 - landslide, landslide])


def plane(path, *, grid, degrees, crs=files.CRS):
    """Elevations that rise to the east, on any grid."""
    height, width, transform = grid
    x = (transform @ (np.arange(width) + 0.5, np.zeros(width)))[0]
    values = np.broadcast_to(np.tan(np.radians(degrees)) * (x - x[0]), (height, width))
    return files.write(
        path, values[None].astype(np.float32) + 100, transform=transform, crs=crs
    )


def map_blobs(tmp_path, *, vectors=("map.gpkg", "map.geojson"), dem=None, **options):
    image = files.write(tmp_path / "s.tif", blobs(), names=NAMES)
    outputs = Outputs(
        tmp_path / "map.tif",
        tmp_path / "chances.tif",
        vector=tuple(tmp_path / name for name in vectors),
    )
    chosen = MapOptions(window=32, overlap=8, **options)
    scene = SceneFiles((image,), dem=dem and DemFiles(dem))
    return map_scene([files.identity()], scene, outputs, chosen)


def table(path):
    meta, _, geometry, columns = pyogrio.raw.read(path)
    names = dict(zip(meta["fields"], columns, strict=True))
    return meta, shapely.from_wkb(geometry), names


def test_polygons_have_the_attributes_of_hand_worked_shapes(tmp_path):
    dem = plane(
        tmp_path / "dem.tif",
        grid=(50, 50, Affine(17, 0, 499_900, 0, -17, 4_600_100)),
        degrees=20,
    )
    summary = map_blobs(tmp_path, dem=dem)
    assert summary.objects == 2
    meta, geometries, found = table(tmp_path / "map.gpkg")
    assert rasterio.crs.CRS.from_user_input(meta["crs"]).to_epsg() == 32633
    assert found["id"].tolist() == [1, 2]
    assert found["area_px"].tolist() == [400, 300]
    # UTM shortens lengths by 0.9996 at the central meridian, areas by its square.
    np.testing.assert_allclose(found["area_m2"], [40_000, 30_000], rtol=2e-3)
    np.testing.assert_allclose(found["perimeter_m"], [1000, 800], rtol=2e-3)
    np.testing.assert_allclose(found["lwr"], [4, 1], rtol=1e-3)
    np.testing.assert_allclose(found["compactness"], [0.502655, 0.589049], rtol=1e-3)
    np.testing.assert_allclose(found["solidity"], [1, 0.857143], rtol=1e-3)
    np.testing.assert_allclose(found["probability"], [0.8, 1], atol=2e-3)
    np.testing.assert_allclose(found["slope_mean_deg"], 20, atol=0.1)
    np.testing.assert_allclose(found["aspect_mean_deg"], 270, atol=0.1)
    rise = math.tan(math.radians(20)) * 390
    assert found["relief_m"][0] == pytest.approx(rise, rel=0.01)
    centre = (500_000 + 250, 4_600_000 - 100)
    assert found["centroid_x"][0] == pytest.approx(centre[0])
    assert found["centroid_y"][0] == pytest.approx(centre[1])
    assert shapely.is_valid(geometries).all()
    west, south, east, north = shapely.bounds(geometries[0])
    assert (west, north) == (500_050, 4_599_950)
    assert (east, south) == (500_450, 4_599_850)


def test_geojson_is_in_degrees(tmp_path):
    map_blobs(tmp_path)
    content = json.loads((tmp_path / "map.geojson").read_text())
    assert len(content["features"]) == 2
    bounds = transform_bounds(
        files.CRS, "EPSG:4326", 500_050, 4_599_850, 500_450, 4_599_950
    )
    shape = shapely.geometry.shape(content["features"][0]["geometry"])
    np.testing.assert_allclose(shape.bounds, bounds, atol=1e-6)
    assert content["features"][0]["properties"]["area_px"] == 400


def test_small_objects_and_simple_outlines(tmp_path):
    assert map_blobs(tmp_path, min_area=0).objects == 3
    _, _, found = table(tmp_path / "map.gpkg")
    assert found["area_px"].tolist() == [400, 300, 1]
    assert map_blobs(tmp_path, min_area=35_000, simplify=30).objects == 1
    _, geometries, found = table(tmp_path / "map.gpkg")
    assert shapely.is_valid(geometries).all()
    assert found["area_px"].tolist() == [400]


def test_no_landslide_is_an_empty_layer(tmp_path):
    assert map_blobs(tmp_path, min_area=1e9).objects == 0
    meta, geometries, _ = table(tmp_path / "map.gpkg")
    assert len(geometries) == 0 and "area_m2" in meta["fields"]
    assert json.loads((tmp_path / "map.geojson").read_text())["features"] == []


def test_objects_that_meet_at_corners_are_one_valid_polygon(tmp_path):
    landslide = np.kron(np.eye(4), np.ones((3, 3)))[None]
    scene = np.concatenate([1 - landslide, landslide]).astype(np.float32)
    image = files.write(tmp_path / "s.tif", scene, names=NAMES)
    outputs = Outputs(tmp_path / "map.tif", vector=(tmp_path / "map.gpkg",))
    map_scene([files.identity()], SceneFiles((image,)), outputs)
    _, geometries, found = table(tmp_path / "map.gpkg")
    assert found["area_px"].tolist() == [36]
    assert shapely.is_valid(geometries).all()
    assert shapely.area(geometries[0]) == pytest.approx(3600)


def test_rasters_are_valid_cogs_that_say_what_they_are(tmp_path):
    validate = pytest.importorskip("rio_cogeo").cog_validate
    scene = np.tile(blobs(), (1, 10, 11))
    image = files.write(tmp_path / "s.tif", scene, names=NAMES)
    outputs = Outputs(
        tmp_path / "map.tif", tmp_path / "chances.tif", tmp_path / "unsure.tif"
    )
    map_scene(
        [files.identity()], SceneFiles((image,)), outputs, MapOptions(all_classes=True)
    )
    for path in (outputs.out, outputs.probabilities, outputs.uncertainty):
        valid, faults, warnings = validate(path, strict=True, quiet=True)
        assert valid and not faults and not warnings
    with rasterio.open(outputs.out) as dataset:
        assert dataset.overviews(1)
        assert dataset.colormap(1)[1] == (230, 0, 0, 255)
        assert json.loads(dataset.tags()["CLASSES"]) == ["background", "landslide"]
        assert dataset.tags()["LANDSLIDE_CLASS"] == "1"
    with rasterio.open(outputs.probabilities) as dataset:
        assert dataset.descriptions == ("background", "landslide")
        assert dataset.nodata == 255
        values = dataset.read() * dataset.scales[0]
        np.testing.assert_allclose(values, scene, atol=2e-3)
    with rasterio.open(outputs.uncertainty) as dataset:
        assert dataset.descriptions == ("entropy", "mutual_information")
        assert (dataset.read(2) == 0).all()  # a single model agrees with itself
        p = 0.8
        expected = -(p * np.log(p) + (1 - p) * np.log(1 - p)) / np.log(2)
        assert dataset.read(1)[10, 10] / 250 == pytest.approx(expected, abs=3e-3)


def test_the_style_is_xml_and_lies_beside_the_polygons(tmp_path):
    from xml.etree import ElementTree

    summary = map_blobs(tmp_path)
    style = tmp_path / "map.qml"
    assert style in summary.files
    classes = [("background", (226, 226, 220)), ("landslide", (230, 0, 0))]
    assert style.read_text() == qgis_style(classes, (230, 0, 0))
    root = ElementTree.fromstring(style.read_text())
    assert root.find(".//layer[@class='SimpleFill']") is not None


def test_outputs_appear_together_or_not_at_all(tmp_path, monkeypatch):
    from landslide_tf.mapping import polygons

    def fails(*_):
        raise DataError("no")

    monkeypatch.setattr(polygons, "write_landslides", fails)
    with pytest.raises(DataError, match="no"):
        map_blobs(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]
    with pytest.raises(DataError, match=r"must end in \.gpkg"):
        map_blobs(tmp_path, vectors=("map.shp",))


@pytest.mark.parametrize("share", [0.5, 0.7, 0.99])
def test_polygons_that_cannot_grow_are_told(tmp_path, share):
    """A GeoPackage is larger than all else here; the disk is full before its end."""
    map_blobs(tmp_path)
    size = (tmp_path / "map.gpkg").stat().st_size
    whole = polygons_of(tmp_path)
    for path in tmp_path.glob("map.*"):
        path.unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), hard))
    try:
        map_blobs(tmp_path)
    except DataError as error:
        assert "cannot be written" in str(error)
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {"s.tif", "chances.tif", "map.tif.parts"}
    else:
        # Where GDAL adds no index, the last bytes are none of the polygons'.
        assert share > 0.9 and polygons_of(tmp_path) == whole
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert map_blobs(tmp_path).objects == 2


def polygons_of(folder):
    _, _, geometry, fields = pyogrio.raw.read(folder / "map.gpkg")
    return list(geometry), [list(column) for column in fields]


@pytest.mark.integration
def test_polygons_are_written_where_tensorflow_was_loaded_first(tmp_path):
    """Its SQLite takes the place of GDAL's, which then adds no spatial index."""
    script = (
        "import sys, tensorflow\n"
        "from pathlib import Path\n"
        "from tests.mapping.test_map_outputs import map_blobs\n"
        "print(map_blobs(Path(sys.argv[1])).objects)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "2", done.stderr
    assert pyogrio.read_info(tmp_path / "map.gpkg")["features"] == 2


def mapped_slope(tmp_path, image, dem, member=None, **options):
    member = member or transparent.member(transparent.SLOPE, NAMES)
    outputs = Outputs(tmp_path / "map.tif", tmp_path / "chances.tif")
    chosen = MapOptions(**({"window": 16, "overlap": 4, "float32": True} | options))
    map_scene(
        [member], SceneFiles((image,), dem=dem and DemFiles(dem)), outputs, chosen
    )
    with rasterio.open(outputs.probabilities) as dataset:
        return dataset.read(1) * 90


def test_terrain_in_windows_is_terrain_of_the_whole(tmp_path):
    """A DEM of another grid and system, a geographic scene, a hole, no seams."""
    rng = np.random.default_rng(3)
    transform = Affine(2e-4, 0, 15.0, 0, -2e-4, 45.02)
    image = files.write(
        tmp_path / "s.tif", files.chances(53, 41), names=NAMES, crs="EPSG:4326",
        transform=transform,
    )  # fmt: skip
    left, _, _, top = transform_bounds(
        "EPSG:4326", files.CRS, 15.0, 45.02 - 53 * 2e-4, 15.0 + 41 * 2e-4, 45.02
    )
    heights = np.cumsum(rng.normal(0, 6, (80, 60)), axis=0).astype(np.float32)
    heights[30:34, 20:24] = -9999
    own = Affine(22, 0, left - 200, 0, -22, top + 200)
    dem = files.write(tmp_path / "dem.tif", heights[None], transform=own, nodata=-9999)
    with rasterio.open(image) as dataset:
        expected = factors_on_grid(dem, Grid.of(dataset), factors=("slope",))
    found = mapped_slope(tmp_path, image, dem)
    np.testing.assert_array_equal(np.isnan(found), ~expected.valid)
    valid = expected.valid
    assert 0.5 < valid.mean() < 1
    np.testing.assert_allclose(
        found[valid], expected.values[..., 0][valid], atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("size", [(30, 1), (1, 30), (2, 2)])
def test_scenes_of_one_row_or_column_have_terrain(tmp_path, size):
    place = files.NORTH_UP @ Affine.translation(-3, -3)
    dem = plane(tmp_path / "dem.tif", grid=(50, 50, place), degrees=30)
    image = files.write(tmp_path / "s.tif", files.chances(*size), names=NAMES)
    found = mapped_slope(tmp_path, image, dem)
    np.testing.assert_allclose(found, np.full(size, 30), atol=1e-3)


def test_south_up_scenes_have_the_terrain_of_north_up_ones(tmp_path):
    dem = plane(
        tmp_path / "dem.tif",
        grid=(50, 50, Affine(17, 0, 499_900, 0, -17, 4_600_100)),
        degrees=30,
    )
    transform = files.NORTH_UP @ Affine(1, 0, 0, 0, -1, 20)
    image = files.write(
        tmp_path / "s.tif", files.chances(20, 30), names=NAMES, transform=transform
    )
    west = files.of_factors(
        lambda f: (np.abs(f[..., 0] - 270) < 1).astype(float), (files.ASPECT,)
    )
    found = mapped_slope(tmp_path, image, dem, west) / 90
    np.testing.assert_allclose(found, 1, atol=1e-6)


def test_eight_sides_turn_aspects_alike(tmp_path):
    dem = plane(
        tmp_path / "dem.tif",
        grid=(50, 50, Affine(17, 0, 499_900, 0, -17, 4_600_100)),
        degrees=30,
    )
    image = files.write(tmp_path / "s.tif", files.chances(20, 30), names=NAMES)
    west = files.of_factors(
        lambda f: (np.abs(f[..., 0] - 270) < 1).astype(float), (files.ASPECT,)
    )
    found = mapped_slope(tmp_path, image, dem, west, tta=True) / 90
    # Of eight sides the slope falls to the west on two.
    np.testing.assert_allclose(found, 2 / 8, atol=1e-6)


def test_eight_sides_bring_the_pixels_back(tmp_path):
    scene = files.chances(33, 20)
    image = files.write(tmp_path / "s.tif", scene, names=NAMES)
    outputs = Outputs(tmp_path / "map.tif", tmp_path / "chances.tif")
    options = MapOptions(window=16, overlap=4, tta=True, float32=True)
    map_scene([files.identity()], SceneFiles((image,)), outputs, options)
    with rasterio.open(outputs.probabilities) as dataset:
        np.testing.assert_allclose(dataset.read(1), scene[1], atol=1e-6)


def test_members_that_disagree_are_uncertain(tmp_path):
    scene = np.zeros((2, 20, 20), np.float32)
    scene[1, :10] = 1
    scene[0] = 1 - scene[1]
    image = files.write(tmp_path / "s.tif", scene, names=NAMES)
    opposite = Member(lambda inputs: inputs["image"][..., ::-1], files.metadata())
    outputs = Outputs(tmp_path / "m.tif", tmp_path / "c.tif", tmp_path / "u.tif")
    map_scene([files.identity(), opposite], SceneFiles((image,)), outputs)
    with rasterio.open(outputs.uncertainty) as dataset:
        assert (dataset.read() == 250).all()
    with rasterio.open(outputs.probabilities) as dataset:
        assert (dataset.read(1) == 125).all()


def test_a_dem_elsewhere_is_refused(tmp_path):
    image = files.write(tmp_path / "s.tif", files.chances(20, 30), names=NAMES)
    far = (20, 20, Affine(10, 0, 700_000, 0, -10, 4_600_000))
    dem = plane(tmp_path / "dem.tif", grid=far, degrees=5)
    with pytest.raises(DataError, match="must overlap the image"):
        mapped_slope(tmp_path, image, dem)
    assert not (tmp_path / "map.tif").exists()


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_any_name_that_the_file_system_takes_is_written_and_read(
    tmp_path, monkeypatch, suffix
):
    """`!` and `;` are marks of pyogrio: it writes such files to other places."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    folder = tmp_path / "new! (1); #2?"
    folder.mkdir()
    image = files.write(folder / "a!b;c.tif", files.chances(24, 24), names=NAMES)
    vector = folder / f"slides!;{suffix}"
    outputs = Outputs(folder / "m!p;.tif", vector=(vector,))
    options = MapOptions(window=16, overlap=4, min_area=0)
    made = map_scene([files.identity()], SceneFiles((image,)), outputs, options)
    assert {path.name for path in folder.iterdir()} == {
        "a!b;c.tif", "m!p;.tif", "m!p;.tif.aux.xml", "m!p;.qml", vector.name,
            "slides!;.qml",
    }  # fmt: skip
    assert not list(elsewhere.iterdir())
    with rasterio.open(outputs.out) as dataset:
        expected = dataset.read(1) == 1
    found = evaluate_map(outputs.out, vector)
    assert made.objects and expected.any()
    assert found.scores.matrix.tolist() == [
        [int((~expected).sum()), 0], [0, int(expected.sum())]
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["out", "probabilities", "uncertainty"])
def test_a_suffix_of_another_format_is_refused(tmp_path, name):
    image = files.write(tmp_path / "s.tif", files.chances(24, 24), names=NAMES)
    given = {"out": tmp_path / "m.tif"} | {name: tmp_path / "m.png"}
    with pytest.raises(DataError, match=r"`.*m\.png` must end in \.tif"):
        map_scene([files.identity()], SceneFiles((image,)), Outputs(**given))
    assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]

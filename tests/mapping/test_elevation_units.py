"""Elevations in feet, from the file to the map, its polygons and its page."""

import warnings

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.mapping import MapOptions, Outputs, SceneFiles, map_scene
from landslide_tf.raster.dem import DemFiles
from landslide_tf.report.map.layers import Overview, hillshade_layer
from tests.mapping import map_files as files
from tests.mapping import transparent

NAMES = ("stable", "slide")
OPTIONS = MapOptions(window=16, overlap=4, float32=True, threshold=0.2, min_area=0)
RISE = 0.5  # metres up per metre to the east
EXPECTED = np.degrees(np.arctan(RISE))
SURVEY_FOOT = 1200 / 3937


def image_of(folder, **options):
    return files.write(
        folder / "image.tif", files.chances(24, 24), names=NAMES, **options
    )


def dem_of(path, metres, units=None, **options):
    heights = np.tile(RISE * 10 * np.arange(24.0) / metres, (1, 24, 1))
    files.write(path, heights, **options)
    if units is not None:
        with rasterio.open(path, "r+") as dataset:
            dataset.units = (units,)
    return str(path)


def slope_90():
    return transparent.member(transparent.SLOPE, NAMES)


def mapped(folder, dem, member=slope_90, **given):
    outputs = Outputs(
        folder / "map.tif", folder / "chances.tif", vector=(folder / "map.gpkg",)
    )
    map_scene(
        [member()],
        SceneFiles((image_of(folder),), dem=DemFiles(dem, **given)),
        outputs,
        OPTIONS,
    )
    with rasterio.open(outputs.probabilities) as dataset:
        slope = dataset.read(1) * 90
    meta, _, _, columns = pyogrio.raw.read(outputs.vector[0], read_geometry=False)
    return slope, dict(zip(meta["fields"], columns, strict=True))


@pytest.mark.parametrize(
    ("units", "crs", "given"),
    [
        ("US survey foot", files.CRS, None),
        (None, "EPSG:32633+6360", None),
        (None, files.CRS, "us_survey_foot"),
    ],
)
def test_slopes_of_feet_are_those_of_the_ground(tmp_path, units, crs, given):
    dem = dem_of(tmp_path / "dem.tif", SURVEY_FOOT, units, crs=crs)
    slope, polygons = mapped(tmp_path, dem, unit=given)
    np.testing.assert_allclose(slope[1:-1, 1:-1], EXPECTED, atol=1e-3)
    assert polygons["slope_mean_deg"] == pytest.approx(EXPECTED, abs=0.1)
    assert polygons["elev_max_m"].max() == pytest.approx(RISE * 10 * 23, rel=1e-4)


@pytest.mark.parametrize("member", [slope_90, files.identity])
def test_a_unit_that_contradicts_the_file_ends_before_anything_is_written(
    tmp_path, member
):
    """Also where the elevations serve the polygons alone."""
    dem = dem_of(tmp_path / "dem.tif", SURVEY_FOOT, "US survey foot")
    with pytest.raises(DataError, match="US survey foot"):
        mapped(tmp_path, dem, member, unit="metre")
    assert {p.name for p in tmp_path.iterdir()} == {"dem.tif", "image.tif"}


def test_the_page_lights_the_same_relief_in_every_unit(tmp_path):
    overview = Overview.of(image_of(tmp_path), 24)
    plain = hillshade_layer(overview, DemFiles(dem_of(tmp_path / "m.tif", 1)))
    feet = dem_of(tmp_path / "ft.tif", SURVEY_FOOT, "US survey foot")
    assert hillshade_layer(overview, DemFiles(feet)) == plain
    tenths = dem_of(tmp_path / "tenths.tif", 0.1)
    with rasterio.open(tenths, "r+") as dataset:
        dataset.scales = (0.1,)
    assert hillshade_layer(overview, DemFiles(tenths)) == plain
    untagged = DemFiles(dem_of(tmp_path / "x.tif", SURVEY_FOOT))
    assert hillshade_layer(overview, untagged) != plain


MERCATOR = Affine(10, 0, 1_600_000, 0, -10, 6_000_000)


@pytest.mark.parametrize(
    ("crs", "transform", "warned"),
    [
        ("EPSG:3395", MERCATOR, True),
        ("ESRI:103881", Affine(10, 0, 0, 0, -10, 1_800_000), True),  # the Moon
        ("ESRI:103881", Affine(10, 0, 0, 0, -10, 10_000), False),
        ("EPSG:3857", MERCATOR, False),  # taken back to the ellipsoid
        (files.CRS, files.NORTH_UP, False),
    ],
)
def test_projections_whose_metres_are_no_metres_are_warned_of(
    tmp_path, crs, transform, warned
):
    place = {"crs": crs, "transform": transform}
    image = image_of(tmp_path, **place)
    dem = DemFiles(dem_of(tmp_path / "dem.tif", 1, **place))
    scene = SceneFiles((image,), dem=dem)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        map_scene([slope_90()], scene, Outputs(tmp_path / "map.tif"), OPTIONS)
    lines = [
        str(w.message) for w in said if "one metre on the ground" in str(w.message)
    ]
    assert len(lines) == warned

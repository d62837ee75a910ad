"""Units of elevations: what files say, what the user says, and contradictions."""

import html

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.terrain import Grid, cell_size, factors_on_grid

UTM = Affine(10, 0, 500_000, 0, -10, 4_600_000)
FOOT, SURVEY_FOOT = 0.3048, 1200 / 3937
RISE = 0.5  # metres up per metre to the east: 26.565 degrees


def plane(path, metres, *, crs="EPSG:32633", transform=UTM, units=None, cell=10.0):
    """Writes a plane whose slope is arctan(RISE), in units of `metres`."""
    heights = np.tile(RISE * cell * np.arange(12.0) / metres, (12, 1))
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=12, width=12, dtype="float64",
        crs=crs, transform=transform,
    ) as dataset:  # fmt: skip
        dataset.write(heights, 1)
        if units is not None:
            dataset.units = (units,)
    return path, Grid(crs, transform, 12, 12)


def slope_in(dem, grid, **options):
    found = factors_on_grid(dem, grid, factors=("slope", "dem"), **options)
    assert found.values[5, 5, 1] == pytest.approx(5 * RISE * 10, rel=1e-6)
    return found.values[5, 5, 0]


@pytest.mark.parametrize(
    ("metres", "units", "crs"),
    [
        (1, None, "EPSG:32633"),
        (1, "m", "EPSG:32633"),
        (1, "Meters", "EPSG:32633"),
        (0.01, "cm", "EPSG:32633"),
        (FOOT, "ft", "EPSG:32633"),
        (FOOT, "foot (international)", "EPSG:32633"),
        (SURVEY_FOOT, "US survey foot", "EPSG:32633"),
        (SURVEY_FOOT, "us-ft", "EPSG:32633"),
        (SURVEY_FOOT, None, "EPSG:32633+6360"),
        (SURVEY_FOOT, "ft", "EPSG:32633+6360"),
        (1, None, "EPSG:32633+5773"),
    ],
)
@pytest.mark.parametrize("derive", ["after", "before"])
def test_the_unit_of_the_file_is_used(tmp_path, metres, units, crs, derive):
    dem, grid = plane(tmp_path / "dem.tif", metres, crs=crs, units=units)
    slope = slope_in(dem, grid, derive=derive)
    assert slope == pytest.approx(np.degrees(np.arctan(RISE)), abs=1e-4)


def test_the_vertical_axis_speaks_where_the_band_is_silent(tmp_path):
    dem, grid = plane(tmp_path / "dem.tif", SURVEY_FOOT)
    wkt = rasterio.crs.CRS.from_user_input("EPSG:32633+6360").to_wkt()
    text = (
        '<VRTDataset rasterXSize="12" rasterYSize="12">'
        f"<SRS>{html.escape(wkt)}</SRS>"
        "<GeoTransform>500000, 10, 0, 4600000, 0, -10</GeoTransform>"
        '<VRTRasterBand dataType="Float64" band="1"><SimpleSource>'
        f"<SourceFilename>{dem}</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    silent = tmp_path / "silent.vrt"
    silent.write_text(text)
    with rasterio.open(silent) as dataset:
        assert dataset.units == (None,)
    expected = pytest.approx(np.degrees(np.arctan(RISE)), abs=1e-4)
    assert slope_in(silent, grid) == expected


@pytest.mark.parametrize(
    ("units", "crs", "given", "said"),
    [
        ("ft", "EPSG:32633", "metre", "ft"),
        ("m", "EPSG:32633", "foot", "`foot`"),
        (None, "EPSG:32633+6360", "metre", "US survey foot"),
        ("m", "EPSG:32633+6360", None, "US survey foot"),
        ("fathoms", "EPSG:32633", None, "`fathoms`"),
        (None, "EPSG:2263", None, "`--dem-unit`"),
    ],
)
def test_contradictions_are_refused(tmp_path, units, crs, given, said):
    dem, grid = plane(tmp_path / "dem.tif", 1, crs=crs, units=units)
    with pytest.raises(DataError, match=said):
        factors_on_grid(dem, grid, z_unit=given)


@pytest.mark.parametrize(
    ("units", "crs", "given", "metres"),
    [
        ("fathoms", "EPSG:32633", "foot", FOOT),
        ("m", "EPSG:32633+6360", "metre", 1),
        ("m", "EPSG:32633+6360", "us_survey_foot", SURVEY_FOOT),
        ("US survey foot", "EPSG:32633", "foot", SURVEY_FOOT),  # 2e-6 apart: no error
    ],
)
def test_the_user_decides_what_the_file_leaves_open(
    tmp_path, units, crs, given, metres
):
    dem, grid = plane(tmp_path / "dem.tif", metres, crs=crs, units=units)
    expected = pytest.approx(np.degrees(np.arctan(RISE)), abs=1e-4)
    assert slope_in(dem, grid, z_unit=given) == expected


def test_horizontal_feet_are_no_metres(tmp_path):
    transform = Affine(20, 0, 900_000, 0, -20, 200_000)
    dem, grid = plane(
        tmp_path / "dem.tif", SURVEY_FOOT, crs="EPSG:2263+6360", transform=transform,
        cell=20 * SURVEY_FOOT,
    )  # fmt: skip
    found = factors_on_grid(dem, grid, factors=("slope",))
    expected = pytest.approx(np.degrees(np.arctan(RISE)), abs=1e-4)
    assert found.values[5, 5, 0] == expected


@pytest.mark.parametrize("flat", ["EPSG:3857", "EPSG:4326", "EPSG:2263"])
def test_a_vertical_part_does_not_change_the_cells(flat):
    degrees = flat == "EPSG:4326"
    transform = Affine(1e-4, 0, 15, 0, -1e-4, 46) if degrees else UTM
    sizes = [
        np.ravel(cell_size(Grid(crs, transform, 4, 4)))
        for crs in (flat, f"{flat}+5773")
    ]
    assert np.array_equal(*sizes)
    assert Grid(flat, transform, 4, 4) == Grid(f"{flat}+5773", transform, 4, 4)

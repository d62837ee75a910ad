"""Files without a place, and files of a scene that show other ground."""

import shlex

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.control import GroundControlPoint

from landslide_tf.errors import DataError
from landslide_tf.mapping import MapOptions, Outputs, SceneFiles, map_scene
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import grid_of
from landslide_tf.raster.scene import make_scene
from landslide_tf.terrain import Grid, factors_on_grid
from tests.mapping import map_files as files
from tests.raster.test_scene import RGB, read

MOVED = Affine(10, 0, 700_000, 0, -10, 4_600_000)
SIDE = Affine(10, 0, 500_150, 0, -10, 4_600_000)


def points_only(path, values):
    """Writes a file that only three control points place."""
    at = [(0, 0), (0, 24), (24, 0)]
    points = [
        GroundControlPoint(row, column, 5e5 + 10 * column, 4.6e6 - 10 * row)
        for row, column in at
    ]
    files.write(path, values, crs=None, transform=Affine.identity())
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = points, rasterio.CRS.from_string(files.CRS)
    return str(path)


def unplaced(path, values):
    """Writes a file with a system and no transform."""
    return files.write(path, values, transform=Affine.identity())


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("write", [points_only, unplaced])
def test_only_a_warp_can_place_them(tmp_path, write):
    name = tmp_path / "my scene.tif"
    image = write(name, files.chances(24, 24))
    advice = f"gdalwarp {shlex.quote(str(name))} 'my scene_warped.tif'"
    numbers = {"stable": 1, "slide": 2}
    for allowed in (False, True):
        scene = SceneFiles((image,), bands=numbers, allow_no_crs=allowed)
        out = Outputs(tmp_path / "out.tif")
        with pytest.raises(DataError) as refused:
            map_scene([files.identity()], scene, out, MapOptions(window=16, overlap=4))
        assert advice in str(refused.value) and "\n" not in str(refused.value)
    assert [p.name for p in tmp_path.iterdir()] == [name.name]
    dem = write(tmp_path / "dem.tif", np.ones((1, 24, 24), np.float32))
    with pytest.raises(DataError, match="gdalwarp"):
        grid_of(dem, "DEM")
    with pytest.raises(DataError, match="gdalwarp"):
        factors_on_grid(dem, Grid(files.CRS, files.NORTH_UP, 24, 24))
    with pytest.raises(DataError, match="gdalwarp"):
        plain = files.write(tmp_path / "plain.tif", files.chances(24, 24))
        make_scene(
            "s", plain, bands=["a", "b"], factors=["slope"], choice={"a": 1, "b": 2},
            dem=DemFiles(dem),
        )  # fmt: skip


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pixels_without_any_place_are_still_taken(tmp_path):
    place = {"crs": None, "transform": Affine.identity()}
    image = files.write(
        tmp_path / "image.tif",
        files.chances(24, 24),
        names=("stable", "slide"),
        **place,
    )
    scene = SceneFiles((image,), allow_no_crs=True)
    options = MapOptions(window=16, overlap=4)
    made = map_scene([files.identity()], scene, Outputs(tmp_path / "out.tif"), options)
    assert made.valid == 24 * 24


def one_band_each(folder, places):
    """Writes red, green and blue as files of their own."""
    values = np.arange(1, 577, dtype=np.uint16).reshape(1, 24, 24)
    return [
        files.write(folder / f"{name}.tif", values + k, **place)
        for k, (name, place) in enumerate(zip(RGB, places, strict=True))
    ]


def scene_of(paths):
    return make_scene("s", paths, bands=RGB, factors=(), anywhere=True)


HERE = {"transform": files.NORTH_UP}
NOWHERE = {"crs": None, "transform": Affine.identity()}


@pytest.mark.parametrize(
    "places",
    [
        (HERE, HERE, {"transform": MOVED}),
        (HERE, {"transform": MOVED}, HERE),
        (HERE, HERE, {"crs": "EPSG:32634"}),
        # Each shares ground with the first, but no ground is in all.
        (
            {"transform": Affine(10, 0, 500_100, 0, -10, 4_600_000)},
            {"transform": Affine(10, 0, 499_900, 0, -10, 4_600_000)},
            {"transform": Affine(10, 0, 500_300, 0, -10, 4_600_000)},
        ),
        (HERE, HERE, {"crs": None, "transform": MOVED}),
        (NOWHERE, NOWHERE, HERE),
        (
            {"transform": files.NORTH_UP @ Affine.rotation(20)},
            {"transform": files.NORTH_UP @ Affine.rotation(20)},
            HERE,
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_bands_of_other_ground_are_refused(tmp_path, places):
    with pytest.raises(DataError, match=r"image `.*(red|green|blue).tif` must"):
        scene_of(one_band_each(tmp_path, places))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_bands_that_share_ground_are_read_there(tmp_path):
    """One file begins 15 cells further east; one has no place of its own."""
    paths = one_band_each(tmp_path, (HERE, NOWHERE, {"transform": SIDE}))
    pixels = read(scene_of(paths))
    assert not pixels.valid[:, :15].any() and pixels.valid[:, 15:].all()
    values = np.arange(1, 577).reshape(24, 24)
    assert np.array_equal(pixels.image[:, 15:, 0], values[:, 15:])
    assert np.array_equal(pixels.image[:, 15:, 1], values[:, 15:] + 1)
    assert np.array_equal(pixels.image[:, 15:, 2], values[:, :9] + 2)


@pytest.mark.parametrize("sentinel", [-32768, -9999])
def test_a_sentinel_without_a_tag_is_named(tmp_path, sentinel):
    """The printed command mends the file."""
    values = np.arange(600, dtype=np.int16).reshape(1, 20, 30)
    plain = {"bands": ["a"], "factors": ["slope"], "choice": {"a": 1}}
    clean = files.write(tmp_path / "clean.tif", values)
    values[:, :3, :4] = sentinel
    holed = files.write(tmp_path / "holed.tif", values)
    advice = f"`rio edit-info --nodata={sentinel} {holed}`"
    for image, dem, what in ((clean, holed, "DEM"), (holed, clean, "image")):
        with pytest.raises(DataError) as refused:
            make_scene("s", image, dem=DemFiles(dem), **plain)
        assert advice in str(refused.value) and str(refused.value).startswith(what)
        assert (f"`--nodata {sentinel}`" in str(refused.value)) == (what == "image")
    said = read(make_scene("s", holed, dem=DemFiles(clean), nodata=sentinel, **plain))
    rasters = {"moisture": holed}
    with pytest.raises(DataError, match=r"moisture `.*holed\.tif` must tag"):
        make_scene("s", clean, bands=["a"], choice={"a": 1}, factors=["moisture"],
                   rasters=rasters)  # fmt: skip
    with rasterio.open(holed, "r+") as dataset:
        dataset.nodata = sentinel
    known = ~(values[0] == sentinel)
    assert np.array_equal(
        read(make_scene("s", holed, dem=DemFiles(clean), **plain)).valid, known
    )
    assert np.array_equal(said.valid, known)
    pixels = read(make_scene("s", clean, dem=DemFiles(holed), **plain))
    assert not pixels.valid[:4, :5].any() and pixels.valid[4:, 5:].all()


def test_depths_of_the_sea_are_no_sentinels(tmp_path):
    depths = np.linspace(-9999, -8000, 600, dtype=np.float32).reshape(1, 20, 30)
    dem = files.write(tmp_path / "dem.tif", depths)
    plain = {"bands": ["a"], "factors": ["slope"], "choice": {"a": 1}}
    assert read(make_scene("s", dem, dem=DemFiles(dem), **plain)).valid.all()

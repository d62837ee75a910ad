"""Rasters and outlines where longitude 180 is: as anywhere else."""

import json

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from rasterio import Affine

from landslide_tf.datasets.landslide_scenes.tiles import Tile
from landslide_tf.datasets.landslide_scenes.zones import zones_of
from landslide_tf.mapping import MapOptions, Outputs, SceneFiles, map_scene
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window
from landslide_tf.raster.ground import check_overlap
from landslide_tf.raster.scene import make_scene
from landslide_tf.report.map.layers import Overview, hillshade_layer
from landslide_tf.report.map.objects import read_objects
from landslide_tf.terrain import Grid
from tests.mapping import map_files as files

DEGREES = "EPSG:4326"
CELL = 0.001
EAST = Grid(DEGREES, Affine(CELL, 0, 179.98, 0, -CELL, -16.7), 30, 40)
WEST = Grid(DEGREES, Affine(CELL, 0, -180.02, 0, -CELL, -16.7), 30, 40)
FIJI = Grid("EPSG:32760", Affine(100, 0, 817_900, 0, -100, 8_151_000), 30, 40)
SCENES = {"east": EAST, "west": WEST, "UTM": FIJI}
OPTIONS = MapOptions(window=16, overlap=4)


def centres(grid, crs):
    columns, rows = np.meshgrid(
        np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5
    )
    move = pyproj.Transformer.from_crs(grid.crs.to_wkt(), crs, always_xy=True)
    return move.transform(*(grid.transform @ (columns, rows)))


def write(path, values, grid, **options):
    return files.write(
        path, values[None], crs=grid.crs.to_wkt(), transform=grid.transform, **options
    )


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("west", [178.0, -181.0, -180.0, 0.0])
def test_a_raster_in_degrees_is_read_on_both_sides(tmp_path, scene, west):
    """The last two go round the globe, with a seam in the scene or away from it."""
    width = 3600 if west in (0, -180) else 300
    cell = 360 / width if width == 3600 else 0.01
    own = Grid(DEGREES, Affine(cell, 0, west, 0, -cell, -16), 100, width)
    values = np.random.default_rng(0).integers(0, 200, own.shape).astype(np.uint8)
    path, grid = write(tmp_path / "r.tif", values, own), SCENES[scene]
    check_overlap(path, "labels", grid)
    raster = AlignedRaster(path, "labels", grid, kernel="nearest", values=range(256))
    found, known = raster.read(Window(0, 0, *grid.shape))
    raster.close()
    x, y = centres(grid, DEGREES)
    columns = np.floor(((x - west) % 360) / cell).astype(int)
    assert known.all()
    assert (found[0] == values[((-16 - y) / cell).astype(int), columns]).all()


def test_a_projected_raster_is_read_from_both_sides(tmp_path):
    own = Grid(FIJI.crs, Affine(500, 0, 790_000, 0, -500, 8_170_000), 120, 120)
    values = np.random.default_rng(0).integers(0, 200, own.shape).astype(np.uint8)
    path = write(tmp_path / "r.tif", values, own)
    for grid in (EAST, WEST):
        check_overlap(path, "labels", grid)
        raster = AlignedRaster(path, "labels", grid, kernel="nearest")
        found, known = raster.read(Window(0, 0, *grid.shape))
        raster.close()
        x, y = centres(grid, FIJI.crs.to_wkt())
        columns, rows = np.floor(~own.transform @ (x, y)).astype(int)
        assert known.all() and (found[0] == values[rows, columns]).all()


def heights(longitude, latitude):
    return (400 * longitude + 100 * np.sin(60 * latitude)).astype(np.float32)


def dem_of(folder, west, number=1, width=400, cell=0.01):
    """Tiles of elevations that depend on the longitude from 180."""
    paths = []
    for k in range(number):
        left = (west + k * width * cell + 180) % 360 - 180 if number > 1 else west
        own = Grid(DEGREES, Affine(cell, 0, left, 0, -cell, -16), 100, width)
        columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(100) + 0.5)
        x, y = own.transform @ (columns, rows)
        values = heights(x % 360, y)
        paths.append(write(folder / f"dem{west}{k}.tif", values, own))
    return DemFiles(*paths)


@pytest.mark.parametrize("scene", ["east", "west", "UTM"])
def test_slopes_are_those_of_elevations_that_do_not_end(tmp_path, scene):
    grid = SCENES[scene]
    x, y = centres(grid, DEGREES)
    found = []
    for dem in (
        dem_of(tmp_path, 178.0),
        dem_of(tmp_path, -182.0),
        dem_of(tmp_path, 176.0, number=2),
    ):
        opened = AlignedDem(dem, grid, ("dem", "slope", "aspect"))
        values, known = opened.read(Window(0, 0, *grid.shape))
        opened.close()
        assert known.all()
        assert np.abs(values[..., 0] - heights(x % 360, y)).max() < 3
        found.append(values)
        overview = Overview(grid, grid, (slice(None), slice(None)))
        assert hillshade_layer(overview, dem) is not None
    np.testing.assert_allclose(found[1], found[0], atol=2e-3)
    np.testing.assert_allclose(found[2], found[0], atol=2e-3)


@pytest.mark.parametrize("scene", ["east", "west", "UTM"])
@pytest.mark.parametrize("west", [0.0, -180.0])
def test_elevations_around_the_globe_have_no_seam(tmp_path, scene, west):
    grid = SCENES[scene]
    own = Grid(DEGREES, Affine(0.1, 0, west, 0, -0.1, -16), 20, 3600)
    level = np.full(own.shape, 812, np.float32)
    opened = AlignedDem(
        DemFiles(write(tmp_path / "d.tif", level, own)), grid, ("dem", "slope")
    )
    values, known = opened.read(Window(0, 0, *grid.shape))
    opened.close()
    assert known.all()
    assert (values == [812, 0]).all()


def test_outlines_in_geojson_are_cut_in_two(tmp_path):
    slide = np.zeros(FIJI.shape, np.float32)
    slide[5:15, 10:30] = 1
    slide[20:25, 2:8] = 1
    image = files.write(
        tmp_path / "i.tif", np.stack([1 - slide, slide]), crs=FIJI.crs.to_wkt(),
        transform=FIJI.transform, names=("stable", "slide"),
    )  # fmt: skip
    vector = tmp_path / "m.geojson", tmp_path / "m.gpkg"
    outputs = Outputs(tmp_path / "map.tif", vector=vector)
    map_scene([files.identity()], SceneFiles((image,)), outputs, OPTIONS)
    content = json.loads(vector[0].read_text())
    found = [shapely.geometry.shape(f["geometry"]) for f in content["features"]]
    sides = [sorted(part.bounds for part in shape.geoms) for shape in found]
    assert [len(bounds) for bounds in sides] == [2, 1]
    (left, right), (alone,) = sides
    assert left[0] == -180 and left[2] < -179.9 and right[2] == 180
    assert right[0] > 179.9 and 179.9 < alone[0] < alone[2] <= 180
    meta, _, wkb, _ = pyogrio.raw.read(vector[1])
    back = pyproj.Transformer.from_crs(DEGREES, meta["crs"], always_xy=True)
    moved = shapely.transform(
        np.array(found, object), lambda xy: np.stack(back.transform(*xy.T), axis=1)
    )
    area = [shapely.union_all(shapely.get_parts(s).tolist()).area for s in moved]
    assert area == pytest.approx(shapely.area(shapely.from_wkb(wkb)), rel=1e-4)
    shown = read_objects(vector[0], FIJI).objects
    assert [tuple(map(round, o.box)) for o in shown] == [
        (10, 5, 30, 15),
        (2, 20, 8, 25),
    ]


def test_scenes_on_both_turns_are_of_one_ground(tmp_path):
    """Else the same ground could be in training and in test."""
    scenes = {}
    for name, grid in (
        ("east", EAST),
        ("west", WEST),
        ("far", EAST.window(0, 99, 9, 9)),
    ):
        colours = np.zeros((3, *grid.shape), np.uint8)
        path = files.write(
            tmp_path / f"{name}.tif", colours, crs=DEGREES, transform=grid.transform,
            names=("red", "green", "blue"),
        )  # fmt: skip
        scenes[name] = make_scene(name, path, bands=["red"], factors=())
    rows = range(0, 24, 4)
    tiles = [
        Tile(n, row, 0, 4, counts=(1, 1)) for n in ("east", "west") for row in rows
    ]
    tiles += [Tile("far", row, 0, 2, counts=(1, 1)) for row in range(0, 9, 2)]
    zones = zones_of(scenes, tiles, 1, gap=2)
    assert zones["east"] is zones["west"] is not zones["far"]
    for split, zone in zones["east"].items():
        held = [
            [zone.holds(scenes[n], tile) for tile in tiles if tile.scene == n]
            for n in ("east", "west")
        ]
        assert held[0] == held[1] and any(held[0]), split


@pytest.mark.parametrize("zone", [1, 17, 33, 60])
def test_a_raster_of_the_world_holds_every_scene(tmp_path, zone):
    world = Grid(DEGREES, Affine(2, 0, -180, 0, -2, 90), 90, 180)
    path = write(tmp_path / "w.tif", np.zeros(world.shape, np.uint8), world)
    for easting in (200_000, 500_000, 800_000):
        transform = Affine(10, 0, easting, 0, -10, 7_000_000)
        grid = Grid(f"EPSG:{32600 + zone}", transform, 20, 20)
        check_overlap(path, "labels", grid)
        raster = AlignedRaster(path, "labels", grid, kernel="nearest")
        assert raster.read(Window(0, 0, 20, 20))[1].all()
        raster.close()

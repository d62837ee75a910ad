"""What polygons of other systems have on a grid, pixel by pixel."""

import json

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.raster.grid import Window
from landslide_tf.raster.reprojection import onto_grid
from landslide_tf.raster.vector import Burner, read_shapes
from landslide_tf.terrain import Grid
from tests.mapping import map_files as files

DEGREES = "EPSG:4326"
SCENE = Grid(files.CRS, files.NORTH_UP, 40, 50)
TILE = Grid(files.CRS, Affine(500, 0, 450_000, 0, -500, 6_500_000), 200, 200)
FIJI = Grid("EPSG:32760", Affine(100, 0, 815_000, 0, -100, 8_150_000), 60, 80)


def in_degrees(west, north=-16.7, cell=0.001, crs=DEGREES):
    return Grid(crs, Affine(cell, 0, west, 0, -cell, north), 40, 100)


def written(path, *geometries, crs=DEGREES):
    """Writes geometries as they are; GeoJSON's own writer would wrap longitudes."""
    kind = geometries[0].geom_type
    pyogrio.raw.write(
        path, geometry=shapely.to_wkb(np.array(geometries, object)), field_data=[],
        fields=np.array([], object), geometry_type=kind, crs=crs, driver="GPKG",
        layer="p", promote_to_multi=False,
    )  # fmt: skip
    return path


def burnt(path, grid, **options):
    shapes = read_shapes(path, grid, **options)
    ones = np.ones(len(shapes), np.uint8)
    burner = Burner(grid, shapes.geometries, ones, outside=0)
    return burner.read(Window(0, 0, *grid.shape)).astype(bool)


def covered(grid, geometry, crs=DEGREES):
    """Which cells have their centre in a geometry: the centres move, not the shape."""
    columns, rows = np.meshgrid(
        np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5
    )
    x, y = grid.transform @ (columns, rows)
    move = pyproj.Transformer.from_crs(grid.crs.to_wkt(), crs, always_xy=True)
    x, y = move.transform(x, y)
    found = shapely.intersects_xy(geometry, x, y)
    if pyproj.CRS(crs).is_geographic:
        for turn in (-360, 360):
            found |= shapely.intersects_xy(geometry, x + turn, y)
    return found


WORLD = shapely.box(-180, -90, 180, 90)
AROUND = {
    "world": WORLD,
    "northern half": shapely.box(-180, 0, 180, 90),
    "hemisphere": shapely.box(-75, -89, 105, 89),
    "continent": shapely.Polygon([(-30, -40), (60, -40), (100, 75), (0, 80)]),
    "edge in the scene": shapely.Polygon([(15.0021, -80), (150, -80), (15.0031, 80)]),
    "with a hole": shapely.difference(WORLD, shapely.box(15.001, 41.550, 15.003, 42)),
    "not simple": shapely.Polygon([(-170, -85), (170, 85), (-170, 85), (170, -85)]),
}


@pytest.mark.parametrize("name", AROUND)
def test_polygons_around_a_scene_cover_what_they_cover(tmp_path, name):
    path = written(tmp_path / "p.gpkg", AROUND[name])
    expected = covered(SCENE, shapely.make_valid(AROUND[name]))
    assert expected.any()
    assert (burnt(path, SCENE) == expected).all()


def test_what_lies_elsewhere_is_counted(tmp_path):
    places = [shapely.box(15.001, 41.549, 15.003, 41.551), shapely.box(-80, 0, -79, 1)]
    path = written(tmp_path / "p.gpkg", *places, shapely.box(100, 80, 101, 81))
    shapes = read_shapes(path, SCENE)
    assert "3 polygons (2 of them beyond the image)" in shapes.taken
    assert len(shapes) == 3
    assert (burnt(path, SCENE) == covered(SCENE, places[0])).all()
    with pytest.raises(DataError, match="must overlap the image, received EPSG:4326"):
        read_shapes(written(tmp_path / "q.gpkg", places[1]), SCENE)


def test_points_elsewhere_have_no_place(tmp_path):
    points = [shapely.Point(15.002, 41.551), shapely.Point(-75, 0), shapely.Point(5, 5)]
    path = written(tmp_path / "p.gpkg", *points)
    found = read_shapes(path, SCENE, kind="Point").geometries
    x, y = pyproj.Transformer.from_crs(DEGREES, files.CRS, always_xy=True).transform(
        15.002, 41.551
    )
    assert shapely.get_coordinates(found) == pytest.approx(np.array([[x, y]]))
    assert shapely.is_empty(found).tolist() == [False, True, True]


def test_straight_edges_in_degrees_bend_on_a_large_scene(tmp_path):
    box = shapely.box(14.2, 58.0, 15.8, 58.4)
    found = burnt(written(tmp_path / "p.gpkg", box), TILE)
    expected = covered(TILE, box)
    # A parallel lies up to 2.6 cells off its chord: 300 cells of the two long sides.
    assert (found != expected).sum() <= 6


def test_polygons_inside_are_not_touched():
    inside = np.array([shapely.box(14.9, 58.1, 14.95, 58.12)], object)
    found = onto_grid(inside, pyproj.CRS(DEGREES), TILE).geometries[0]
    move = pyproj.Transformer.from_crs(DEGREES, files.CRS, always_xy=True)
    corners = np.stack(move.transform(*inside[0].exterior.coords.xy), axis=1)
    assert len(found.exterior.coords) == 5
    assert np.array(found.exterior.coords) == pytest.approx(corners, abs=1e-6)


LEFT = shapely.box(179.97, -16.73, 180, -16.71)
RIGHT = shapely.box(-180, -16.73, -179.98, -16.71)
SLIDE = shapely.box(179.97, -16.73, 180.02, -16.71)
WRITTEN = {
    "cut in two": [shapely.MultiPolygon([LEFT, RIGHT])],
    "two polygons": [LEFT, RIGHT],
    "beyond 180": [SLIDE],
    "before -180": [shapely.box(-180.03, -16.73, -179.98, -16.71)],
    "with a jump": [
        shapely.Polygon(
            [(179.97, -16.73), (-179.98, -16.73), (-179.98, -16.71), (179.97, -16.71)]
        )
    ],
}
ACROSS = {
    "beyond 180": in_degrees(179.95),
    "before -180": in_degrees(-180.05),
    "NAD83": in_degrees(179.95, crs="EPSG:4269"),
    "UTM": FIJI,
}


@pytest.mark.parametrize("scene", ACROSS)
@pytest.mark.parametrize("name", WRITTEN)
def test_the_antimeridian_has_two_sides(tmp_path, name, scene):
    grid, places = ACROSS[scene], WRITTEN[name]
    expected = covered(grid, SLIDE)
    kind = "multi" if len(places) == 1 and places[0].geom_type != "Polygon" else ""
    path = written(tmp_path / f"{kind}p.gpkg", *places)
    assert 900 < expected.sum() < 1100 or grid is FIJI
    assert (burnt(path, grid) == expected).all()


@pytest.mark.parametrize("west", [179.95, -180.05, -180.0])
def test_a_projected_polygon_across_the_antimeridian(tmp_path, west):
    box = shapely.box(817_000, 8_147_000, 822_000, 8_149_000)
    path = written(tmp_path / "p.gpkg", box, crs=FIJI.crs.to_wkt())
    grid = in_degrees(west, north=-16.72)
    expected = covered(grid, box, crs=FIJI.crs.to_wkt())
    assert expected.any() and not expected.all()
    assert (burnt(path, grid) == expected).all()


def test_a_map_of_the_world_takes_projected_polygons_on_both_edges(tmp_path):
    grid = Grid(DEGREES, Affine(0.05, 0, -180, 0, -0.05, -16), 40, 7200)
    box = shapely.box(800_000, 8_100_000, 860_000, 8_150_000)
    path = written(tmp_path / "p.gpkg", box, crs=FIJI.crs.to_wkt())
    expected = covered(grid, box, crs=FIJI.crs.to_wkt())
    assert expected[:, 0].any() and expected[:, -1].any()
    assert (burnt(path, grid) == expected).all()


POLAR = Grid("EPSG:3413", Affine(10_000, 0, -200_000, 0, -10_000, 150_000), 40, 40)


def test_a_scene_around_the_pole(tmp_path):
    cap = shapely.box(-180, 89, 180, 90)
    expected = covered(POLAR, cap)
    assert 0.2 < expected.mean() < 0.3  # a circle of 111 km
    assert (burnt(written(tmp_path / "p.gpkg", cap), POLAR) == expected).all()


def test_a_polygon_around_the_pole(tmp_path):
    grid = Grid(DEGREES, Affine(2, 0, -180, 0, -0.1, 90), 40, 180)
    ring = shapely.difference(
        shapely.Point(0, 0).buffer(300_000), shapely.Point(0, 0).buffer(100_000)
    )
    path = written(tmp_path / "p.gpkg", ring, crs="EPSG:3413")
    expected = covered(grid, ring, crs="EPSG:3413")
    assert expected.any(axis=0).all()
    assert (burnt(path, grid) == expected).all()


def test_what_a_projection_has_no_place_for_is_counted(tmp_path):
    """The globe from afar: nothing is seen of its other side, nor at the corners."""
    globe = "+proj=ortho +lat_0=0 +lon_0=0 +a=6371000 +b=6371000 +units=m"
    grid = Grid(globe, Affine(200_000, 0, -8e6, 0, -200_000, 8e6), 80, 80)
    seen, hidden = shapely.box(10, 10, 40, 40), shapely.box(150, 0, 170, 20)
    path = written(tmp_path / "p.gpkg", seen, hidden)
    shapes = read_shapes(path, grid)
    assert "(1 of them beyond the image, 1 out of reach of its proj" in shapes.taken
    columns, rows = np.meshgrid(np.arange(80) + 0.5, np.arange(80) + 0.5)
    x, y = grid.transform @ (columns, rows)
    latitude = np.degrees(np.arcsin(np.clip(y / 6_371_000, -1, 1)))
    across = x / (6_371_000 * np.cos(np.radians(latitude)))
    longitude = np.degrees(np.arcsin(np.clip(across, -1, 1)))
    expected = (latitude > 10) & (latitude < 40) & (longitude > 10) & (longitude < 40)
    expected &= np.hypot(x, y) < 6_371_000
    # Without a region to cut to, edges are moved corner by corner.
    assert (burnt(path, grid) != expected).mean() < 0.01
    with pytest.raises(
        DataError, match=r"beside .*, 1 out of reach of its projection;"
    ):
        read_shapes(written(tmp_path / "q.gpkg", hidden), grid)


def test_systems_that_do_not_convert_are_named(tmp_path):
    local = Grid('LOCAL_CS["site grid",UNIT["metre",1]]', files.NORTH_UP, 40, 50)
    path = tmp_path / "p.geojson"
    path.write_text(
        json.dumps(
            {
                "type": "Feature",
                "properties": {},
                "geometry": shapely.geometry.mapping(shapely.box(15, 41, 16, 42)),
            }
        )
    )
    with pytest.raises(DataError, match=r"`.*p.geojson`: .* `WGS 84` and `site grid`"):
        read_shapes(path, local)

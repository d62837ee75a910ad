"""Maps of places that no globe knows: measured in their own unit, or refused early."""

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from rasterio import Affine
from rasterio.crs import CRS

from landslide_tf.errors import DataError
from landslide_tf.mapping import (
    MapOptions,
    Member,
    Outputs,
    SceneFiles,
    evaluate_map,
    map_changes,
    map_scene,
)
from landslide_tf.prepare import Inputs, Options, prepare
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.masks import MaskFiles
from landslide_tf.raster.systems import ground_system, same_system
from landslide_tf.report import check_map_page
from landslide_tf.report.map.objects import read_objects
from landslide_tf.terrain import Grid
from tests.mapping import map_files as files

METRE = 'LOCAL_CS["Quarry",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
FOOT = METRE.replace('"metre",1', '"US survey foot",0.304800609601219')
MARS = (
    'PROJCS["Mars equirectangular",GEOGCS["Mars",DATUM["Mars",SPHEROID["Mars",3396190,'
    '0]],PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]],PROJECTION['
    '"Equirectangular"],PARAMETER["standard_parallel_1",0],PARAMETER["central_meridian"'
    ',0],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]'
)
SITE = Affine(10, 0, 1000, 0, -10, 5000)
OPTIONS = MapOptions(window=16, overlap=4)
OBJECT = slice(4, 12), slice(6, 18)  # 96 pixels
NAMES = ("stable", "slide")


def never(inputs):
    raise AssertionError("predicted before the files were checked")


UNUSED = Member(never, files.metadata())


def image(path, crs=METRE, transform=SITE):
    slide = np.zeros((24, 24), np.float32)
    slide[OBJECT] = 1
    values = np.stack([1 - slide, slide])
    return files.write(path, values, crs=crs, transform=transform, names=NAMES)


def classes(path, crs=METRE, transform=SITE, side=24):
    values = np.zeros((1, side, side), np.uint8)
    values[0][OBJECT] = 1
    return files.write(path, values, crs=crs, transform=transform, nodata=255)


def dem(path, crs=METRE, transform=SITE):
    values = np.zeros((1, 24, 24), np.float32)
    return DemFiles(files.write(path, values, crs=crs, transform=transform))


def mapped(folder, member, name, crs, transform=SITE, **scene):
    outputs = Outputs(folder / "map.tif", vector=(folder / name,))
    given = SceneFiles((image(folder / "image.tif", crs, transform),), **scene)
    map_scene([member], given, outputs, OPTIONS)
    return outputs.vector[0]


@pytest.mark.parametrize(
    ("crs", "unit"), [(METRE, 1), (FOOT, 1200 / 3937)], ids=["metre", "foot"]
)
def test_areas_are_those_of_the_plane_in_its_unit(tmp_path, crs, unit):
    path = mapped(
        tmp_path, files.identity(), "map.gpkg", crs, dem=dem(tmp_path / "d.tif", crs)
    )
    meta, _, wkb, columns = pyogrio.raw.read(path)
    table = dict(zip(meta["fields"], columns, strict=True))
    assert table["area_m2"] == pytest.approx([96 * 100 * unit**2])
    assert table["length_m"] == pytest.approx([120 * unit])
    assert table["perimeter_m"] == pytest.approx([400 * unit])
    box = shapely.box(1060, 4880, 1180, 4960)
    assert shapely.equals(shapely.from_wkb(wkb[0]), box)
    assert same_system(pyproj.CRS(meta["crs"]), pyproj.CRS(crs))
    (shown,) = read_objects(path, Grid(crs, SITE, 24, 24)).objects
    assert shown.box == (6, 4, 18, 12)


@pytest.mark.parametrize("crs", [METRE, MARS, None], ids=["local", "Mars", "none"])
def test_geojson_of_what_is_not_on_earth_is_refused_before_predicting(tmp_path, crs):
    scene = {} if crs else {"allow_no_crs": True}
    with pytest.raises(DataError, match=r"GeoJSON is in longitude and .*`\.gpkg`"):
        mapped(tmp_path, UNUSED, "map.geojson", crs, **scene)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.tif"]


def test_a_place_out_of_its_projection_is_refused_before_predicting(tmp_path):
    far = Affine(10, 0, 5e9, 0, -10, 4_600_000)
    with pytest.raises(DataError, match="out of reach of `WGS 84 / UTM zone 33N`"):
        mapped(tmp_path, UNUSED, "map.gpkg", files.CRS, far)
    heights = dem(tmp_path / "d.tif", files.CRS, far)
    with pytest.raises(DataError, match="image must have a place on the ground"):
        mapped(tmp_path, UNUSED, "map.gpkg", files.CRS, far, dem=heights)


def test_metres_are_no_degrees(tmp_path):
    """Every command that reads a raster says so."""
    metres = {"crs": "EPSG:4326", "transform": files.NORTH_UP}
    wrong = classes(tmp_path / "wrong.tif", **metres)
    right = classes(tmp_path / "right.tif", crs=files.CRS, transform=files.NORTH_UP)
    scene = image(tmp_path / "scene.tif", **metres)
    heights = dem(tmp_path / "heights.tif", **metres)
    files.write(
        tmp_path / "rgb.tif", np.zeros((3, 24, 24), np.uint8),
        names=("red", "green", "blue"), **metres,
    )  # fmt: skip
    out = tmp_path / "out.tif"
    own = (image(tmp_path / "own.tif"),)
    vector = (tmp_path / "out.gpkg",)
    for name, call in (
        ("scene", lambda: map_scene([UNUSED], SceneFiles((scene,)), Outputs(out))),
        (
            "heights",
            lambda: map_scene(
                [UNUSED], SceneFiles(own, dem=heights), Outputs(out, vector=vector)
            ),
        ),
        ("wrong", lambda: evaluate_map(right, wrong, landslide_class=1)),
        ("wrong", lambda: evaluate_map(wrong, right, landslide_class=1)),
        ("wrong", lambda: map_changes([right, wrong], out, landslide_class=1)),
        ("heights", lambda: check_map_page(right, dem=heights)),
        ("rgb", lambda: prepare([Inputs(tmp_path / "rgb.tif", right)], out)),
    ):
        with pytest.raises(DataError, match=f"{name}.tif.*within 360 degrees .*-a_srs"):
            call()
    assert not out.exists()


def test_degrees_may_end_at_the_poles_and_run_past_the_antimeridian(tmp_path):
    for transform in (
        Affine(15, 0, -180, 0, -7.5, 90),
        Affine(15, 0, 0, 0, -7.5, 90),
        Affine(0.1, 0, 179, 0, -0.1, 60),
        Affine(15, 0, -187.5, 0, -8, 94),  # centres on the poles
    ):
        path = image(tmp_path / "image.tif", "EPSG:4326", transform)
        outputs = Outputs(tmp_path / "map.tif")
        assert map_scene([files.identity()], SceneFiles((path,)), outputs, OPTIONS)


def test_a_page_shows_only_what_can_be_brought_onto_its_map(tmp_path):
    site, globe = classes(tmp_path / "site.tif"), dem(tmp_path / "d.tif", files.CRS)
    with pytest.raises(DataError, match=r"DEM `.*d.tif`: .* `Quarry`"):
        check_map_page(site, dem=globe)
    with pytest.raises(DataError, match=r"image `.*d.tif`: .* `Quarry`"):
        check_map_page(site, globe.paths)
    own = dem(tmp_path / "own.tif")
    check_map_page(site, own.paths, dem=own)


def test_a_page_is_refused_files_of_other_ground_and_cells_that_look_like_values(
    tmp_path,
):
    place = {"crs": files.CRS, "transform": files.NORTH_UP}
    site = classes(tmp_path / "site.tif", **place)
    far = place | {"transform": files.NORTH_UP @ Affine.translation(24, 0)}
    other = image(tmp_path / "far.tif", **far)
    with pytest.raises(DataError, match=r"image `.*far.tif` must overlap the map"):
        check_map_page(site, [other])
    heights = np.arange(576, dtype=np.float32).reshape(1, 24, 24)
    beside = DemFiles(files.write(tmp_path / "beside.tif", heights, **far))
    with pytest.raises(DataError, match=r"DEM `.*beside.tif` must overlap the map"):
        check_map_page(site, dem=beside)
    heights[0, :3] = -9999
    holes = files.write(tmp_path / "holes.tif", heights, **place)
    with pytest.raises(DataError, match=r"image `.*holes.tif`.*`--nodata -9999`"):
        check_map_page(site, [holes])
    with pytest.raises(DataError, match=r"DEM `.*holes.tif`.*`--dem-nodata -9999`"):
        check_map_page(site, dem=DemFiles(holes))
    check_map_page(site, [holes], dem=DemFiles(holes, nodata=-9999), nodata=-9999)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data set of a scene of 96 × 24 pixels in a local system."""
    folder = tmp_path_factory.mktemp("site")
    mask = np.zeros((1, 96, 24), np.uint8)
    mask[:, ::4, ::2] = 1
    colours = np.repeat(100 + 50 * mask, 3, axis=0)
    names = ("red", "green", "blue")
    files.write(folder / "i.tif", colours, crs=METRE, transform=SITE, names=names)
    files.write(folder / "l.tif", mask, crs=METRE, transform=SITE)
    scene = Inputs(folder / "i.tif", folder / "l.tif")
    return folder, prepare([scene], folder / "out", Options(tile=8))


def test_the_ground_of_a_local_scene_is_in_its_own_system(prepared):
    _, made = prepared
    for split, number in made.counts.items():
        path = made.folder / "ground" / f"{split}.gpkg"
        meta, _, wkb, _ = pyogrio.raw.read(path)
        assert same_system(pyproj.CRS(meta["crs"]), pyproj.CRS(METRE))
        area = shapely.area(shapely.from_wkb(wkb)).sum()
        assert area == pytest.approx(number * 80 * 80)


def test_a_map_is_scored_within_the_ground_of_a_local_scene(prepared, tmp_path):
    folder, made = prepared
    files.write(tmp_path / "m.tif", np.ones((1, 96, 24), np.uint8), crs=METRE,
                transform=SITE)  # fmt: skip
    ground = MaskFiles(within=str(made.folder / "ground" / "test.gpkg"))
    found = evaluate_map(
        tmp_path / "m.tif", folder / "l.tif", landslide_class=1, masks=ground
    )
    assert found.scores.matrix.sum() == made.counts["test"] * 64


def test_scenes_without_a_common_ground_are_refused_before_they_are_read(
    prepared, tmp_path
):
    folder, _ = prepared
    zeros = np.zeros((3, 96, 24), np.uint8)
    files.write(tmp_path / "globe.tif", zeros, names=("red", "green", "blue"))
    files.write(tmp_path / "l.tif", zeros[:1])
    scenes = [
        Inputs(folder / "i.tif", folder / "l.tif"),
        Inputs(tmp_path / "globe.tif", tmp_path / "l.tif"),
    ]
    with pytest.raises(DataError, match=r"images `i`, `globe`: .* `Quarry`"):
        prepare(scenes, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_scenes_of_another_planet_have_a_common_ground():
    polar = MARS.replace("Equirectangular", "Polar_Stereographic").replace(
        'PARAMETER["standard_parallel_1",0]', 'PARAMETER["latitude_of_origin",80]'
    )
    near = Affine(1000, 0, -5000, 0, -1000, 5_000_000)
    grids = [Grid(MARS, near, 20, 20), Grid(polar, Affine(10, 0, 0, 0, -10, 0), 9, 9)]
    assert ground_system(grids).name == "Mars equirectangular"
    assert ground_system([Grid(files.CRS, files.NORTH_UP, 4, 4)]).to_epsg() == 4326


@pytest.mark.parametrize("same", [True, False])
def test_local_systems_are_told_by_name_and_unit(tmp_path, same):
    """GeoPackages write the axes of a local system in other words than GeoTIFFs."""
    path = tmp_path / "p.gpkg"
    crs = METRE.replace("Easting", "x") if same else FOOT
    pyogrio.raw.write(
        path, geometry=shapely.to_wkb([shapely.box(1060, 4880, 1180, 4960)]),
        field_data=[], fields=np.array([], object), geometry_type="Polygon",
        crs=CRS.from_wkt(crs).to_wkt(), driver="GPKG", layer="p",
    )  # fmt: skip
    name = classes(tmp_path / "map.tif")
    if not same:
        with pytest.raises(DataError, match="`Quarry` and `Quarry`"):
            evaluate_map(name, path, landslide_class=1)
        return
    found = evaluate_map(name, path, landslide_class=1)
    assert found.scores.matrix.tolist() == [[24 * 24 - 96, 0], [0, 96]]
    rows = [(row.smallest, row.number) for row in found.sizes]
    assert (1e3, 1) in rows  # 9,600 m²

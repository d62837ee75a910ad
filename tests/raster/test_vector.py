"""Which layer and which field of a vector file is taken, and what is refused."""

import json

import numpy as np
import pyogrio
import pytest
import shapely

from landslide_tf.errors import DataError
from landslide_tf.raster.grid import Window
from landslide_tf.raster.labels import LabelOptions, read_labels
from landslide_tf.raster.vector import read_shapes
from landslide_tf.terrain import Grid
from tests.mapping import map_files as files

GRID = Grid(files.CRS, files.NORTH_UP, 20, 20)
X, Y = 500_000, 4_600_000


def box(left, top, right, bottom):
    """A polygon around whole cells of 10 m, by columns and rows."""
    return shapely.box(X + 10 * left, Y - 10 * bottom, X + 10 * right, Y - 10 * top)


def layer(path, name, geometries, *, append=False, kind="Polygon", **fields):
    pyogrio.raw.write(
        path, geometry=shapely.to_wkb(np.array(geometries)), crs=files.CRS,
        field_data=[np.array(values) for values in fields.values()],
        fields=np.array(list(fields), object), geometry_type=kind, layer=name,
        append=append,
    )  # fmt: skip
    return path


@pytest.fixture
def several(tmp_path):
    path = layer(tmp_path / "all.gpkg", "Outline", [box(0, 0, 20, 20)])
    return layer(path, "slides", [box(2, 3, 5, 7)], append=True)


def burnt(path, **options):
    labels = read_labels(path, GRID, GRID, LabelOptions(**options))
    return labels.read(Window(0, 0, 20, 20))


def test_several_layers_need_a_choice(several):
    with pytest.raises(DataError, match=r"2: `Outline`, `slides`; .*`--layer NAME`"):
        burnt(several)
    expected = np.zeros((20, 20), np.uint8)
    expected[3:7, 2:5] = 1
    assert (burnt(several, layer="SLIDES") == expected).all()
    assert burnt(several, layer="outline").all()
    with pytest.raises(DataError, match="`slide`, received the layers `Outline`, `sl"):
        burnt(several, layer="slide")
    taken = read_shapes(several, GRID, layer="slides").taken
    assert "layer `slides`, 1 polygon, no field `class`" in taken


def test_tables_without_geometry_are_nothing_to_choose_from(tmp_path):
    path = layer(tmp_path / "styled.gpkg", "slides", [box(2, 3, 5, 7)])
    pyogrio.raw.write(
        path, geometry=None, field_data=[np.array(["<qgis/>"], object)], crs=None,
        fields=np.array(["styleQML"], object), geometry_type=None, append=True,
        layer="layer_styles",
    )  # fmt: skip
    assert len(pyogrio.list_layers(path)) == 2
    assert burnt(path).sum() == 12


@pytest.mark.parametrize("name", ["class", "CLASS", "Class"])
def test_the_field_of_the_class_is_found_whatever_its_case(tmp_path, name):
    both = [box(0, 0, 2, 2), box(10, 10, 20, 20)]
    kinds = {name: np.array(["landslide", "lake"], object)}
    path = layer(tmp_path / "p.gpkg", "p", both, **kinds)
    assert burnt(path).sum() == 4
    assert f"the field `{name}`" in read_shapes(path, GRID).taken


def test_a_field_can_be_named(tmp_path):
    both = [box(0, 0, 2, 2), box(10, 10, 20, 20)]
    fields = {
        "class": np.array(["landslide", "landslide"], object),
        "Kind": np.array(["scar", "lake"], object),
    }
    path = layer(tmp_path / "p.gpkg", "p", both, **fields)
    assert burnt(path).sum() == 104
    assert burnt(path, field="kind", positive=("scar",)).sum() == 4
    with pytest.raises(DataError, match="`sort`, received the fields `class`, `Kind`"):
        burnt(path, field="sort")


def test_numbers_are_classes_even_where_some_are_missing(tmp_path):
    places = [box(k, k, k + 1, k + 1) for k in range(3)]
    features = [
        {
            "type": "Feature",
            "properties": {"class": value},
            "geometry": shapely.geometry.mapping(place),
        }
        for value, place in zip((1, None, 2), places, strict=True)
    ]
    crs = {"type": "name", "properties": {"name": files.CRS}}
    path = tmp_path / "p.geojson"
    path.write_text(
        json.dumps({"type": "FeatureCollection", "crs": crs, "features": features})
    )
    assert read_shapes(path, GRID).classes == ("1", "", "2")
    assert np.argwhere(burnt(path, positive=("1",))).tolist() == [[0, 0]]


def test_a_raster_has_no_layers_and_no_fields(tmp_path):
    path = tmp_path / "r.tif"
    files.write(path, np.eye(20, dtype=np.uint8)[None])
    for option in ("layer", "field"):
        with pytest.raises(DataError, match=r"must be a vector file .* received a r"):
            burnt(path, **{option: "x"})


@pytest.mark.parametrize("kind", [".geojson", ".gpkg", ".shp", "labelme"])
def test_an_empty_inventory_says_that_nothing_slid(tmp_path, kind):
    path = tmp_path / f"empty{kind}"
    if kind == "labelme":
        path = tmp_path / "empty.json"
        drawn = {"imageHeight": 20, "imageWidth": 20, "shapes": []}
        path.write_text(json.dumps(drawn))
    elif kind == ".geojson":
        path.write_text('{"type": "FeatureCollection", "features": []}')
    else:
        layer(path, "empty", np.array([], object), **{"class": np.array([], object)})
    for positive in ((), ("scar",)):
        assert (burnt(path, positive=positive) == 0).all()
    # Where pixels beyond polygons have no label, none has one.
    with pytest.raises(DataError, match="must hold polygons, received none"):
        burnt(path, outside="ignore")
    if kind != "labelme":
        assert "is empty" in read_shapes(path, GRID, empty=True).taken
        with pytest.raises(DataError, match="no geometry at all"):
            read_shapes(path, GRID)  # as an area to look at


def test_what_has_entries_or_may_hold_none_is_no_empty_inventory(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b\n")
    points = layer(tmp_path / "points.gpkg", "p", np.array([], object), kind="Point")
    lost = tmp_path / "lost.geojson"
    feature = {"type": "Feature", "properties": {}, "geometry": None}
    lost.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    for path in (table, points, lost):
        with pytest.raises(DataError, match="must h"):
            read_shapes(path, GRID, empty=True)


def test_polygons_elsewhere_are_refused_with_both_extents(tmp_path):
    path = layer(tmp_path / "far.gpkg", "far", [box(1000, 0, 1100, 7)])
    expected = (
        "received EPSG:32633 (510000, 4599930, 511000, 4600000) beside EPSG:32633 "
        "(500000, 4599800, 500200, 4600000); check the systems of both"
    )
    with pytest.raises(DataError) as refused:
        read_shapes(path, GRID)
    assert expected in str(refused.value)

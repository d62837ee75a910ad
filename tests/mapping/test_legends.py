"""Class maps say what their values mean: names that GDAL reads, styles for QGIS."""

from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from landslide_tf.errors import DataError
from landslide_tf.mapping import (
    MapOptions,
    Outputs,
    SceneFiles,
    check_map,
    map_changes,
    map_scene,
)
from tests.mapping import map_files as files

NAMES = ["stable", "slide"]
OPTIONS = MapOptions(window=16, overlap=4, min_area=0)


def gdal_names(path, tmp_path):
    """Names of categories as GDAL reads them, by way of a VRT that it writes."""
    copy = tmp_path / "copy.vrt"
    with rasterio.open(path) as dataset:
        rasterio.shutil.copy(dataset, copy, driver="VRT")
    return [node.text for node in ElementTree.parse(copy).iter("Category")]


def entries(style):
    """Value, name and colour of each class of a style."""
    return [
        (int(e.get("value")), e.get("label"), bytes.fromhex(e.get("color")[1:]))
        for e in ElementTree.parse(style).iter("paletteEntry")
    ]


def mapped(folder, *, vector="map.gpkg", overwrite=False, **changes):
    scene = files.write(folder / "s.tif", files.chances(24, 24), names=NAMES)
    files_in = SceneFiles((scene,))
    vectors = (folder / vector,) if vector else ()
    outputs = Outputs(folder / "map.tif", vector=vectors, overwrite=overwrite)
    check_map(outputs, files_in)
    return map_scene([files.identity(**changes)], files_in, outputs, OPTIONS)


def test_classes_have_the_names_and_colours_of_the_model(tmp_path):
    names = ["back & ground", "landslide"]
    made = mapped(tmp_path, classes=names, landslide_name="cleared <1>")
    assert made.mapped == "cleared <1>"
    expected = ["back & ground", "cleared <1>"]
    path = tmp_path / "map.tif"
    assert gdal_names(path, tmp_path) == expected
    with rasterio.open(path) as dataset:
        colours = dataset.colormap(1)
        classes = dataset.read(1)
        assert dataset.tags()["CLASSES"] == '["back & ground", "cleared <1>"]'
    found = entries(tmp_path / "map.qml")
    assert [(value, name) for value, name, _ in found] == list(enumerate(expected))
    assert all(tuple(colour) == colours[value][:3] for value, _, colour in found)
    assert made.landslide == (classes == 1).sum()
    assert made.area == pytest.approx(100.0 * made.landslide)  # cells of 10 m
    with_map = set(made.files)
    assert {path, tmp_path / "map.qml", tmp_path / "map.tif.aux.xml"} <= with_map


@pytest.mark.parametrize("vector", ["map.gpkg", "other.geojson", None])
def test_map_and_polygons_of_one_name_share_a_style(tmp_path, vector):
    mapped(tmp_path, vector=vector)
    for style in tmp_path.glob("*.qml"):
        root = ElementTree.parse(style).getroot()
        of_map = root.find("pipe/rasterrenderer[@type='paletted']") is not None
        of_polygons = root.find(".//layer[@class='SimpleFill']") is not None
        assert of_map == (style.stem == "map")
        assert of_polygons == (vector is not None and vector.startswith(style.stem))
    assert len(list(tmp_path.glob("*.qml"))) == (2 if vector == "other.geojson" else 1)


def test_a_model_of_one_probability_has_two_classes(tmp_path):
    scene = files.write(tmp_path / "s.tif", files.chances(24, 24)[1:], names=["slide"])
    one = files.identity(
        inputs=files.metadata().inputs[1:], classes=["scar"], landslide_class="sigmoid"
    )
    outputs = Outputs(tmp_path / "map.tif", tmp_path / "p.tif")
    made = map_scene([one], SceneFiles((scene,)), outputs, OPTIONS)
    assert made.mapped == "scar"
    assert gdal_names(outputs.out, tmp_path) == ["other", "scar"]
    with rasterio.open(outputs.probabilities) as dataset:
        assert dataset.descriptions == ("scar",)
    with rasterio.open(outputs.out) as dataset:
        assert dataset.tags()["THRESHOLD"] == "0.5"


def test_own_names_and_styles_are_replaced_and_others_kept(tmp_path):
    mapped(tmp_path)
    path, style = tmp_path / "map.tif", tmp_path / "map.qml"
    kept = tmp_path / "map.tif.aux.xml"
    mean = '<Metadata><MDI key="STATISTICS_MEAN">0.5</MDI></Metadata><CategoryNames>'
    kept.write_text(kept.read_text().replace("<CategoryNames>", mean))  # as GDAL does
    mapped(tmp_path)
    style.write_text(style.read_text().replace("SimpleFill", "GradientFill"))
    with pytest.raises(DataError, match=r"map\.qml` is there and is not the style"):
        mapped(tmp_path)
    mapped(tmp_path, overwrite=True)
    assert "SimpleFill" in style.read_text()
    path.unlink()
    (tmp_path / "map.tif.aux.xml").write_text("mine")
    with pytest.raises(DataError, match=r"aux\.xml` is there and is not the names"):
        mapped(tmp_path)


def test_changes_have_names_and_styles(tmp_path):
    maps = []
    for number, year in enumerate((2020, 2021)):
        values = np.zeros((1, 24, 24), np.uint8)
        values[0, 2 : 8 + number, 2:8] = 1
        maps.append(files.write(tmp_path / f"{year}.tif", values, nodata=255))
        with rasterio.open(maps[-1], "r+") as dataset:
            names = '["forest", "cleared"]'
            dataset.update_tags(CLASSES=names, LANDSLIDE_CLASS="1")
    out = tmp_path / "out"
    found = map_changes(maps, out, min_area=0)
    assert found.mapped == "cleared"
    expected = {
        "new_1": ["no new cleared", "new cleared"],
        "from_1": ["forest", "cleared"],
        "first_step": ["2020.tif", "2021.tif"],
    }
    for stem, names in expected.items():
        assert gdal_names(out / f"{stem}.tif", tmp_path) == names
        assert [name for _, name, _ in entries(out / f"{stem}.qml")] == names
    with rasterio.open(out / "from_1.tif") as dataset:
        assert dataset.colormap(1)[0][:3] == (0, 115, 38)  # forest
    _, (_, _, colour) = entries(out / "new_1.qml")
    outline = ",".join(map(str, (*colour, 255)))
    assert outline in (out / "new_landslides.qml").read_text()
    map_changes(maps, out, min_area=0)  # replaces its own folder

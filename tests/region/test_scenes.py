"""Lists of scenes: what is read of each kind, and what is refused in one line."""

import json

import pytest

from landslide_tf.errors import DataError
from landslide_tf.mapping import SceneFiles
from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.raster.dem import DemFiles
from landslide_tf.region import read_scenes

COLOURS = ModelMetadata(
    name="m", builder="unet", arguments={},
    inputs=[Band(name="red"), Band(name="green")],
    factors=[Factor(name="ndvi", unit="1")], classes=["other", "landslide"],
    landslide_class=1,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name in ("b.tif", "a.TIF", "a_dem.tif", "c.vrt", "notes.txt", "d.tif"):
        (tmp_path / name).touch()
    return tmp_path


def listed(path):
    return [(s.id, s.image, s.dem, s.date) for s in read_scenes(path)]


def test_images_of_a_folder_are_scenes_with_the_elevations_beside_them(folder):
    def at(name):
        return (str(folder / name),)

    assert listed(folder) == [
        ("a", at("a.TIF"), at("a_dem.tif"), ""),
        ("b", at("b.tif"), (), ""),
        ("c", at("c.vrt"), (), ""),
        ("d", at("d.tif"), (), ""),
    ]


def test_lines_are_images_beside_the_list_or_anywhere(folder):
    path = folder / "list.txt"
    path.write_text(
        f"# scenes\n b.tif \n\n{folder}/c.vrt\nhttps://x.org/e%20f.tif\ns3://b/g.tif\n"
    )
    assert [(name, image) for name, image, *_ in listed(path)] == [
        ("b", (f"{folder}/b.tif",)),
        ("c", (f"{folder}/c.vrt",)),
        ("e-20f", ("https://x.org/e%20f.tif",)),
        ("g", ("s3://b/g.tif",)),
    ]


def test_a_table_has_elevations_dates_and_ids(folder):
    path = folder / "list.csv"
    path.write_text(
        "Id,image,DEM,date\none,b.tif;d.tif,a_dem.tif,2024-05-31\n,c.vrt,,\n",
        encoding="utf-8-sig",
    )
    b, c, d, dem = (str(folder / n) for n in ("b.tif", "c.vrt", "d.tif", "a_dem.tif"))
    assert listed(path) == [
        ("one", (b, d), (dem,), "2024-05-31"), ("c", (c,), (), "")
    ]  # fmt: skip


def catalogue(folder, **assets):
    item = {
        "type": "Feature", "id": "S2_A", "assets": assets,
        "properties": {"datetime": "2024-05-31T10:12:13.5Z"},
    }  # fmt: skip
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    return path


def test_assets_of_a_catalogue_are_chosen_by_the_names_of_their_bands(folder):
    path = catalogue(
        folder,
        B04={"href": "./b.tif", "eo:bands": [{"name": "B04", "common_name": "red"}]},
        B03={"href": "d.tif", "bands": [{"name": "B03", "eo:common_name": "green"}]},
        nir={"href": "https://x.org/B08.tif"},
        thumbnail={"href": "not_there.png", "roles": ["thumbnail"]},
        dem={"href": "a_dem.tif"},
    )
    (scene,) = read_scenes(path)
    assert (scene.id, scene.date) == ("S2_A", "2024-05-31")
    files = scene.files(SceneFiles((), dem=DemFiles("x.tif", unit="foot")), COLOURS)
    remote = "https://x.org/B08.tif"
    assert files.image == (str(folder / "b.tif"), str(folder / "d.tif"), remote)
    assert files.bands == {"red": 1, "green": 2, "nir": 3}
    assert files.dem == DemFiles(str(folder / "a_dem.tif"), unit="foot")


def test_one_asset_may_hold_all_bands(folder):
    bands = [{"name": name} for name in ("blue", "green", "red", "nir")]
    (scene,) = read_scenes(catalogue(folder, all={"href": "b.tif", "bands": bands}))
    files = scene.files(SceneFiles(()), COLOURS)
    assert files.image == (str(folder / "b.tif"),)
    assert files.bands == {"red": 3, "green": 2, "nir": 4}


def test_an_item_without_a_band_is_refused_when_it_is_mapped(folder):
    (scene,) = read_scenes(catalogue(folder, red={"href": "b.tif"}))
    with pytest.raises(DataError, match="an asset with the band `green`, received `re"):
        scene.files(SceneFiles(()), COLOURS)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.txt", "b.tif\nmissing.tif\ngone.tif", "missing.tif` of scene `missing` is"),
        ("l.txt", "b.tif\nb.tif", "an id each, received `b` for"),
        ("l.txt", "# none\n", "at least one scene"),
        ("l.csv", "file,date\nb.tif,", "a column `image`.*received `file`, `date`"),
        ("l.csv", "image,cloud\nb.tif,3", "the column `cloud`"),
        ("l.csv", "image,id\nb.tif,x\nd.tif,X", "received `X` for"),
        ("l.csv", "image,id\nb.tif,../x", "letters, digits.*received `../x`"),
        ("l.csv", "image,id\nb.tif,.x", "received `.x`"),
        ("l.csv", "image,date\nb.tif,31.5.2024", "line 2: expected a date such as"),
        ("l.csv", "image,dem\nb.tif,no.tif", "no.tif` of scene `b` is not there"),
        ("l.csv", "image\n\n,\n", "more values than"),
        ("l.csv", "image,dem\n,a_dem.tif", "must name an image"),
        ("l.json", "{", "must be JSON"),
        ("l.json", "{}", "a STAC ItemCollection"),
        ("l.json", '{"features": [{"id": "a"}]}', "an `id` and `assets`"),
        (
            "l.json",
            '{"features": [{"id": "a", "assets": {"b": {}}}]}',
            "asset `b` of item `a` must have an `href`",
        ),
        ("none.txt", None, "it is not there"),
    ],
)
def test_what_is_no_list_is_refused_in_one_line(folder, name, text, message):
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=message) as refused:
        read_scenes(folder / name)
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text_are_refused(folder):
    (folder / "l.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_scenes(folder / "l.txt")

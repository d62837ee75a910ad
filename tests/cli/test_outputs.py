"""No command writes over what it reads, or over what it did not write itself."""

import json
import os
import shutil
import zipfile

import numpy as np
import pyogrio
import pytest
import rasterio

from landslide_tf.errors import DataError
from landslide_tf.report import check_evaluation_folder
from landslide_tf.train.evidential.predictions import Predictions, write_predictions
from tests.cli.scene_files import polygons, state, write_scene_files
from tests.cli.test_datasets import TABLE

MODEL = "fstf_net_synthetic"
SMALL = ("--window", 64, "--overlap", 16)


@pytest.fixture
def inputs(tmp_path):
    """A folder of all kinds of inputs, read-only."""
    return write_scene_files(tmp_path / "inputs")


def of_map(inputs, out, *more, image="scene.tif"):
    return (
        "map", MODEL, "--image", inputs / image, "--dem", inputs / "dem.tif",
        "--out", out, *SMALL, *more,
    )  # fmt: skip


def of_evaluation(inputs, *more, reference="truth.geojson"):
    return (
        "evaluate-map", inputs / "map1.tif", "--reference", inputs / reference, *more,
    )  # fmt: skip


def of_changes(inputs, out, *more):
    maps = (inputs / "map1.tif", inputs / "map2.tif")
    return ("changes", *maps, "--out", out, *more)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*holds one class only")  # within the truth
def test_commands_leave_what_they_read_as_it_was(command, inputs, tmp_path):
    out = tmp_path / "out"
    before = state(inputs)
    for arguments in (
        of_map(
            inputs, out / "m.tif", "--vector", out / "m.gpkg", "--probabilities",
            out / "p.tif", "--report", out / "m.html", image="outer.vrt",
        ),
        of_evaluation(
            inputs, "--out", out / "e.json", "--within", inputs / "truth.shp"
        ),
        of_evaluation(inputs, "--out", out / "f.json", reference="truth.gpkg"),
        (
            "terrain", inputs / "dem.tif", "--image", inputs / "outer.vrt", "--out",
            out / "t",
        ),
        of_changes(
            inputs, out / "c", "--report", out / "c.html", "--dem", inputs / "dem.tif"
        ),
    ):  # fmt: skip
        for _ in range(2):  # the same again replaces its own result
            code, _, err = command(*arguments)
            assert code == 0, err
            assert state(inputs) == before


@pytest.mark.parametrize("option", ["--out", "--probabilities", "--vector", "--report"])
def test_no_output_of_a_map_is_an_input(command, inputs, tmp_path, option):
    for name in ("scene.tif", "dem.tif", "inner.vrt", "outer.vrt"):
        places = {"--out": tmp_path / "m.tif"} | {option: inputs / name}
        if option == "--vector":
            places[option] = (tmp_path / "link.gpkg").absolute()
        if option == "--report":
            places[option] = (tmp_path / "link.html").absolute()
        if option in ("--vector", "--report"):
            places[option].unlink(missing_ok=True)
            places[option].symlink_to(inputs / name)
        before = state(inputs)
        given = [x for pair in places.items() for x in pair]
        command.refuses(
            "map", MODEL, "--image", inputs / "outer.vrt", "--dem", inputs / "dem.tif",
            *given, *SMALL, "--overwrite", message="cannot be written over",
        )  # fmt: skip
        assert state(inputs) == before
        assert not (tmp_path / "m.tif").exists()


def test_an_input_is_the_same_by_every_name(command, inputs, tmp_path, monkeypatch):
    work = tmp_path / "work"
    shutil.copytree(inputs, work)
    (work / "link.tif").symlink_to("scene.tif")
    os.link(work / "scene.tif", work / "hard.tif")
    (tmp_path / "folder").symlink_to(work)
    with zipfile.ZipFile(work / "scene.zip", "w") as archive:
        archive.write(work / "scene.tif", "scene.tif")
    monkeypatch.chdir(work)
    before = state(work)
    for image, out in (
        ("scene.tif", "link.tif"),
        ("link.tif", "scene.tif"),
        ("scene.tif", "hard.tif"),
        ("scene.tif", "../work/scene.tif"),
        ("scene.tif", tmp_path / "folder" / "scene.tif"),
        ("outer.vrt", "scene.tif"),
        ("GTIFF_DIR:1:scene.tif", "scene.tif"),
        ("/vsizip/scene.zip/scene.tif", "scene.zip"),
        (f"/vsizip/{work}/scene.zip/scene.tif", "scene.zip"),
    ):
        command.refuses(
            "map", MODEL, "--image", image, "--dem", "dem.tif", "--out", out,
            "--overwrite", message="cannot be written over",
        )  # fmt: skip
        assert state(work) == before
    command.refuses(
        *of_map(work, "m.tif", "--uncertainty", "scene.tif.ovr"),
        message="as a part of",
    )


@pytest.mark.parametrize("name", ["truth.geojson", "truth.gpkg", "truth.shp"])
def test_no_evaluation_is_written_over_what_it_reads(command, inputs, name):
    before = state(inputs)
    suffixes = ("shp", "dbf", "shx", "prj") if name == "truth.shp" else (name[6:],)
    for place in ("map1.tif", *(f"truth.{suffix}" for suffix in suffixes)):
        arguments = of_evaluation(
            inputs, "--out", inputs / place, "--overwrite", reference=name
        )
        command.refuses(*arguments, message="cannot be written over")
    command.refuses(
        *of_evaluation(inputs, "--out", inputs / "map1.tif.aux.xml"),
        message="as a part of",
    )
    assert state(inputs) == before


def test_changes_are_not_written_where_maps_lie(command, inputs, tmp_path):
    before = state(inputs)
    message = "name another output"
    command.refuses(*of_changes(inputs, inputs, "--overwrite"), message=message)
    page = tmp_path / "page.html"
    page.symlink_to(inputs / "map2.tif")
    arguments = of_changes(inputs, tmp_path / "c", "--report", page, "--overwrite")
    command.refuses(*arguments, message="cannot be written over")
    assert state(inputs) == before and not (tmp_path / "c").exists()


@pytest.mark.integration
def test_other_layers_of_a_geopackage_stay(command, inputs, tmp_path):
    path = tmp_path / "all.gpkg"
    polygons(path, "roads", (500_010, 4_599_950), (500_040, 4_599_940))
    polygons(path, "inventory", (500_000, 4_599_960))
    kept = {name: pyogrio.raw.read(path, layer=name) for name in ("roads", "inventory")}
    found = []
    for threshold in ("0.2", "0.2", "0.9"):
        arguments = of_map(
            inputs, tmp_path / "m.tif", "--vector", path, "--threshold", threshold,
            "--min-area", 0,
        )  # fmt: skip
        code, _, err = command(*arguments)
        assert code == 0, err
        names = [*pyogrio.list_layers(path)[:, 0]]
        assert sorted(names) == ["inventory", "landslides", "roads"]
        for name, (_, _, shapes, columns) in kept.items():
            _, _, now, fields = pyogrio.raw.read(path, layer=name)
            assert list(now) == list(shapes)
            assert [list(c) for c in fields] == [list(c) for c in columns]
        found.append(pyogrio.read_info(path, layer="landslides")["features"])
        with rasterio.open(tmp_path / "m.tif") as dataset:
            mapped = dataset.read(1) == int(dataset.tags()["LANDSLIDE_CLASS"])
        area = 0
        if found[-1]:
            meta, _, _, columns = pyogrio.raw.read(path, layer="landslides")
            area = columns[list(meta["fields"]).index("area_px")].sum()
        assert area == mapped.sum()
    assert found[0] == found[1]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--out", "m.tif"),
        ("--probabilities", "p.tif"),
        ("--vector", "v.gpkg"),
        ("--vector", "v.geojson"),
        ("--report", "r.html"),
    ],
)
def test_files_of_others_need_a_word(command, inputs, tmp_path, option, name):
    work = tmp_path / "work"
    work.mkdir()
    path = work / name
    if path.suffix == ".tif":
        shutil.copy(inputs / "map2.tif", path)
    elif path.suffix == ".html":
        path.write_text("<p>mine</p>")
    else:
        driver = "GPKG" if path.suffix == ".gpkg" else "GeoJSON"
        polygons(path, "landslides", (500_010, 4_599_950), driver=driver)
    before = state(work)
    places = {"--out": work / "m.tif"} | {option: path}
    given = [x for pair in places.items() for x in pair]
    start = ("map", MODEL, "--image", inputs / "scene.tif", "--dem", inputs / "dem.tif")
    command.refuses(*start, *given, *SMALL, message="`--overwrite`")
    assert state(work) == before
    code, _, err = command(*start, *given, *SMALL, "--overwrite")
    assert code == 0, err
    assert state(work)[name] != before[name]


def test_a_style_of_the_user_stays(command, inputs, tmp_path):
    style = tmp_path / "v.qml"
    style.write_text("<qgis/>")
    arguments = of_map(inputs, tmp_path / "m.tif", "--vector", tmp_path / "v.gpkg")
    command.refuses(*arguments, message="v.qml")
    assert style.read_text() == "<qgis/>" and len(list(tmp_path.iterdir())) == 2


def test_a_map_of_another_image_is_not_replaced(command, inputs, tmp_path):
    out = tmp_path / "m.tif"
    assert command(*of_map(inputs, out))[0] == 0
    before = out.read_bytes()
    other = of_map(inputs, out, image="outer.vrt")
    command.refuses(*other, message="is not the class map of the same command")
    assert out.read_bytes() == before
    command.refuses(
        *of_map(inputs, tmp_path / "n.tif", "--probabilities", out),
        message="is not the probabilities",
    )


def test_finished_strips_take_no_folder_of_others(command, inputs, tmp_path):
    notes = tmp_path / "m.tif.parts" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    command.refuses(*of_map(inputs, tmp_path / "m.tif"), message="something else")
    assert notes.read_text() == "mine"


def test_a_geopackage_that_is_open_elsewhere(command, inputs, tmp_path):
    path = polygons(tmp_path / "v.gpkg", "roads", (500_010, 4_599_950))
    (tmp_path / "v.gpkg-wal").write_bytes(b"pages")
    arguments = of_map(inputs, tmp_path / "m.tif", "--vector", path)
    command.refuses(*arguments, message="open in another program")


def test_evaluations_and_changes_of_others_need_a_word(command, inputs, tmp_path):
    notes = tmp_path / "e.json"
    notes.write_text('{"mine": 1}')
    arguments = of_evaluation(inputs, "--out", notes)
    command.refuses(*arguments, message="`--overwrite`")
    assert notes.read_text() == '{"mine": 1}'
    assert command(*arguments, "--overwrite")[0] == 0
    assert json.loads(notes.read_text()).keys() > {"pixels"}
    out = tmp_path / "c"
    assert command(*of_changes(inputs, out))[0] == 0
    first = state(out)
    backwards = ("changes", inputs / "map2.tif", inputs / "map1.tif", "--out", out)
    command.refuses(*backwards, message="of other inputs or options")
    assert state(out) == first
    assert command(*backwards, "--overwrite")[0] == 0
    assert state(out) != first
    (out / "notes.txt").write_text("mine")
    command.refuses(*backwards, "--overwrite", message="`notes.txt` is there")
    assert (out / "notes.txt").read_text() == "mine"


def test_a_fusion_is_not_written_over_a_branch(command, tmp_path):
    rng = np.random.default_rng(0)
    for branch in ("h", "s", "v"):
        chance = rng.random(6)
        found = Predictions(
            tuple(f"{n}.png" for n in range(6)),
            np.arange(6) % 2,
            np.stack([1 - chance, chance], 1),
        )
        write_predictions(found, tmp_path / f"{branch}.csv")
    before = state(tmp_path)
    (tmp_path / "link.csv").symlink_to("s.csv")
    for name in ("h.csv", "link.csv"):
        command.refuses(
            "evidential", "fuse", tmp_path, "--out", tmp_path / name, "--overwrite",
            message="cannot be written over",
        )  # fmt: skip
    (tmp_path / "link.csv").unlink()
    assert state(tmp_path) == before
    fused = tmp_path / "fused.csv"
    fused.write_text("mine")
    command.refuses("evidential", "fuse", tmp_path, message="`--overwrite`")
    assert fused.read_text() == "mine"
    for word in (("--overwrite",), ()):  # then its own is replaced
        code, _, err = command("evidential", "fuse", tmp_path, *word)
        assert code == 0, err
        assert len(fused.read_text().splitlines()) == 7


def test_a_plan_is_not_written_over_its_table(command, tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text(TABLE)
    command.refuses(
        "datasets", "plan", table, "--out", tmp_path, "--regions", "etf",
        message="cannot be written over",
    )  # fmt: skip
    assert state(tmp_path).keys() == {"pairs.csv"} and table.read_text() == TABLE


def test_reports_of_others_need_a_word(tmp_path):
    mine = tmp_path / "evaluation.csv"
    mine.write_text("mine")
    with pytest.raises(DataError, match="--overwrite"):
        check_evaluation_folder(tmp_path)
    check_evaluation_folder(tmp_path, overwrite=True)
    (tmp_path / "evaluation.json").write_text('{"title": "t", "facts": {}}')
    check_evaluation_folder(tmp_path)
    (tmp_path / "index.html").mkdir()
    check_evaluation_folder(tmp_path)
    with pytest.raises(DataError, match="received a folder"):
        check_evaluation_folder(tmp_path, "index.html", overwrite=True)

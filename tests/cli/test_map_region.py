"""`map-region` on the command line, and its folder in an inventory."""

import numpy as np
import pytest
from rasterio import Affine

from tests.mapping import map_files as files
from tests.mapping import transparent

NAMES = ("red", "green", "blue")
SMALL = ("--window", 16, "--overlap", 4, "--min-area", 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A model, two scenes with a landslide across them, and a corrupt one."""
    folder = tmp_path_factory.mktemp("world")
    transparent.write(folder / "model", cell_size=(5.0, 20.0))
    for number, name in enumerate("ab"):
        red = np.full((3, 40, 40), 30, np.uint8)
        red[0, 10:20, 30 * (1 - number) : 40 - 30 * number] = 220
        place = Affine(10, 0, 500_000 + 400 * number, 0, -10, 4_600_000)
        files.write(folder / f"{name}.tif", red, names=NAMES, transform=place)
    (folder / "bad.tif").write_bytes((folder / "a.tif").read_bytes()[:300])
    return folder


def listed(world, path, *names):
    lines = [f"{world / name}.tif,2024-05-3{k}" for k, name in enumerate(names)]
    path.write_text("\n".join(["image,date", *lines]))
    return path


def test_scenes_become_one_region_and_an_inventory(command, world, tmp_path):
    scenes = listed(world, tmp_path / "list.csv", "a", "b")
    out = tmp_path / "region"
    start = ("map-region", world / "model", "--scenes", scenes, "--out", out, *SMALL)
    code, text, err = command(*start)
    assert code == 0, err
    assert "2 of 2 scenes mapped, 3200 pixels now; 1 landslide on 0.020 km²" in text
    assert err == "1/2 a: mapped\n2/2 b: mapped\n"
    code, text, err = command(*start)
    assert code == 0 and "mapped, 2 of them before, 0 pixels now" in text
    single = ("--image", world / "a.tif", "--out", tmp_path / "a.tif", *SMALL)
    code, _, err = command(
        "map", world / "model", *single, "--vector", tmp_path / "a.gpkg"
    )
    assert code == 0, err
    assert (tmp_path / "a.tif").read_bytes() == (out / "scenes/a/a.tif").read_bytes()
    database = tmp_path / "inventory.gpkg"
    for again in ("1 landslide on", "there already"):
        code, text, err = command("inventory", "add", database, "--map", out)
        assert code == 0, err
        assert text.splitlines()[0].startswith("scene ") and again in text
        assert ", a of 2024-05-30" in text and ", b of 2024-05-31" in text
    code, text, _ = command("inventory", "stats", database)
    assert text.startswith("landslides: 1 of ")  # one lies across both scenes
    command.refuses(
        *("inventory", "add", out / "landslides.gpkg", "--map", out),
        message="cannot be written over",
    )
    command.refuses(
        *("inventory", "add", database, "--map", out, "--scene", "x"),
        message="leave out `--vector` and `--scene`",
    )


def test_a_failed_scene_is_a_line_and_status_1(command, world, tmp_path):
    scenes = listed(world, tmp_path / "list.csv", "a", "bad")
    start = ("map-region", world / "model", "--scenes", scenes, *SMALL, "--out")
    code, text, err = command(*start, tmp_path / "region")
    assert code == 1 and "1 of 2 scenes mapped" in text
    lines = err.splitlines()
    assert lines[1].startswith("2/2 bad: failed: image ")
    assert lines[2:] == ["scene  why it failed", "bad    " + lines[1][17:]]
    code, _, err = command(*start, tmp_path / "fast", "--fail-fast")
    assert code == 1 and err.splitlines()[-1].startswith("error: scene `bad`: image")


def test_undated_scenes_need_a_date_in_an_inventory(command, world, tmp_path):
    (tmp_path / "list.txt").write_text(f"{world}/a.tif\n")
    out = tmp_path / "region"
    start = ("map-region", world / "model", "--scenes", tmp_path / "list.txt")
    assert command(*start, "--out", out, *SMALL)[0] == 0
    add = ("inventory", "add", tmp_path / "i.gpkg", "--map")
    command.refuses(*add, out, message="scene `a` has no date in its region")
    assert command(*add, out, "--date", "2024-05-31")[0] == 0
    command.refuses(*add, world, message="a folder that `map-region` wrote")
    command.refuses(*add, world / "a.tif", message="needs its polygons (`--vector`)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image\nmissing.tif", "missing.tif` of scene `missing` is not there"),
        ("image,id\na.tif,x\nb.tif,x", "must have an id each"),
        ("image\n", "must name at least one scene"),
    ],
)
def test_a_wrong_list_is_refused_before_anything(
    command, world, tmp_path, monkeypatch, text, message
):
    for name in "ab":
        (tmp_path / f"{name}.tif").symlink_to(world / f"{name}.tif")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text(text)
    command.refuses(
        *("map-region", world / "model", "--scenes", "list.csv", "--out", "region"),
        message=message,
    )
    assert not (tmp_path / "region").exists()

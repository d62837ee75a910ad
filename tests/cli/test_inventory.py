"""`landslide-tf inventory` as a user runs it."""

import contextlib
import json
import sqlite3

import numpy as np
import pytest
import rasterio

from landslide_tf.files import sha256
from tests.inventory import scenes


@pytest.fixture
def given(tmp_path):
    mapped = scenes.mapped(tmp_path, scenes.blobs())
    database = tmp_path / "inventory.gpkg"
    files = ("--map", mapped.map, "--vector", mapped.polygons)
    return database, ("inventory", "add", database, *files)


def test_from_a_map_to_statistics(command, given, tmp_path):
    database, add = given
    add = (*add, "--date", "2024-05-31", "--region", "alps")
    code, out, err = command(*add)
    assert code == 0, err
    assert "landslides on 0.360 km², region ALPS" in out
    code, out, _ = command(*add)
    assert code == 0 and "there already, nothing changed" in out
    before = sha256(database)
    command.refuses(*add, "--sensor", "other", message="replace it with `--replace`")
    assert sha256(database) == before
    assert command(*add, "--sensor", "other", "--replace")[0] == 0
    code, out, _ = command("inventory", "list", database)
    assert out.splitlines()[-1] == "1 scene"
    assert "2024-05-31  ALPS" in out and "image.tif" in out
    made = {n: tmp_path / n for n in ("out.csv", "out.geojson", "page.html", "s.json")}
    for name in ("out.csv", "out.geojson"):
        code, out, err = command("inventory", "export", database, made[name])
        assert code == 0, err
    code, out, err = command(
        "inventory", "stats", database, "--report", made["page.html"], "--out",
        made["s.json"], "--density", tmp_path / "d.tif", "--cell", "100",
    )  # fmt: skip
    assert code == 0, err
    number = json.loads(made["s.json"].read_text())["sizes"]["number"]
    assert out.startswith(f"landslides: {number} of ")
    assert all(path.stat().st_size for path in (*made.values(), tmp_path / "d.tif"))


def test_what_is_there_stays_where_it_cannot_be_added_to(command, given, tmp_path):
    database, add = given
    dated = (*add, "--date", "2024-05-31")
    nothing = tmp_path / "nothing.tif"
    with (
        rasterio.open(add[4]) as source,
        rasterio.open(nothing, "w", **source.profile | {"nodata": 255}) as target,
    ):
        target.update_tags(**source.tags())
        target.write(np.full((1, *source.shape), 255, np.uint8))
    unknown = (*add[:4], nothing, *add[5:], "--date", "2024-05-31")
    command.refuses(*unknown, message="must have a class somewhere")
    assert not database.exists()
    assert command(*dated)[0] == 0
    before = sha256(database)
    command.refuses(*unknown, message="must have a class somewhere")
    assert sha256(database) == before
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE settings SET value = '7' WHERE name = 'schema_version'"
        )
    before = sha256(database)
    out = tmp_path / "out.csv"
    for arguments in (
        dated, ("inventory", "list", database), ("inventory", "stats", database),
        ("inventory", "export", database, out),
    ):  # fmt: skip
        command.refuses(*arguments, message="schema version 1, received 7")
        assert sha256(database) == before and not out.exists()


def test_bad_input(command, given, tmp_path):
    database, add = given
    command.refuses(*add, "--date", "31.5.2024", message="`--date` as year-month-day")
    dated = (*add, "--date", "2024-05-31")
    for options, message in (
        (("--before", "2024-06-01"), "earlier date"),
        (("--trigger", "rain"), "Did you mean `rainfall`?"),
        (("--region", "a", "--regions", "b.gpkg"), "not both"),
        (("--regions", tmp_path / "missing.gpkg"), "vector file that can be read"),
        (("--confidence", "0.5,0.6"), "5 rising probabilities"),
        (("--volume-law", "larsen"), "NAME,ALPHA,GAMMA"),
        (("--dem", tmp_path / "missing.tif"), "missing.tif"),
    ):
        command.refuses(*dated, *options, message=message)
        assert not database.exists()
    for other in ("list", "stats"):
        command.refuses("inventory", other, database, message="no such file")
    out = tmp_path / "out.csv"
    command.refuses("inventory", "export", database, out, message="no such file")
    assert not out.exists()
    assert command(*dated)[0] == 0
    for options, message in (
        (("--box", "1,2,3"), "`--box` as 4 numbers"),
        (("--box", "10,0,5,1"), "west below east"),
        (("--from", "2025-01-01", "--to", "2024-01-01"), "dates in order"),
        (("--region", "nowhere"), "No mapped scene"),
        (("--confidence", "4"), "confidence of 1, 2, 3, 5, 8"),
        (("--cutoff", "100"), "both, or neither"),
        (("--cell", "0"), "above 0 metres"),
        (("--report", database), "must name a file that ends in .html"),
        (("--density", tmp_path / "d.png"), "must end in .tif"),
    ):
        command.refuses("inventory", "stats", database, *options, message=message)

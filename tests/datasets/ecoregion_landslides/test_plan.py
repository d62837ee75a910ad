"""From the published workbooks to a built data set, with generated images."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from landslide_tf.datasets.ecoregion_landslides import (
    collect_pairs,
    parse_pair_name,
    plan_pairs,
    read_pairs,
    write_plan,
)
from landslide_tf.errors import DataError
from tests.datasets.building import build, examples

TABLE = """no,region,ll_lat,ll_lon,ur_lat,ur_lon,pre,post
1,ETF,40.0,-85.0,40.001,-84.998,20120101,20140101
2,ETF,40.1,-85.0,40.101,-84.998,20120101,20140101
7,NAD,36.9,-113.8,36.901,-113.798,20130501,20150601
"""


@pytest.fixture(scope="module")
def published(shared):
    return shared / "data/ecoregion_landslides"


@pytest.fixture
def planned(tmp_path):
    (tmp_path / "table.csv").write_text(TABLE)
    pairs = plan_pairs(tmp_path / "table.csv")
    folder = tmp_path / "manual/ecoregion_landslides"
    write_plan(folder, pairs)
    return folder, pairs


def size_of(pair):
    """Pixels (height, width) of a small view of a box."""
    width, height = pair.box.size
    scale = 12 / min(width, height)
    return round(height * scale), round(width * scale)


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def save(folder, planned, seed=0, height_width=None):
    """Writes images and a label of one pair, as a user would; returns the polygon."""
    row, size = planned.row(), height_width or size_of(planned.pair)
    generator = np.random.default_rng([seed, planned.pair.number])
    for name in ("pre_file", "post_file"):
        values = generator.integers(0, 255, (*size, 3), np.uint8)
        path = folder / row[name]
        Image.fromarray(values).save(path.with_suffix(".png"))
    box = [[1, 1], [9, 1], [9, 7], [1, 7]]
    shapes = [{"label": "slide", "points": box, "shape_type": "polygon"}]
    content = {"imageHeight": size[0], "imageWidth": size[1], "shapes": shapes}
    (folder / row["label_file"]).write_text(json.dumps(content))


def test_the_published_workbook_becomes_a_built_data_set(published, tmp_path):
    workbook = published / "Coordinates for all the images.xlsx"
    inventory = published / "Identified_events_from_USGS_inventory.csv"
    planned = plan_pairs(workbook, inventory=inventory)
    counts = np.array([len(p.events) for p in planned])
    # Counted from the files: section 2.3 of the method's notes says the same.
    assert [len(planned), (counts == 0).sum(), (counts == 1).sum()] == [497, 61, 238]
    assert counts.max() == 52
    assert len({e.object_id for p in planned for e in p.events}) == 1010
    folder = tmp_path / "manual/ecoregion_landslides"
    files = write_plan(folder, planned)
    rows = table(files["plan"])
    for p, row in zip(planned, rows, strict=True):
        name = parse_pair_name(row["post_file"].rsplit("/", 1)[1])
        assert (name.box.key, name.date) == (p.pair.box.key, p.pair.post)
        assert not name.repairs
    assert "latitude_swap" in rows[172]["flags"]
    places = json.loads(files["places"].read_text())["features"]
    assert len(places) == 497
    assert places[0]["geometry"]["coordinates"][0][0] == [-84.942735, 32.46151]
    saved = planned[:97]  # three regions; the fourth is still to be done
    for p in saved:
        save(folder, p)
    found = collect_pairs(folder)
    states = [row["state"] for row in found.rows]
    assert states == ["complete"] * 97 + ["lacks pre and post and label"] * 400
    assert (found.masks, found.strays) == (97, [])
    builder = build("ecoregion_landslides/all", folder.parent, tmp_path)
    built = {s: builder.info.splits[s].num_examples for s in builder.info.splits}
    splits = [row["split"] for row in rows[:97]]
    assert built == {s: splits.count(s) for s in built}
    assert built == {"train": 67, "validation": 15, "test": 15}
    one = next(iter(examples(builder, "test").values()))
    assert one["mask"].sum() == 8 * 6


def test_only_the_wanted_regions_are_planned(published, tmp_path):
    workbook = published / "Coordinates for all the images.xlsx"
    planned = plan_pairs(workbook, regions=["nad", "Marine West Coast Forest"])
    assert [p.pair.number for p in planned] == list(range(28, 98))
    # A region's parts do not depend on the other regions.
    every = {p.pair.number: p.split for p in plan_pairs(workbook)}
    assert all(every[p.pair.number] == p.split for p in planned)
    with pytest.raises(DataError, match="ecoregion"):
        plan_pairs(workbook, regions=["sahara"])


def test_what_lacks_and_what_is_faulty_is_said(planned):
    folder, pairs = planned
    save(folder, pairs[0])
    save(folder, pairs[1], height_width=(12, 40))
    (folder / pairs[1].row()["label_file"]).write_text("{")
    save(folder, pairs[2])
    (folder / pairs[2].row()["label_file"]).unlink()
    found = collect_pairs(folder)
    assert [row["state"] for row in found.rows] == ["complete", "faulty", "lacks label"]
    assert found.faulty[0]["no"] == "2"
    assert "labels of labelme" in found.faulty[0]["remark"]
    assert found.masks == 1
    lines = list(found.lines())
    assert lines[0] == "EASTERN_TEMPERATE_FORESTS: 2 planned: 1 complete, 1 faulty"
    rows = table(folder / "collected.csv")
    assert [row["state"] for row in rows] == [r["state"] for r in found.rows]


def test_masks_are_the_polygons(planned):
    folder, pairs = planned
    save(folder, pairs[0])
    collect_pairs(folder)
    path = folder / pairs[0].row()["label_file"]
    mask = np.array(Image.open(path.parents[1] / f"POST_LABELS/{path.stem}.png"))
    expected = np.zeros(size_of(pairs[0].pair), np.uint8)
    expected[1:7, 1:9] = 255
    assert np.array_equal(mask, expected)
    # The masks are there now; the polygons still go before them.
    again = collect_pairs(folder)
    assert again.rows[0]["state"] == "complete"
    assert again.masks == 1


def test_masks_that_somebody_has_drawn_are_kept(planned):
    folder, pairs = planned
    save(folder, pairs[0])
    polygons = folder / pairs[0].row()["label_file"]
    path = polygons.parents[1] / f"POST_LABELS/{polygons.stem}.png"
    drawn = np.zeros(size_of(pairs[0].pair), np.uint8)
    drawn[2:4] = 255
    Image.fromarray(drawn).save(path)
    before = path.read_bytes()
    found = collect_pairs(folder)
    assert path.read_bytes() == before and found.masks == 0
    assert f"`{path.name}` is kept" in found.rows[0]["remark"]
    assert collect_pairs(folder, overwrite=True).masks == 1
    mask = np.array(Image.open(path))
    assert mask[1:7, 1:9].all() and mask.sum() == 255 * 6 * 8
    # One that was written here follows the polygons, whatever they are by then.
    content = json.loads(polygons.read_text())
    content["shapes"][0]["points"] = [[2, 2], [5, 2], [5, 5], [2, 5]]
    polygons.write_text(json.dumps(content))
    assert collect_pairs(folder).rows[0]["remark"] == ""
    assert np.array(Image.open(path)).sum() == 255 * 9


def test_what_is_collected_takes_no_file_of_others(planned):
    folder, pairs = planned
    notes = folder / "collected.csv"
    notes.write_text("mine")
    save(folder, pairs[0])
    with pytest.raises(DataError, match="--overwrite"):
        collect_pairs(folder)
    assert notes.read_text() == "mine" and not [*folder.glob("*/POST_LABELS/*")]
    collect_pairs(folder, overwrite=True)
    collect_pairs(folder)
    assert len(table(notes)) == 3


def test_a_plan_that_was_changed_is_replaced_when_told(planned):
    folder, pairs = planned
    write_plan(folder, pairs)  # the same again
    path = folder / "plan.csv"
    path.write_text(path.read_text() + "mine\n")
    with pytest.raises(DataError, match=r"plan\.csv.*--overwrite"):
        write_plan(folder, pairs)
    assert path.read_text().endswith("mine\n")
    write_plan(folder, pairs, overwrite=True)
    assert not path.read_text().endswith("mine\n")


def test_views_that_do_not_fit_are_found(planned):
    folder, pairs = planned
    save(folder, pairs[0], height_width=(30, 30))
    save(folder, pairs[1])
    pre = folder / pairs[1].row()["pre_file"]
    Image.new("RGB", (60, 20)).save(pre.with_suffix(".png"))
    found = collect_pairs(folder)
    assert "30 by 30 pixels, its box 171 by 111 m" in found.rows[0]["remark"]
    assert found.rows[1]["state"] == "faulty"
    assert "one view" in found.rows[1]["remark"]


def test_files_of_no_planned_pair_are_listed(planned):
    folder, pairs = planned
    save(folder, pairs[0])
    images = folder / "EASTERN_TEMPERATE_FORESTS/POST_IMAGES"
    other = pairs[0].stem("POST").replace("20140101", "20150101")
    Image.new("RGB", (20, 20)).save(images / f"{other}.png")
    (images / "holiday.jpg").touch()
    (images / "desktop.ini").touch()
    Image.new("RGB", (20, 20)).save(images / f"{pairs[0].stem('POST')}.jpg")
    strays = sorted(s.split("/")[-1] for s in collect_pairs(folder).strays)
    assert len(strays) == 3
    assert any("no pair with this place and date" in s for s in strays)
    assert any(s.startswith("holiday.jpg: `holiday.jpg` must be named") for s in strays)
    assert any("twice" in s for s in strays)


def test_a_folder_without_a_plan_is_refused(tmp_path):
    with pytest.raises(DataError, match="datasets plan"):
        collect_pairs(tmp_path)
    (tmp_path / "plan.csv").write_text("no,region\n1,ETF\n")
    with pytest.raises(DataError, match="lacks the columns"):
        collect_pairs(tmp_path)


def test_the_written_table_is_the_builders(planned):
    folder, pairs = planned
    read, faults = read_pairs(folder / "pairs.csv")
    assert not faults
    assert [(p.number, p.box.key, p.pre, p.post) for p in read] == [
        (p.pair.number, p.pair.box.key, p.pair.pre, p.pair.post) for p in pairs
    ]

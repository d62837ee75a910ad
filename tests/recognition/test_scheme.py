"""The scheme on scenes whose landslides and false alarms are known."""

import dataclasses
import itertools
import json
from xml.etree import ElementTree

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from landslide_tf.errors import DataError
from landslide_tf.files import sha256
from landslide_tf.mapping import MaskFiles, Reference
from landslide_tf.mapping.styles import is_style
from landslide_tf.objects import DEFAULT_RULES, Rule, read_rules
from landslide_tf.raster.cog import Layer, write_plain
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import rows_of
from landslide_tf.raster.polygons import write_polygons
from landslide_tf.recognition import (
    Maps,
    SchemeOptions,
    new_pixels,
    recognise,
    spread,
)
from tests.mapping import test_legends as legends
from tests.recognition import planted

# Bounds that reject nothing.
OPEN = SchemeOptions(
    rules=(Rule("min", "slope_mean_deg", 0), Rule("max", "lwr", 1000)),
    pre_existing=None,
    veg_loss=-1.0,
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    made = []
    for seed in range(3):
        folder = tmp_path_factory.mktemp("planted")
        made.append(planted.plant(folder, seed))
    return made


@pytest.fixture(scope="module")
def recognised(scenes, tmp_path_factory):
    maps, truth, _ = scenes[0]
    out = tmp_path_factory.mktemp("out") / "recognised"
    return recognise(maps, out, reference=lambda grid: Reference(truth, grid))


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def kept(folder):
    return read(folder / "mask.tif")


@pytest.mark.parametrize("seed", range(3))
def test_each_stage_raises_precision_and_loses_two_points_of_recall_at_most(
    scenes, tmp_path, seed
):
    maps, truth, _ = scenes[seed]
    found = recognise(maps, tmp_path / "out", reference=lambda g: Reference(truth, g))
    each_stage_is_better(found.stages)
    last = found.stages[-1].pixels.scores()
    assert last.ce < 0.02 and last.dp > 0.98


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Options whose every bound was searched on the scene of another seed."""
    folder = tmp_path_factory.mktemp("searched")
    maps, truth, _ = planted.plant(folder, 11)
    found = recognise(
        maps,
        folder / "out",
        dataclasses.replace(OPEN, target_iou=1.0),
        validation=lambda grid: Reference(truth, grid),
    )
    summary = json.loads((folder / "out" / "summary.json").read_text())
    return SchemeOptions(
        rules=read_rules(found.folder / "rules.yaml"),
        pre_existing=summary["pre_existing"],
        veg_loss=summary["veg_loss"],
    )


@pytest.mark.parametrize("seed", range(3))
def test_bounds_of_another_seed_do_the_same(scenes, searched, tmp_path, seed):
    maps, truth, _ = scenes[seed]
    assert searched.pre_existing is not None and len(searched.rules) == 2
    assert searched.rules != OPEN.rules and searched.veg_loss > OPEN.veg_loss
    found = recognise(
        maps, tmp_path / "out", searched, reference=lambda g: Reference(truth, g)
    )
    each_stage_is_better(found.stages)


def each_stage_is_better(stages):
    """More precise than the stage before, at two points of recall at most."""
    assert [s.name for s in stages] == ["map", "rules", "change", "vegetation"]
    for before, after in itertools.pairwise(stages):
        for what in ("pixels", "matched"):
            one, other = (getattr(s, what).scores() for s in (before, after))
            assert 1 - other.ce > 1 - one.ce, (after.name, what)
            assert other.dp >= one.dp - 0.02, (after.name, what)


def test_rasters_of_other_ground_and_cells_that_look_like_values(scenes, tmp_path):
    maps, _, _ = scenes[0]
    height, width = planted.GRID.shape
    values = np.full((1, height, width), 800, np.float32)
    values[0, :9] = -9999
    holes, far = tmp_path / "holes.tif", tmp_path / "far.tif"
    layer = Layer("float32", -1, ["values"])
    write_plain(holes, planted.GRID, layer, [(0, values)])
    beside = planted.GRID.window(0, width, height, width)
    write_plain(far, beside, layer, [(0, values)])
    for given, message in (
        ({"dem": DemFiles(holes)}, "--dem-nodata -9999"),
        ({"dem": DemFiles(far, nodata=-9999)}, "far.tif` must overlap"),
        ({"probabilities": far}, "far.tif` must overlap the map"),
    ):
        with pytest.raises(DataError, match=message):
            recognise(dataclasses.replace(maps, **given), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_recognised_has_names_and_styles(recognised):
    folder = recognised.folder
    assert len(legends.entries(folder / "mask.qml")) == 2
    beside = ElementTree.parse(folder / "mask.tif.aux.xml")
    assert [n.text for n in beside.iter("Category")] == ["other", "landslide"]
    with rasterio.open(folder / "mask.tif") as dataset:
        red = dataset.colormap(1)[1][:3]
    assert ",".join(map(str, red)) in (folder / "landslides.qml").read_text()
    assert is_style(folder / "rejected.qml")


def test_each_false_alarm_is_rejected_by_what_it_differs_in(scenes, recognised):
    _, _, masks = scenes[0]
    path = recognised.folder / "rejected.gpkg"
    meta, _, geometries, columns = pyogrio.raw.read(path)
    rule = dict(zip(meta["fields"], columns, strict=True))["rule"]
    shapes = shapely.from_wkb(geometries)
    reasons = {}
    for shape, names in zip(shapes, rule, strict=True):
        point = shape.representative_point()
        column, row = ~planted.GRID.transform @ (point.x, point.y)
        kind = next(k for k, m in masks.items() if m[int(row), int(column)])
        reasons.setdefault(kind, set()).update(names.split(","))
    assert reasons.keys() == {"road", "quarry", "old", "field"}
    assert "max_lwr" in reasons["road"]
    assert "min_slope_mean_deg" in reasons["quarry"]
    assert "pre_existing" in reasons["old"]
    assert reasons["field"] == {"min_veg_loss"}


@pytest.mark.parametrize("change", ["object", "pixel"])
def test_strips_give_what_the_whole_gives(scenes, tmp_path, monkeypatch, change):
    maps, truth, _ = scenes[1]
    options, made = SchemeOptions(change=change), []
    for rows in (512, 23):
        monkeypatch.setattr(rows_of, "__defaults__", (rows,))
        out = tmp_path / str(rows)
        made.append(
            recognise(maps, out, options, reference=lambda g: Reference(truth, g))
        )
    whole, strips = made
    assert strips.stages == whole.stages
    np.testing.assert_array_equal(kept(strips.folder), kept(whole.folder))
    summaries = [json.loads((m.folder / "summary.json").read_text()) for m in made]
    assert summaries[0] == summaries[1]


def left_half(path):
    extent = planted.SIDE * planted.CELL
    box = shapely.box(500_000, 4_600_000 - extent, 500_000 + extent / 2, 4_600_000)
    box = np.array([box], object)
    write_polygons(path, "GPKG", box, {"id": [1]}, planted.GRID.crs.to_wkt(), layer="a")
    return path


def test_bounds_are_searched_on_the_validation_part_alone(scenes, tmp_path):
    maps, truth, masks = scenes[2]
    area = MaskFiles(left_half(tmp_path / "half.gpkg"))
    options = dataclasses.replace(OPEN, target_iou=0.97)
    found = recognise(
        maps,
        tmp_path / "out",
        options,
        reference=lambda grid: Reference(truth, grid),
        validation=lambda grid: Reference(truth, grid, masks=area),
    )
    first, *_, last = found.ious
    half = planted.SIDE // 2
    mapped, there = kept(found.folder) == 1, masks["landslide"]
    left = (mapped & there)[:, :half].sum() / (mapped | there)[:, :half].sum()
    assert first < 0.6 and last == pytest.approx(left) and last >= 0.97
    # Stages are scored where no bound was chosen.
    counts = found.stages[-1].pixels
    assert counts.tp + counts.fn == there[:, half:].sum()
    assert counts.tp + counts.fp == mapped[:, half:].sum()
    rules = read_rules(found.folder / "rules.yaml")
    assert rules != options.rules and len(found.ious) <= 1 + options.max_rounds
    summary = json.loads((found.folder / "summary.json").read_text())
    assert summary["validation_iou"] == list(found.ious)


def test_no_bound_moves_where_the_iou_will_do(scenes, tmp_path):
    maps, truth, _ = scenes[2]
    found = recognise(
        maps,
        tmp_path / "out",
        SchemeOptions(target_iou=0.9),
        validation=lambda grid: Reference(truth, grid),
    )
    assert len(found.ious) == 1 and found.ious[0] > 0.97
    assert read_rules(found.folder / "rules.yaml") == DEFAULT_RULES


def test_the_mask_says_what_its_map_says(scenes, tmp_path):
    maps, _, _ = scenes[0]
    tags = {"REGION": "ALPS", "MODEL": "net", "MIN_AREA_M2": "600", "IMAGE": '["i"]'}
    path = tmp_path / "map.tif"
    path.write_bytes(maps.after.read_bytes())
    for smallest, bound, expected in (("600", 100, 600), ("", 500, 500)):
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**{**tags, "MIN_AREA_M2": smallest})
        options = SchemeOptions(rules=[Rule("min", "area_m2", bound)])
        found = recognise(Maps(path), tmp_path / "out", options)
        with rasterio.open(found.folder / "mask.tif") as dataset:
            said = dataset.tags()
        assert float(said.pop("MIN_AREA_M2")) == expected
        assert {k: said[k] for k in tags if k in said} == {
            k: v for k, v in tags.items() if k != "MIN_AREA_M2"
        }


def test_every_object_is_either_kept_or_rejected(scenes, recognised):
    folder = recognised.folder
    both = [
        pyogrio.read_info(folder / name, force_feature_count=True)["features"]
        for name in ("landslides.gpkg", "rejected.gpkg")
    ]
    first, *_, last = recognised.stages
    assert both == [last.objects, recognised.rejected]
    assert sum(both) == first.objects  # no hole or buffer joins or splits objects here
    mask, masks = kept(folder), scenes[0][2]
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_array_equal(mask == 1, masks["landslide"])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["stages"][-1]["objects"] == last.objects
    assert summary["statistics"]["sizes"]["number"] == last.objects
    assert read_rules(folder / "rules.yaml") == DEFAULT_RULES
    ratios = summary["frequency_ratio"]["slope_deg"]
    assert ratios["0-5"] < 1 < ratios["25-30"]


def test_no_rules_and_no_date_before_keep_the_map(scenes, tmp_path):
    maps, _, _ = scenes[0]
    alone = Maps(maps.after)
    found = recognise(alone, tmp_path / "out", SchemeOptions(rules=()))
    np.testing.assert_array_equal(kept(found.folder), read(maps.after))
    assert found.rejected == 0 and found.stages[0].objects == found.stages[-1].objects


def test_pixels_of_before_are_taken_out_bit_by_bit(scenes, tmp_path):
    maps, _, _ = scenes[1]
    pair = Maps(maps.after, before=maps.before)
    options = SchemeOptions(rules=(), change="pixel", buffer=1, min_hole=0)
    found = recognise(pair, tmp_path / "out", options)
    after, before = (read(path) == 1 for path in (maps.after, maps.before))
    wide = before.copy()
    for down in (-1, 0, 1):  # no landslide lies at the border
        for right in (-1, 0, 1):
            wide |= np.roll(before, (down, right), (0, 1))
    np.testing.assert_array_equal(kept(found.folder) == 1, after & ~wide)
    np.testing.assert_array_equal(new_pixels(after, before, buffer=1), after & ~wide)
    np.testing.assert_array_equal(spread(before, 0), before)


def test_landslides_of_before_are_kept_where_asked(scenes, tmp_path):
    maps, _, masks = scenes[2]
    pair = Maps(maps.after, before=maps.before)
    for keep in (False, True):
        options = SchemeOptions(rules=(), pre_existing=None if keep else 0.5)
        found = recognise(pair, tmp_path / str(keep), options)
        assert (kept(found.folder)[masks["old"]] == 1).all() == keep


def test_colours_alone_tell_a_loss_of_vegetation(scenes, tmp_path):
    maps, _, masks = scenes[0]
    bands = {"red": 1, "green": 4, "blue": 3}  # what is vegetated shows as green
    images = [
        dataclasses.replace(files, bands=bands)
        for files in (maps.image_before, maps.image_after)
    ]
    coloured = Maps(maps.after, image_before=images[0], image_after=images[1])
    found = recognise(coloured, tmp_path / "out", SchemeOptions(rules=()))
    assert [stage.name for stage in found.stages] == ["map", "rules", "vegetation"]
    np.testing.assert_array_equal(kept(found.folder) == 1, masks["landslide"])


def test_nothing_that_is_read_changes_and_a_second_time_gives_the_same(
    scenes, recognised, tmp_path
):
    maps, truth, _ = scenes[0]
    files = [*maps.read, truth]
    before = [sha256(path) for path in files]
    again = recognise(maps, recognised.folder, reference=lambda g: Reference(truth, g))
    assert again.stages == recognised.stages
    after = [sha256(path) for path in files]
    assert before == after


def test_a_rule_whose_data_are_missing_is_said_and_rejects_nothing(scenes, tmp_path):
    maps, _, _ = scenes[0]
    rules = (Rule("min", "slope_mean_deg", 8), Rule("min", "probability", 0.5))
    found = recognise(Maps(maps.after), tmp_path / "out", SchemeOptions(rules=rules))
    number = found.stages[0].objects
    assert found.not_evaluated == {
        "min_slope_mean_deg": number,
        "min_probability": number,
    }


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("empty", "must hold landslides to recognise"),
        ("elsewhere", "map before"),
        ("other files", "must be a new or an empty folder"),
        ("holds the map", "which is read"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(
    scenes, tmp_path, case, message
):
    maps, out = scenes[0][0], tmp_path / "out"
    if case == "empty":
        planted.class_map(tmp_path / "empty.tif", np.zeros(planted.GRID.shape))
        maps = Maps(tmp_path / "empty.tif")
    elif case == "elsewhere":
        far = tmp_path / "far.tif"
        with rasterio.open(maps.before) as source:
            profile = source.profile | {
                "transform": rasterio.Affine(5, 0, 9e5, 0, -5, 1e6)
            }
            with rasterio.open(far, "w", **profile) as target:
                target.write(source.read())
                target.update_tags(**source.tags())
        maps = Maps(maps.after, before=far)
    elif case == "other files":
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    else:
        out = maps.after.parent
    there = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError) as error:
        recognise(maps, out)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == there

"""The builder of ecoregion_landslides, on written folders."""

import json
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from landslide_tf.datasets import IncompleteDataWarning, ecoregion_landslides
from landslide_tf.datasets.common.splits import SharedGroundWarning
from landslide_tf.datasets.ecoregion_landslides.files import read_label
from landslide_tf.errors import DataError
from tests.contracts import dataset_builder
from tests.datasets.building import build, examples, nothing_visible

pytestmark = [
    pytest.mark.filterwarnings("ignore::landslide_tf.datasets.IncompleteDataWarning"),
]
SIZE = (40, 60)
ETF = "EASTERN_TEMPERATE_FORESTS"


def stem(number, phase, date, *, south=40.0, sign=-1):
    """Boxes of consecutive numbers lie apart."""
    low, high = south + 0.01 * number, south + 0.01 * number + 0.005
    west, east = -105.1, sign * 105.09
    return (
        f"GE_{low:.6f}_{west:.6f}_{high:.6f}_{east:.6f}_LS_{number}_US_{date}_{phase}"
    )


def picture(path, seed, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(values).save(path)
    return values


def polygons(path, points=(((2, 2), (12, 2), (12, 7), (2, 7)),), size=SIZE, **shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = [
        {"label": "any", "points": p, "shape_type": "polygon"} | shape for p in points
    ]
    content = {"imageHeight": size[0], "imageWidth": size[1], "shapes": shapes}
    path.write_text(json.dumps(content))


def palette(path, value=1, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(size, np.uint8)
    mask[:10] = value
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    image.save(path)


def write_region(folder, count, **name):
    for number in range(1, count + 1):
        pre = stem(number, "PRE", 20120101, **name)
        post = stem(number, "POST", 20140101, **name)
        picture(folder / "PRE_IMAGES" / f"{pre}.png", 2 * number)
        picture(folder / "POST_IMAGES" / f"{post}.png", 2 * number + 1)
        if number % 2:
            polygons(folder / "POST_JSON_LABELS" / f"{post}.json")
        if number % 3 == 0 or not number % 2:
            palette(folder / "POST_LABELS" / f"{post}.png", value=number % 3 + 1)
    (folder / "POST_IMAGES" / "desktop.ini").touch()


class AllTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = ecoregion_landslides.Builder
    CONFIG = "all"
    IMAGES = ("pre", "post")
    SPLITS: ClassVar = {"train": 8, "validation": 2, "test": 2}

    @classmethod
    def write_dummy_data(cls, folder):
        write_region(folder / "ecoregion_landslides" / ETF, 8)
        write_region(folder / "ecoregion_landslides" / "nad", 4, south=36.0)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "manual" / "ecoregion_landslides"
    write_region(folder / ETF, 6)
    return folder


def everything(builder):
    found = {}
    for split in builder.info.splits:
        found |= examples(builder, split)
    return found


def pair_id(number):
    return f"ETF_{number}_{40 + 0.01 * number:.6f}_-105.100000_20120101_20140101"


def test_pairs_follow_names_and_not_order(root, tmp_path):
    found = everything(build("ecoregion_landslides/etf", root.parent, tmp_path))
    assert found.keys() == {pair_id(number) for number in range(1, 7)}
    for number in range(1, 7):
        example = found[pair_id(number)]
        pre = picture(tmp_path / "again.png", 2 * number)
        post = picture(tmp_path / "again.png", 2 * number + 1)
        np.testing.assert_array_equal(example["pre"], pre)
        np.testing.assert_array_equal(example["post"], post)
        # Polygons go before pictures, and every value but 0 counts.
        assert example["mask"].sum() == (50 if number % 2 else 600)
    first = found[pair_id(1)]
    assert first["pair_id"] == first["id"]
    assert first["region"] == 0
    assert first["bbox"] == pytest.approx([40.01, -105.1, 40.015, -105.09], abs=1e-9)
    assert first["size_m"] == pytest.approx([852.4, 552.9], abs=0.5)
    assert (first["pre_date"], first["post_date"]) == (20120101, 20140101)
    assert first["flags"] == b""


def test_repairs_are_flagged(tmp_path):
    root = tmp_path / "manual" / "ecoregion_landslides"
    write_region(root / "ETF", 3, sign=1)
    found = everything(build("ecoregion_landslides", root.parent, tmp_path))
    assert {e["flags"] for e in found.values()} == {b"ur_longitude_sign"}
    assert found.keys() == {pair_id(number) for number in (1, 2, 3)}


def test_incomplete_pairs_are_listed(root, tmp_path):
    region = root / ETF
    (region / "PRE_IMAGES" / f"{stem(2, 'PRE', 20120101)}.png").unlink()
    (region / "POST_JSON_LABELS" / f"{stem(1, 'POST', 20140101)}.json").unlink()
    with pytest.warns(IncompleteDataWarning, match="leaves out 2 incomplete pairs"):
        builder = build("ecoregion_landslides", root.parent, tmp_path)
    assert len(everything(builder)) == 4
    report = builder.info.metadata["files"]["train"]
    assert [line.split(": ")[1] for line in report["incomplete"]] == [
        "no label", "no pre",
    ]  # fmt: skip
    assert report["ignored"] == [f"{ETF}/POST_IMAGES/desktop.ini"]


def test_pairs_of_one_date_are_not_trained_on(root, tmp_path):
    region = root / ETF
    (root / "splits.csv").write_text(
        "pair_id,split\n"
        + "".join(f"{pair_id(n)},{'val' if n == 2 else 'train'}\n" for n in range(1, 7))
        + "ETF_3_40.030000_-105.100000_20140101_20140101,train\n"
    )
    old = region / "PRE_IMAGES" / f"{stem(3, 'PRE', 20120101)}.png"
    old.rename(old.with_name(f"{stem(3, 'PRE', 20140101)}.png"))
    with pytest.warns(IncompleteDataWarning, match="1 pair of train whose images"):
        builder = build("ecoregion_landslides", root.parent, tmp_path)
    sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
    assert sizes == {"train": 4, "validation": 1}
    assert len(builder.info.metadata["files"]["train"]["same_date"]) == 1


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["ETF_1,train"], "every pair"),
        ([f"{pair_id(1)},trian"], "trian"),
        ([], "every"),
    ],
)
def test_bad_lists_of_splits_are_refused(root, tmp_path, lines, fault):
    (root / "splits.csv").write_text("pair_id,split\n" + "\n".join(lines))
    with pytest.raises(DataError, match=rf"splits\.csv.*{fault}"):
        build("ecoregion_landslides", root.parent, tmp_path)


def test_a_list_of_splits_that_shares_ground_is_warned_of(root, tmp_path):
    region = root / ETF
    for kind, phase, date in (("PRE", "PRE", 20120101), ("POST", "POST", 20140101)):
        twin = stem(1, phase, date).replace("LS_1_", "LS_9_")
        picture(region / f"{kind}_IMAGES" / f"{twin}.png", 9)
    polygons(region / "POST_JSON_LABELS" / f"{twin}.json")
    ids = [pair_id(n) for n in range(1, 7)]
    lines = [f"{i},train" for i in ids] + [f"{ids[0].replace('ETF_1', 'ETF_9')},test"]
    (root / "splits.csv").write_text("\n".join(["pair_id,split", *lines]))
    with pytest.warns(SharedGroundWarning):
        build("ecoregion_landslides", root.parent, tmp_path)


def test_numbers_of_the_pairs_decide_the_split(root, tmp_path):
    lines = ["no,region,ll_lat,ll_lon,ur_lat,ur_lon,pre,post"]
    for n in range(1, 7):
        low = 40 + 0.01 * n
        lines.append(
            f"{n},ETF,{low:.6f},-105.1,{low + 0.005:.6f},-105.09,20120101,20140101"
        )
    (root / "pairs.csv").write_text("\n".join(lines))
    builder = build("ecoregion_landslides", root.parent, tmp_path)
    boxes = {n: ecoregion_landslides.Box((40 + 0.01 * n, -105.1),
                                         (40.005 + 0.01 * n, -105.09))
             for n in range(1, 7)}  # fmt: skip
    for number, split in ecoregion_landslides.split_boxes(0, boxes).items():
        assert pair_id(number) in examples(builder, split)


def test_the_image_before_is_resized_to_the_one_after(root, tmp_path):
    path = root / ETF / "PRE_IMAGES" / f"{stem(1, 'PRE', 20120101)}.png"
    picture(path, 2, (80, 120))
    with pytest.warns(UserWarning, match=r"resized from \(80, 120\) to \(40, 60\)"):
        builder = build("ecoregion_landslides", root.parent, tmp_path)
    blocks = picture(tmp_path / "again.png", 2, (80, 120)).reshape(40, 2, 60, 2, 3)
    resized = everything(builder)[pair_id(1)]["pre"]
    np.testing.assert_allclose(resized, blocks.mean((1, 3)), atol=1)  # rounded twice


def broken(region, fault):
    post = region / "POST_IMAGES" / f"{stem(1, 'POST', 20140101)}.png"
    pre = region / "PRE_IMAGES" / f"{stem(1, 'PRE', 20120101)}.png"
    drawn = region / "POST_JSON_LABELS" / f"{post.stem}.json"
    label = region / "POST_LABELS" / f"{stem(2, 'POST', 20140101)}.png"
    name = post.name
    if fault == "truncated":
        post.write_bytes(post.read_bytes()[:2000])
    elif fault == "grey":
        Image.open(post).convert("L").save(post)
    elif fault == "name":
        name = "holiday"
        post.rename(post.with_name(f"{name}.png"))
    elif fault == "phase":
        name = post.stem
        post.rename(pre.parent / post.name)
    elif fault == "order":
        name = stem(1, "PRE", 20160101)
        pre.rename(pre.with_name(f"{name}.png"))
    elif fault == "twice":
        picture(post.with_suffix(".jpg"), 1)
        name = post.stem
    elif fault == "view":
        name = pre.name
        picture(pre, 1, (40, 62))
    elif fault == "label size":
        name = label.name
        palette(label, size=(60, 40))
    elif fault == "label truncated":
        name = label.name
        label.write_bytes(label.read_bytes()[:-20])
    else:
        name = drawn.name
        if fault == "no JSON":
            drawn.write_text("{")
        elif fault == "no shapes":
            drawn.write_text('{"imageHeight": 40, "imageWidth": 60}')
        elif fault == "drawn size":
            polygons(drawn, size=(60, 40))
        elif fault == "circle":
            polygons(drawn, shape_type="circle")
        elif fault == "two corners":
            polygons(drawn, points=(((1, 1), (2, 2)),))
        elif fault == "corner":
            polygons(drawn, points=(((1, 1), (2, 2), (float("nan"), 3)),))
    return name


@pytest.mark.parametrize(
    "fault",
    ["truncated", "grey", "name", "phase", "order", "twice", "view", "label size",
     "label truncated", "no JSON", "no shapes", "drawn size", "circle", "two corners",
     "corner"],
)  # fmt: skip
def test_broken_files_are_named_and_nothing_is_built(root, tmp_path, fault):
    name = broken(root / ETF, fault)
    with pytest.raises(DataError) as caught:
        build("ecoregion_landslides", root.parent, tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert nothing_visible(tmp_path)


def test_no_complete_pair_is_an_error(root, tmp_path):
    with pytest.raises(DataError, match="no complete pair, 0 incomplete"):
        build("ecoregion_landslides/mwcf", root.parent, tmp_path)


def test_nothing_there_shows_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"POST_JSON_LABELS.*MANUAL_DIR"):
        build("ecoregion_landslides", tmp_path / "absent", tmp_path)


def test_golden_polygons(shared, tmp_path):
    masks = json.loads((shared / "specs" / "golden" / "tsmu.json").read_text())["masks"]
    for case in masks["rasterize"]:
        size = tuple(case["shape_hw"])
        polygons(tmp_path / "p.json", points=(case["polygon_xy"],), size=size)
        mask = read_label(tmp_path / "p.json", size)
        if "mask" in case:
            assert mask.tolist() == case["mask"]
        else:
            assert case["pixel_count_min"] <= mask.sum() <= case["pixel_count_max"]
    for case in masks["label_png_gray_values"]:
        for value in (case["palette_index"], case["gray"]):
            image = np.full((3, 3), value, np.uint8)
            Image.fromarray(image).save(tmp_path / "g.png")
            mask = read_label(tmp_path / "g.png", (3, 3))
            assert (mask == case["package"]).all()


def test_labels_without_polygons_and_in_colours(tmp_path):
    polygons(tmp_path / "p.json", points=())
    assert not read_label(tmp_path / "p.json", SIZE).any()
    colours = np.zeros((3, 3, 4), np.uint8)
    colours[0, 0, 0] = 128
    colours[..., 3] = 255
    Image.fromarray(colours).save(tmp_path / "c.png")
    assert read_label(tmp_path / "c.png", (3, 3)).sum() == 1

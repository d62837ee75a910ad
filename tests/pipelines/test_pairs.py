"""Image pairs: joined, resized by area, copied reproducibly, in ordered batches."""

import json

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.pipelines import (
    InputSelection,
    RegionBatches,
    RegionExamples,
    WholeRegion,
    default_rounds,
    draw_subset,
    export_arrays,
    load,
    load_arrays,
    load_region,
)
from landslide_tf.pipelines.built_sets import joined_bands, joined_pair
from landslide_tf.pipelines.region_examples import (
    choose,
    resize_image,
    resize_mask,
    rotated,
)
from landslide_tf.pipelines.sequences import TrainingSequence
from landslide_tf.pipelines.store import Channel, DataDescription, from_examples
from tests.datasets.ecoregion_landslides.test_builder import write_region

COLOURS = ("red", "green", "blue")
DESCRIPTION = DataDescription(
    "pairs",
    "train",
    {c: Channel(c, "image", k) for k, c in enumerate(COLOURS)},
    ("background", "landslide"),
    1,
)


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs" / "golden" / "tsmu.json").read_text())


def pairs(count, height=20, width=24):
    random = np.random.default_rng(0)
    for number in range(count):
        pre, post = random.integers(0, 256, (2, height, width, 3)).astype(np.uint8)
        mask = (random.random((height, width, 1)) < 0.3).astype(np.uint8)
        name = f"{'AB'[number % 2]}_{number}"
        yield {"pre": pre, "post": post, "mask": mask, "id": name.encode()}


def paired(count=6, **size):
    examples = map(joined_pair, pairs(count, **size))
    return from_examples(examples, joined_bands(DESCRIPTION))


def selection():
    return InputSelection(tuple(f"{t}_{c}" for t in ("pre", "post") for c in COLOURS))


def test_pairs_become_one_image_of_six_named_bands():
    store = paired()
    first = next(pairs(1))
    image = selection().inputs(store.examples[0], store.description.channels)["image"]
    np.testing.assert_array_equal(image[..., :3], first["pre"])
    np.testing.assert_array_equal(image[..., 3:], first["post"])
    assert set(store.description.channels) == set(selection().image)
    after = InputSelection(("post_blue",)).inputs(
        store.examples[0], store.description.channels
    )
    np.testing.assert_array_equal(after["image"][..., 0], first["post"][..., 2])


def test_sets_of_single_images_stay_as_they_are():
    plain = [{"image": p["post"], "mask": p["mask"], "id": p["id"]} for p in pairs(2)]
    assert all(joined_pair(example) is example for example in plain)


def test_regions_are_chosen_by_id():
    store = choose(paired(), [1, 3])
    assert store.ids == ["B_1", "B_3"]
    with pytest.raises(DataError, match="A_0"):
        choose(paired(), [])


def test_the_published_subset(golden):
    store = paired(400, height=2, width=2)
    found = draw_subset(store, 35, 7).ids
    numbers = golden["data"]["subset_seed7_35_of_400"]
    assert found == [store.ids[k] for k in numbers]
    assert draw_subset(store, None, 7) is store
    assert draw_subset(store, 400, 7) is store


def test_masks_shrink_by_area(golden):
    case = golden["masks"]["area_downsample_2x"]
    mask = np.array(case["in"], np.uint8)
    assert resize_mask(mask, 2).tolist() == case["out_threshold_ge_0.5"]
    image = mask[..., None].astype("float32")
    np.testing.assert_allclose(resize_image(image, 2)[..., 0], case["area_mean"])


def test_area_resizing_keeps_the_mean_and_fractions_of_pixels():
    image = np.random.default_rng(0).random((7, 11, 2)).astype("float32")
    small = resize_image(image, 5)
    assert small.shape == (5, 5, 2)
    np.testing.assert_allclose(small.mean((0, 1)), image.mean((0, 1)), atol=1e-6)
    # Five pixels over seven: the first is one whole old one and two fifths of another.
    column = (image[0] + 0.4 * image[1]) / 1.4
    row = column[:1] / 2.2 + column[1:2] / 2.2 + column[2:3] * 0.2 / 2.2
    np.testing.assert_allclose(small[0, 0], row[0], atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (3, 20), (20, 3)])
def test_enlarging_is_tensorflows_antialiased_bilinear(shape):
    import tensorflow as tf

    image = np.random.default_rng(0).random((*shape, 2)).astype("float32")
    expected = tf.image.resize(image, (8, 8), "bilinear", antialias=True)
    np.testing.assert_allclose(resize_image(image, 8), expected, atol=1e-5)
    mask = (image[..., 0] > 0.5).astype(np.uint8)
    expected = tf.image.resize(mask[..., None], (8, 8), "nearest")[..., 0]
    np.testing.assert_array_equal(resize_mask(mask, 8), expected)


def test_ignored_pixels_stay_ignored_and_ties_are_landslide():
    mask = np.array([[255, 255, 1, 0], [255, 0, 0, 1], [1, 1, 255, 255], [0] * 4])
    assert resize_mask(mask.astype(np.uint8), 2).tolist() == [[255, 1], [1, 255]]


def test_rotation_turns_counter_clockwise_about_the_centre():
    mask = np.zeros((9, 9), np.uint8)
    mask[4, 6] = 1
    image = mask[..., None].astype("float32")
    turned, found = rotated(image, mask, 90)
    assert np.argwhere(found).tolist() == [[2, 4]]
    np.testing.assert_allclose(turned[..., 0], found, atol=1e-6)
    black, background = rotated(image + 1, mask + 1, 20)
    assert black[0, 0, 0] == 0
    assert background[0, 0] == 0


@pytest.mark.parametrize(
    ("region", "examples", "rounds"),
    [
        ("EASTERN_TEMPERATE_FORESTS", 19, 7),
        ("NORTHWESTERN_FORESTED_MOUNTAINS", 279, 0),
        ("A", 27, 7),
        ("A", 31, 6),
        ("A", 39, 5),
        ("A", 400, 0),
        ("A", 1000, 0),
        ("A", 2, 7),
    ],
)
def test_rounds_balance_the_regions(region, examples, rounds):
    assert default_rounds(region, examples) == rounds


def test_images_of_all_regions_after_the_published_rounds(golden):
    counts = golden["data"]["augmented_counts"]["images_if_all_pairs_used"]
    pairs_of = {"EASTERN_TEMPERATE_FORESTS": 27, "MARINE_WEST_COAST_FOREST": 31}
    for region, count in pairs_of.items():
        store = paired(count, height=2, width=2)
        rounds = default_rounds(region, count)
        made = RegionExamples(store, selection(), 2, rounds)
        assert len(made) == counts[region]


def test_copies_are_reproducible_and_of_three_kinds():
    store = paired()
    made = RegionExamples(store, selection(), 16, rounds=2, seed=3)
    assert len(made) == 6 * 6
    assert made.key(0) == ("A_0", 0)
    assert made.key(35) == ("B_5", 5)
    image, mask = made.load(6)
    (turned, turned_mask), (other, _) = made.load(7), made.load(8)
    assert not np.array_equal(turned, other)
    assert not np.array_equal(turned_mask, mask)
    mirrored, mirrored_mask = made.load(9)
    np.testing.assert_array_equal(mirrored, image[:, ::-1])
    np.testing.assert_array_equal(mirrored_mask, mask[:, ::-1])
    soft, same = made.load(10)
    np.testing.assert_array_equal(same, mask)
    assert soft.std() < image.std()
    # Of the id alone: not of the others, nor of their number or order.
    alone = RegionExamples(choose(store, [1]), selection(), 16, rounds=2, seed=3)
    for copy in range(6):
        for one, again in zip(alone.load(copy), made.load(6 + copy), strict=True):
            np.testing.assert_array_equal(one, again)


def test_batches_carry_what_was_recorded_of_their_images():
    made = RegionExamples(paired(), selection(), 16)
    recorded = [np.full((6, 16, 16), k, "float16") * 1.0 for k in range(2)]
    for part in recorded:
        part += np.arange(6)[:, None, None] / 10
    batches = RegionBatches(made, 4, seed=1, responses=recorded)
    stream = TrainingSequence(batches, epoch=2)
    inputs, labels = stream[0]
    order = batches.order(2)[:4]
    assert inputs["image"].shape == (4, 16, 16, 6)
    assert labels["mask"].dtype == np.uint8
    np.testing.assert_allclose(
        labels["responses"][:, 0, 0], np.stack([order / 10, 1 + order / 10], -1), 1e-3
    )
    again, _ = TrainingSequence(batches, epoch=1, step=0)[1]
    np.testing.assert_array_equal(again["image"], inputs["image"])
    assert not np.array_equal(batches.order(0), batches.order(1))
    whole = WholeRegion(batches)
    assert whole.numbers() == [[0, 1, 2, 3], [4, 5]]
    with pytest.raises(DataError, match="at most 6"):
        TrainingSequence(RegionBatches(made, 7))


@pytest.mark.filterwarnings("ignore::landslide_tf.datasets.IncompleteDataWarning")
def test_a_set_of_pairs_loads_and_exports_as_any_other(tmp_path):
    write_region(tmp_path / "manual/EASTERN_TEMPERATE_FORESTS", 6)
    folders = {"data_dir": tmp_path / "tfds", "manual_dir": tmp_path / "manual"}
    store = load("ecoregion_landslides/etf", split="train", **folders)
    assert store.examples[0]["image"].shape == (40, 60, 6)
    assert {"pre_red", "post_blue"} <= set(store.description.channels)
    assert store.positive.all()
    export_arrays("ecoregion_landslides/etf", tmp_path / "arrays", **folders)
    arrays = load_arrays(tmp_path / "arrays", "ecoregion_landslides/etf", "train")
    for one, other in zip(store.examples, arrays.examples, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["mask"], other["mask"])
    region = load_region("ecoregion_landslides/etf", "train", ids=["ETF_*"], **folders)
    assert region.ids == store.ids
    with pytest.raises(DataError, match="ETF_"):
        load_region("ecoregion_landslides/etf", "train", ids=["NAD_*"], **folders)

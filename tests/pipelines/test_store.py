import dataclasses

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.pipelines import (
    describe,
    find_builder,
    from_examples,
    load,
    split_name,
)


def example(mask, name="a", size=(4, 4)):
    return {"image": np.zeros((*size, 3), np.uint8), "mask": mask, "id": name}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("mmls", ("mmls", None)),
        ("mmls/clean:test", ("mmls/clean", "test")),
        ("mmls:train[:4]", ("mmls", "train[:4]")),
    ],
)
def test_data_names_are_split(written, expected):
    assert split_name(written) == expected


@pytest.mark.parametrize("written", ["", ":test", "mmls:"])
def test_an_empty_part_of_a_data_name_is_refused(written):
    with pytest.raises(DataError, match="name\\[/config\\]"):
        split_name(written)


def test_masks_lose_their_channel_and_ids_become_text(description):
    store = from_examples([example(np.ones((4, 4, 1), int), b"x")], description)
    assert store.ids == ["x"]
    assert store.examples[0]["mask"].shape == (4, 4)
    assert store.examples[0]["mask"].dtype == np.uint8


def test_a_mask_of_another_size_is_refused(description):
    with pytest.raises(DataError, match=r"`a`.*\(4, 4\).*\(5, 4\)"):
        from_examples([example(np.zeros((5, 4)))], description)


@pytest.mark.parametrize("value", [2, 254])
def test_an_unknown_label_is_refused_by_value(description, value):
    mask = np.zeros((4, 4), np.uint8)
    mask[1, 1] = value
    with pytest.raises(DataError, match=f"label value {value}"):
        from_examples([example(mask)], description)


def test_the_ignore_label_is_no_class_and_no_error(description):
    store = from_examples([example(np.full((4, 4), 255))], description)
    assert not store.positive.any()


def test_repeated_ids_and_empty_splits_are_refused(description):
    with pytest.raises(DataError, match="repeats"):
        from_examples([example(np.zeros((4, 4)))] * 2, description)
    with pytest.raises(DataError, match="no examples"):
        from_examples([], description)


def test_unknown_data_sets_and_configurations_name_near_ones():
    with pytest.raises(DataError, match="`synthetic_landslides`"):
        find_builder("synthetic_landslide")
    with pytest.raises(DataError, match="`tiny`"):
        find_builder("synthetic_landslides/tyni")


@pytest.mark.parametrize("split", ["train[:500]", "train[a:b]", "train[:0]"])
def test_a_slice_the_split_has_not_is_one_line(tiny_data, split):
    with pytest.raises(DataError, match="tiny`, split `train") as caught:
        load("synthetic_landslides/tiny", split=split, data_dir=tiny_data)
    assert "\n" not in str(caught.value)


def test_a_data_set_without_bands_is_refused():
    with pytest.raises(DataError, match="declares no `bands`"):
        describe({}, "mnist", "train")


def test_positive_examples_are_those_with_the_landslide_class(make_store):
    store = make_store(4, positive={1, 3})
    assert store.positive.tolist() == [False, True, False, True]
    description = dataclasses.replace(store.description, landslide_class=0)
    other = from_examples(store.examples, description)
    assert other.positive.all()


def test_the_folder_of_a_built_set_is_a_name_too(tiny_data):
    folder = find_builder("synthetic_landslides/tiny", data_dir=tiny_data).data_dir
    store = load(f"{folder}:test[:3]")
    named = load("synthetic_landslides/tiny:test[:3]", data_dir=tiny_data)
    assert store.ids == named.ids and store.description.classes[0] == "landslide"
    np.testing.assert_array_equal(store.examples[2]["mask"], named.examples[2]["mask"])

"""Data sets by name as `tf.data` and as `PyDataset`."""

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.pipelines import (
    Augmentation,
    Channel,
    DataDescription,
    InputSelection,
    default_selection,
    evaluation_dataset,
    evaluation_sequence,
    find_builder,
    training_data,
    training_dataset,
    training_sequence,
)

DATA = "synthetic_landslides/tiny"


def assert_equal(one, other):
    (x, y), (z, w) = one, other
    assert x.keys() == z.keys() == {"image", "factors"}
    for key in x:
        np.testing.assert_array_equal(x[key], z[key])
    np.testing.assert_array_equal(y, w)


def test_both_forms_of_training_are_the_same_batches(tiny_data):
    options = {
        "batch_size": 4,
        "patch": 64,
        "seed": 3,
        "augmentation": Augmentation(dihedral=True),
        "data_dir": tiny_data,
    }
    data = training_dataset(DATA, **options)
    inputs, labels = data.element_spec
    assert inputs["image"].shape == (4, 64, 64, 3)
    assert inputs["factors"].shape == (4, 64, 64, 3)
    assert labels.shape == (4, 64, 64) and labels.dtype == "uint8"
    assert data.cardinality() == -1  # endless
    sequence = training_sequence(DATA, **options)
    steps = training_data(DATA, **options).steps_per_epoch
    assert steps == 160 // 4 and sequence.num_batches is None
    found = list(data.take(steps + 2).as_numpy_iterator())
    for number in (0, 7, steps + 1):
        assert_equal(found[number], sequence[number])
    other = training_dataset(DATA, **{**options, "seed": 4})
    image = next(other.as_numpy_iterator())[0]["image"]
    assert not np.array_equal(image, found[0][0]["image"])


def test_evaluation_is_every_example_once(tiny_data):
    folder = find_builder(DATA, data_dir=tiny_data).data_dir
    data = evaluation_dataset(f"{folder}:test[:11]", batch_size=4)
    sequence = evaluation_sequence(
        f"{DATA}:test[:11]", batch_size=4, data_dir=tiny_data
    )
    assert data.cardinality() == sequence.num_batches == 3
    found = list(data.as_numpy_iterator())
    assert [len(labels) for _, labels in found] == [4, 4, 3]
    for number, batch in enumerate(found):
        assert_equal(batch, sequence[number])
    default = evaluation_sequence(DATA, data_dir=tiny_data)  # validation, by 8
    assert default.num_batches == 2


def test_channels_may_be_chosen(tiny_data):
    selection = InputSelection(("blue",))
    data = training_data(
        DATA, batch_size=2, selection=selection, data_dir=tiny_data
    ).batch(0, 0)
    assert data[0].keys() == {"image"} and data[0]["image"].shape[-1] == 1
    with pytest.raises(DataError, match="no band or factor `infra`"):
        training_data(
            DATA, batch_size=2, selection=InputSelection(("infra",)), data_dir=tiny_data
        )


@pytest.mark.parametrize(
    ("bands", "image"),
    [
        (("blue", "green", "red", "nir"), ("red", "green", "blue")),
        (("vv", "vh"), ("vv", "vh")),
        (("pre_red", "post_red"), ("pre_red", "post_red")),
    ],
)
def test_colours_are_taken_where_there_are_all_three(bands, image):
    channels = {name: Channel(name, "image", k) for k, name in enumerate(bands)}
    channels["slope"] = Channel("slope", "factors", 0)
    description = DataDescription("made", "train", channels, ("no", "yes"), 1)
    assert default_selection(description) == InputSelection(image, ("slope",))

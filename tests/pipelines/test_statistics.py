"""Statistics from few examples at a time are those of all values in one array."""

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.pipelines import channel_statistics, from_examples

# A few pixels, less than a buffer, several buffers, several leaves of the sum.
SIZES = ([(3, 5)], [(90, 91)] * 2, [(120, 77)] * 9, [(600, 611), (512, 512)] * 2)


def made(description, sizes, holes):
    random = np.random.default_rng(len(sizes))
    for number, (height, width) in enumerate(sizes):
        factors = random.normal(-3, 400, (height, width, 3)).astype(np.float32)
        factors[..., 0] = np.round(factors[..., 0] / 100)  # many equal values
        if holes:
            factors[random.random((height, width)) < 0.1, 2] = -99.0
            factors[random.random((height, width)) < 0.1, 1] = np.nan
        image = random.integers(0, 256, (height, width, 4)).astype(np.uint8)
        mask = np.zeros((height, width), np.uint8)
        yield {"image": image, "factors": factors, "mask": mask, "id": str(number)}


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=len)
def test_every_digit_is_that_of_all_values_at_once(description, sizes, holes):
    store = from_examples(made(description, sizes, holes), description)
    names = ["red", "slope", "aspect", "height"]
    found = channel_statistics(store, names)
    for name in names:
        channel = description.channels[name]
        values = np.concatenate(
            [e[channel.feature][..., channel.index].ravel() for e in store.examples]
        ).astype(np.float32)
        missing = np.isnan(values)
        if channel.nodata is not None:
            missing |= values == channel.nodata
        median = np.median(values[~missing])
        values[missing] = median
        assert found[name].median == float(median)
        assert found[name].mean == float(values.mean(dtype=np.float64))
        assert found[name].std == float(values.std(dtype=np.float64))


def test_a_channel_of_one_value_has_a_deviation_to_divide_by(make_store):
    store = make_store(2)
    for example in store.examples:
        example["factors"][..., 0] = 7
    found = channel_statistics(store, ["slope"])["slope"]
    assert (found.mean, found.std, found.median) == (7, 1, 7)


def test_a_channel_without_values_is_named(make_store):
    store = make_store(2)
    for example in store.examples:
        example["factors"][..., 2] = -99.0
    with pytest.raises(DataError, match=r"`height` of `made/up` has no values"):
        channel_statistics(store, ["slope", "height"])

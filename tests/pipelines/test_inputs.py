import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.pipelines import InputSelection, channel_statistics, class_shares


def test_channels_are_chosen_by_name_in_order_and_scaled(make_store):
    store = make_store(1)
    selection = InputSelection(("blue", "nir", "red"), ("height",), image_scale=2.0)
    inputs = selection.inputs(store.examples[0], store.description.channels)
    expected = store.examples[0]["image"][..., [2, 3, 0]] * np.float32(2)
    np.testing.assert_array_equal(inputs["image"], expected)
    assert inputs["factors"].shape == (8, 8, 1)
    assert inputs["image"].dtype == inputs["factors"].dtype == np.float32


def test_nodata_becomes_nan_or_the_fill(make_store):
    store = make_store(1)
    store.examples[0]["factors"][2, 3, 2] = -99.0
    store.examples[0]["factors"][4, 4, 2] = np.nan
    channels = store.description.channels
    empty = InputSelection(("red",), ("height",)).inputs(store.examples[0], channels)
    assert np.isnan(empty["factors"][[2, 4], [3, 4], 0]).all()
    assert np.isnan(empty["factors"]).sum() == 2
    filled = InputSelection(("red",), ("height",), fill={"height": 7.0})
    values = filled.inputs(store.examples[0], channels)["factors"]
    assert values[2, 3, 0] == values[4, 4, 0] == 7.0


def test_statistics_leave_missing_values_out(make_store):
    store = make_store(3)
    values = np.stack([e["factors"][..., 2] for e in store.examples])
    for e in store.examples:
        e["factors"][0, :, 2] = -99.0
    kept = values[:, 1:].astype(float)
    median = np.median(kept)
    full = np.concatenate([kept.ravel(), np.full(values[:, 0].size, median)])
    found = channel_statistics(store, ["height"])["height"]
    assert found.median == pytest.approx(median)
    assert found.mean == pytest.approx(full.mean())
    assert found.std == pytest.approx(full.std())


def test_degrees_are_encoded_by_name_and_the_rest_standardised(make_store):
    store = make_store(2)
    selection = InputSelection(("red",), ("slope", "height"))
    statistics = channel_statistics(store, selection.factors)
    kinds = selection.factor_kinds(store.description.channels, statistics)
    height = statistics["height"]
    assert kinds == ("slope", ("standardise", height.mean, height.std))


def test_an_unknown_channel_names_near_ones(make_store):
    with pytest.raises(DataError, match="`slope`"):
        InputSelection(("red",), ("slop",)).check(make_store(1))


def test_class_shares_leave_ignored_pixels_out(make_store):
    store = make_store(1)
    store.examples[0]["mask"][4:] = 255
    np.testing.assert_allclose(class_shares(store), [26 / 32, 6 / 32])

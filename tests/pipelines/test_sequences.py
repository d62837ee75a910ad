"""`py_dataset` gives the batches of `dataset`, by number."""

import numpy as np
import pytest

from landslide_tf.pipelines import (
    Augmentation,
    EvaluationBatches,
    InputSelection,
    TrainingBatches,
    evaluation_stream,
    training_stream,
)
from landslide_tf.pipelines.sequences import EvaluationSequence, TrainingSequence

SELECTION = InputSelection(("red", "nir"), ("slope", "aspect"))
SIZES = [(8, 8), (8, 8), (5, 9), (12, 3), (8, 8), (8, 8), (8, 8)]


def assert_equal(one, other):
    (x, y), (z, w) = one, other
    assert x.keys() == z.keys() and y.dtype == w.dtype
    np.testing.assert_array_equal(y, w)
    for key in x:
        assert x[key].dtype == z[key].dtype
        np.testing.assert_array_equal(x[key], z[key], err_msg=key)


@pytest.mark.parametrize("options", [{}, {"patch": 6, "draws": 2}], ids=str)
@pytest.mark.parametrize("start", [(0, 0), (3, 1)])
def test_the_stream_is_that_of_tensorflow(make_store, options, start):
    batches = TrainingBatches(
        make_store(7, SIZES, positive={0, 3, 5}),
        SELECTION,
        batch_size=2,
        seed=4,
        augmentation=Augmentation(dihedral=True, brightness=0.2),
        positive_fraction=0.5,
        **options,
    )
    count = 2 * batches.steps_per_epoch + 1
    sequence = TrainingSequence(batches, *start)
    expected = list(training_stream(batches, *start).take(count).as_numpy_iterator())
    assert sequence.num_batches is None
    # Backwards, so that no batch can lean on the one before it.
    for number in reversed(range(count)):
        assert_equal(expected[number], sequence[number])


def test_validation_is_that_of_tensorflow(make_store):
    batches = EvaluationBatches(make_store(7, SIZES), SELECTION, batch_size=2)
    sequence = EvaluationSequence(batches)
    expected = list(evaluation_stream(batches).as_numpy_iterator())
    assert sequence.num_batches == len(expected) == len(batches)
    for number in reversed(range(len(expected))):
        assert_equal(expected[number], sequence[number])

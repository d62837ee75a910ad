import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.metrics import decide, landslide_index

PROBABILITIES = np.array(
    [[0.30, 0.60, 0.10], [0.25, 0.25, 0.50], [0.90, 0.05, 0.05], [0.2, 0.4, 0.4]]
)


def test_without_threshold_it_is_the_argmax():
    assert decide(PROBABILITIES, landslide_class=0).tolist() == [1, 2, 0, 1]


def test_threshold_is_inclusive_and_the_rest_goes_to_the_best_other_class():
    received = decide(PROBABILITIES, landslide_class=0, threshold=0.25)
    assert received.tolist() == [0, 0, 0, 1]
    # A high threshold takes landslide away where it had been the argmax.
    received = decide(PROBABILITIES, landslide_class=0, threshold=0.95)
    assert received.tolist() == [1, 2, 1, 1]
    assert received.dtype == np.uint8


def test_threshold_at_the_extremes():
    assert set(decide(PROBABILITIES, landslide_class=2, threshold=0.0)) == {2}
    assert 2 not in decide(PROBABILITIES, landslide_class=2, threshold=1.0)


def test_sigmoid_models():
    probabilities = np.array([[[0.49], [0.5]], [[0.7], [0.1]]], np.float32)
    received = decide(probabilities, landslide_class="sigmoid")
    assert received.tolist() == [[0, 1], [1, 0]]
    received = decide(probabilities, landslide_class="sigmoid", threshold=0.6)
    assert received.tolist() == [[0, 0], [1, 0]]
    assert landslide_index("sigmoid") == 1
    assert landslide_index(3) == 3


def test_input_is_left_alone():
    before = PROBABILITIES.copy()
    decide(PROBABILITIES, landslide_class=1, threshold=0.9)
    np.testing.assert_array_equal(PROBABILITIES, before)


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match=r"Expected 1 output channel.*received 3"):
        decide(PROBABILITIES, landslide_class="sigmoid")
    with pytest.raises(ModelError, match=r"from 0 to 2.*received 3"):
        decide(PROBABILITIES, landslide_class=3)

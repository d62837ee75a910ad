import json

import keras
import numpy as np
import pytest

from landslide_tf.errors import RecipeError
from landslide_tf.train.optimizers import SplitOptimizer


def variables():
    return [keras.Variable([1.0, -2.0]), keras.Variable([[3.0]]), keras.Variable([0.5])]


def gradients(step):
    random = np.random.default_rng(step)
    shapes = ((2,), (1, 1), (1,))
    return [
        keras.ops.convert_to_tensor(random.normal(size=s), "float32") for s in shapes
    ]


def sgd():
    return keras.optimizers.SGD(0.1, momentum=0.9)


def adam():
    return keras.optimizers.Adam(0.01, beta_1=0.9, beta_2=0.99)


def test_each_part_moves_as_if_it_were_alone():
    own, other = variables(), variables()
    both = SplitOptimizer(sgd(), adam(), 2)
    first, second = sgd(), adam()
    for step in range(5):
        both.apply(gradients(step), own)
        a, b, c = gradients(step)
        first.apply([a, b], other[:2])
        second.apply([c], other[2:])
    for mine, its in zip(own, other, strict=True):
        np.testing.assert_array_equal(mine.numpy(), its.numpy())
    assert int(both.iterations.numpy()) == 5
    assert float(both.learning_rate.numpy()) == pytest.approx(0.1)
    # Everything a checkpoint needs: its own two, and those of both.
    known = 2 + len(first.variables) + len(second.variables)
    assert len(both.variables) == known


def test_its_config_is_json():
    config = json.loads(json.dumps(SplitOptimizer(sgd(), adam(), 2).get_config()))
    again = SplitOptimizer.from_config(config)
    assert isinstance(again.first, keras.optimizers.SGD) and again.count == 2
    assert isinstance(again.second, keras.optimizers.Adam)
    assert again.second.get_config() == config["second"]["config"]


@pytest.mark.parametrize(
    ("first", "count", "word"),
    [
        (sgd(), 0, "count"),
        (keras.optimizers.SGD(0.1, use_ema=True), 1, "ema"),
        (keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), 1, "accumulation"),
    ],
)
def test_refuses(first, count, word):
    with pytest.raises(RecipeError, match=word):
        SplitOptimizer(first, adam(), count)

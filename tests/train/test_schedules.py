import math

import keras
import pytest

from landslide_tf.errors import RecipeError
from landslide_tf.train.optimizers import make_schedule


def test_step_policy_goldens():
    schedule = make_schedule("step", 1e-3, steps=15000)
    for iteration, expected in ((0, 1e-3), (14999, 1e-3), (15000, 1e-4), (30000, 1e-5)):
        assert float(schedule(iteration)) == pytest.approx(expected, rel=1e-6)
    assert float(make_schedule("step", 1.0, steps=3, factor=0.5)(7)) == 0.25


def test_cosine_and_poly_follow_their_formulas_and_stay_at_the_end():
    cosine = make_schedule("cosine", 0.4, steps=10, final_learning_rate=0.1)
    poly = make_schedule("poly", 0.4, steps=10, final_learning_rate=0.1, power=0.9)
    for step in (0, 3, 9):
        expected = 0.1 + 0.3 * 0.5 * (1 + math.cos(math.pi * step / 10))
        assert float(cosine(step)) == pytest.approx(expected, rel=1e-6)
        expected = 0.1 + 0.3 * (1 - step / 10) ** 0.9
        assert float(poly(step)) == pytest.approx(expected, rel=1e-6)
    for schedule in (cosine, poly):
        assert float(schedule(10)) == float(schedule(500)) == pytest.approx(0.1)


def test_constant_is_a_number_that_callbacks_can_change():
    assert make_schedule("constant", 0.02) == 0.02


@pytest.mark.parametrize("kind", ["step", "cosine", "poly"])
def test_schedules_survive_serialisation(kind):
    schedule = make_schedule(kind, 0.1, steps=7)
    restored = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(schedule)
    )
    assert [float(restored(i)) for i in range(9)] == [
        float(schedule(i)) for i in range(9)
    ]


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("cosin", {"steps": 5}, r"cannot be `cosin`.*`cosine`"),
        ("step", {}, r"`steps` of at least 1.*`step`.*None"),
        ("poly", {"steps": 0}, r"received 0"),
        ("step", {"steps": 5, "factor": 0.0}, "`factor` above 0 and at most 1"),
        ("poly", {"steps": 5, "power": 0.0}, "`power` above 0"),
        ("cosine", {"steps": 5, "final_learning_rate": 0.2}, "`final_learning_rate`"),
        ("constant", {"learning_rate": 0.0}, "`learning_rate` above 0"),
        ("step", {"learning_rate": math.nan, "steps": 5}, "received nan"),
    ],
)
def test_bad_arguments_are_refused(kind, arguments, message):
    with pytest.raises(RecipeError, match=message) as error:
        make_schedule(kind, **{"learning_rate": 0.1, **arguments})
    assert "\n" not in str(error.value)

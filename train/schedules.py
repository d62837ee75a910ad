"""Learning rate schedules over the iterations (batches) of a run."""

from __future__ import annotations

import math
from typing import Literal, get_args

import keras

from landslide_tf.errors import RecipeError, did_you_mean

ScheduleKind = Literal["constant", "step", "cosine", "poly"]


def make_schedule(
    kind: ScheduleKind,
    learning_rate: float,
    *,
    steps: int | None = None,
    factor: float = 0.1,
    power: float = 0.9,
    final_learning_rate: float = 0.0,
    warmup_steps: int = 0,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Makes a learning rate schedule.

    With η₀ the initial rate, it the 0-based iteration and T = `steps`:

    - `"constant"`: η₀, which callbacks may change.
    - `"step"`: η₀ · factor^⌊it / T⌋ (Caffe's policy; Xia et al. 2021 use T = 15000 and
      factor 0.1).
    - `"cosine"`: half a cosine from η₀ to the final rate (Loshchilov and Hutter 2017,
      equation 5, without restarts).
    - `"poly"`: final + (η₀ − final) · (1 − it / T)^power (Chen et al. 2018, section
      4.1, with power 0.9).

    `"cosine"` and `"poly"` stay at the final rate after T.

    Args:
        kind: Which one.
        learning_rate: η₀ > 0.
        steps: T in iterations, at least 1; needed by all but `"constant"`.
        factor: What `"step"` multiplies by, in (0, 1].
        power: Exponent of `"poly"`, above 0.
        final_learning_rate: Last rate of `"cosine"` and `"poly"`, from 0 to η₀.
        warmup_steps: Iterations in which `"cosine"` first rises from 0 to η₀ in a
            line; they are part of T.

    Returns:
        A Keras schedule, or the rate itself for `"constant"`.

    Raises:
        RecipeError: If an argument is not valid.
    """
    schedules = keras.optimizers.schedules
    if kind not in get_args(ScheduleKind):
        hint = did_you_mean(str(kind), get_args(ScheduleKind))
        raise RecipeError(f"`schedule.kind` cannot be `{kind}`.{hint}")
    _require("learning_rate", learning_rate, learning_rate > 0, "above 0")
    if kind == "constant":
        return learning_rate
    if steps is None or steps < 1:
        raise RecipeError(
            f"Expected `steps` of at least 1 for the `{kind}` schedule, received "
            f"{steps}; give the number of iterations."
        )
    if kind == "step":
        _require("factor", factor, 0 < factor <= 1, "above 0 and at most 1")
        return schedules.ExponentialDecay(learning_rate, steps, factor, staircase=True)
    within = 0 <= final_learning_rate <= learning_rate
    _require("final_learning_rate", final_learning_rate, within, "from 0 to the first")
    if kind == "cosine":
        _require("warmup_steps", warmup_steps, 0 <= warmup_steps < steps, "below T")
        rising = {"warmup_target": learning_rate, "warmup_steps": warmup_steps}
        return schedules.CosineDecay(
            0.0 if warmup_steps else learning_rate,
            steps - warmup_steps,
            alpha=final_learning_rate / learning_rate,
            **(rising if warmup_steps else {}),
        )
    _require("power", power, power > 0, "above 0")
    return schedules.PolynomialDecay(
        learning_rate, steps, end_learning_rate=final_learning_rate, power=power
    )


def _require(name: str, value: float, holds: bool, rule: str) -> None:
    if not (holds and math.isfinite(value)):
        raise RecipeError(
            f"Expected `{name}` {rule}, received {value}; correct the schedule."
        )

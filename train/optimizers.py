"""Optimisers where Keras's own do not do what is meant, and learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, get_args

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.choices import Decay, ScheduleKind
from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.layers.replicas import replicated
from landslide_tf.train.multiplied_rates import MultipliedRates

LearningRate: TypeAlias = (
    float | keras.optimizers.schedules.LearningRateSchedule | Callable[[], float]
)


@keras.saving.register_keras_serializable(package="landslide_tf")
class CoupledSGD(MultipliedRates, keras.optimizers.SGD):
    """SGD with momentum whose weight decay is part of the gradient (L2, as in Caffe).

    Δ ← η · (d · S + ∂J/∂S) + m · Δ, S ← S − Δ (Xia et al. 2021, equations 3 and 4). The
    `weight_decay` of `keras.optimizers.SGD` acts outside the velocity, where momentum
    does not amplify it: it is about 1/(1 − m) times weaker from the second step on.

    The decay term is made from the float32 variable, after loss unscaling and gradient
    clipping.

    Args:
        learning_rate: η > 0, or a schedule over the iterations.
        momentum: m in [0, 1].
        weight_decay: d ≥ 0.
        decay: `"kernels"` decays variables whose name ends in `kernel` (no bias, no
            normalisation); `"all"` decays every variable, as the equation does.
        multipliers: As in `MultipliedRates`.
        **kwargs: Further arguments of `keras.optimizers.SGD` (clipping, averaging,
            accumulation, name), but for `nesterov`.

    Raises:
        RecipeError: If an argument is not valid.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        decay: Decay = "kernels",
        multipliers: Mapping[str, float] | None = None,
        **kwargs: Any,  # the many optional arguments of the Keras base class
    ) -> None:
        if not 0 <= momentum <= 1:
            raise RecipeError(
                f"Expected `momentum` from 0 to 1, received {momentum}; 0.9 is usual."
            )
        if decay not in ("kernels", "all"):
            raise RecipeError(
                f"Expected `decay` to be `kernels` or `all`, received `{decay}`; "
                "`kernels` leaves biases and normalisation alone."
            )
        super().__init__(
            multipliers=multipliers,
            weight_decay=weight_decay,
            learning_rate=learning_rate,
            momentum=float(momentum),
            **kwargs,
        )
        self.decay = decay

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the velocities and settles which variables decay.

        Args:
            variables: The trainable variables.
        """
        if not self.built:
            self._decays = [self.decay == "all" or is_kernel(v) for v in variables]
        super().build(variables)

    def decayed(self, gradient: Tensor, variable: Tensor, rate: Tensor) -> Tensor:
        """Returns the gradient with the decay term of equation 3.

        Args:
            gradient: The variable's gradient, unscaled and clipped.
            variable: The variable.
            rate: Its learning rate, which also multiplies what is returned.
        """
        del rate
        if not (self.own_decay and self._decays[self._get_variable_index(variable)]):
            return gradient
        ops, share = keras.ops, keras.ops.cast(self.own_decay, variable.dtype)
        return ops.add(
            ops.cast(gradient, variable.dtype), ops.multiply(variable, share)
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        config = super().get_config()
        del config["nesterov"]
        return {**config, "decay": self.decay}


def is_kernel(variable: keras.Variable) -> bool:
    """Says whether a variable is the kernel of a layer.

    Args:
        variable: A Keras variable.

    Returns:
        True for `kernel`, `depthwise_kernel` and the like; False for biases, the γ and
        β of normalisation layers, and anything else.
    """
    return variable.name.endswith("kernel")


@keras.saving.register_keras_serializable(package="landslide_tf")
class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """Loss scaling for float16 that several replicas agree on.

    Keras looks for overflow in each replica's gradients before it adds them, and takes
    the first replica's finding for all: an overflow on another one would reach the
    weights. Here a step is left out on every replica if it overflowed on any. Arguments
    are those of `keras.optimizers.LossScaleOptimizer`.
    """

    def check_finite(self, grads: Sequence[Tensor | None]) -> Tensor:
        """Says whether the gradients of every replica are finite.

        Args:
            grads: This replica's gradients.

        Returns:
            A bool scalar, the same on every replica.
        """
        finite = super().check_finite(grads)
        if not replicated():
            return finite
        import tensorflow as tf

        overflows = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM, 1.0 - tf.cast(finite, "float32")
        )
        return tf.equal(overflows, 0.0)


@keras.saving.register_keras_serializable(package="landslide_tf")
class SplitOptimizer(keras.optimizers.Optimizer):
    """Lets one optimiser update the first variables of a model, another one the rest.

    Both take their step at once, from the gradients of one loss. That is how networks
    that play against each other are trained by one step of Keras: with mixed
    precision, several replicas and checkpoints as for any optimiser.

    Args:
        first: Updates the first `count` trainable variables.
        second: Updates the others.
        count: How many, at least 1.
        name: Name of the optimiser.

    Raises:
        RecipeError: If `count` is not valid, or one of the two averages weights or
            accumulates gradients.
    """

    def __init__(
        self,
        first: keras.optimizers.Optimizer,
        second: keras.optimizers.Optimizer,
        count: int,
        name: str = "split_optimizer",
    ) -> None:
        super().__init__(learning_rate=0.0, name=name)
        if count < 1:
            raise RecipeError(f"Expected `count` of at least 1, received {count}.")
        for part in (first, second):
            if part.use_ema or part.gradient_accumulation_steps:
                raise RecipeError(
                    "Expected optimisers without `ema` and `accumulation`, received "
                    f"one in `{part.name}`: leave them out."
                )
        self.first = first
        self.second = second
        self.count = count

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the variables of both.

        Args:
            variables: The trainable variables of the model, in its order.
        """
        if self.built:
            return
        super().build(variables)
        self.first.build(variables[: self.count])
        self.second.build(variables[self.count :])

    @property
    def variables(self) -> list[keras.Variable]:
        """Own variables and those of both, in this order."""
        return [*super().variables, *self.first.variables, *self.second.variables]

    @property
    def learning_rate(self) -> Tensor:
        """Rate of the first, which is what logs show."""
        return self.first.learning_rate

    def apply(
        self,
        grads: Sequence[Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Lets both take a step.

        Args:
            grads: A gradient for each variable it was built with.
            trainable_variables: These variables; needed if it is not built.
        """
        if not self.built:
            self.build(list(trainable_variables or ()))
        grads = list(grads)
        self.first.apply(grads[: self.count])
        self.second.apply(grads[self.count :])
        self.iterations.assign_add(1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        serialize = keras.optimizers.serialize
        return {
            "first": serialize(self.first),
            "second": serialize(self.second),
            "count": self.count,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,  # as Keras calls it
    ) -> SplitOptimizer:
        """Returns the optimiser of a config."""
        parts = {
            key: keras.optimizers.deserialize(config[key], custom_objects)
            for key in ("first", "second")
        }
        return cls(**{**config, **parts})


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

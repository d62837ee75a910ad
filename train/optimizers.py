"""Optimisers where Keras's own do not do what is meant."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import RecipeError
from landslide_tf.layers.replicas import replicated

LearningRate = (
    float | keras.optimizers.schedules.LearningRateSchedule | Callable[[], float]
)


@keras.saving.register_keras_serializable(package="landslide_tf")
class CoupledSGD(keras.optimizers.SGD):
    """SGD with momentum whose weight decay is part of the gradient (L2, as in Caffe).

    Δ ← η · (d · S + ∂J/∂S) + m · Δ, S ← S − Δ (Xia et al. 2021, equations 3 and 4). The
    `weight_decay` of `keras.optimizers.SGD` acts outside the velocity, where momentum
    does not amplify it: it is about 1/(1 − m) times weaker from the second step on.

    The decay term is made from the float32 variable, after loss unscaling and gradient
    clipping; Keras's own `optimizer.weight_decay` therefore stays None.

    Args:
        learning_rate: η > 0, or a schedule over the iterations.
        momentum: m in [0, 1].
        weight_decay: d ≥ 0.
        decay: `"kernels"` decays variables whose name ends in `kernel` (no bias, no
            normalisation); `"all"` decays every variable, as the equation does.
        multipliers: What η is multiplied by, by pattern of variable paths with shell
            wildcards, such as `{"conv1_*": 1, "*": 10}`. The first pattern that fits
            holds; without one it is 1. The decay term is multiplied too, as where
            every group of variables has a learning rate of its own.
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
        decay: Literal["kernels", "all"] = "kernels",
        multipliers: Mapping[str, float] | None = None,
        **kwargs: Any,  # the many optional arguments of the Keras base class
    ) -> None:
        if not (math.isfinite(weight_decay) and weight_decay >= 0):
            raise RecipeError(
                f"Expected `weight_decay` of at least 0, received {weight_decay}; 0 "
                "switches it off."
            )
        if not 0 <= momentum <= 1:
            raise RecipeError(
                f"Expected `momentum` from 0 to 1, received {momentum}; 0.9 is usual."
            )
        if decay not in ("kernels", "all"):
            raise RecipeError(
                f"Expected `decay` to be `kernels` or `all`, received `{decay}`; "
                "`kernels` leaves biases and normalisation alone."
            )
        multipliers = dict(multipliers or {})
        for pattern, factor in multipliers.items():
            if not (math.isfinite(factor) and factor > 0):
                raise RecipeError(
                    f"Expected `multipliers` above 0, received {factor} for "
                    f"`{pattern}`; freeze a layer to leave it as it is."
                )
        super().__init__(
            learning_rate=learning_rate, momentum=float(momentum), **kwargs
        )
        self.multipliers = multipliers
        self.coupled_decay = float(weight_decay)
        self.decay = decay

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the velocities and settles which variables decay.

        Args:
            variables: The trainable variables.
        """
        if not self.built:
            # By index, as for the velocities: on TensorFlow `update_step` receives
            # the native variable, which does not know its Keras name.
            self._decays = [self.decay == "all" or is_kernel(v) for v in variables]
            self._factors = [self._multiplier(v.path) for v in variables]
        super().build(variables)

    def _multiplier(self, path: str) -> float:
        for pattern, factor in self.multipliers.items():
            if fnmatch.fnmatchcase(path, pattern):
                return float(factor)
        return 1.0

    def update_step(
        self, gradient: Tensor, variable: Tensor, learning_rate: Tensor
    ) -> None:
        """Updates one variable.

        Args:
            gradient: Its gradient, unscaled and clipped.
            variable: The variable.
            learning_rate: η of this step.
        """
        ops, number = keras.ops, self._get_variable_index(variable)
        if self.coupled_decay and self._decays[number]:
            rate = ops.cast(self.coupled_decay, variable.dtype)
            gradient = ops.add(
                ops.cast(gradient, variable.dtype), ops.multiply(variable, rate)
            )
        if self._factors[number] != 1:
            learning_rate = ops.multiply(learning_rate, self._factors[number])
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        config = super().get_config()
        del config["nesterov"]
        return {
            **config,
            "weight_decay": self.coupled_decay,
            "decay": self.decay,
            "multipliers": self.multipliers,
        }


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

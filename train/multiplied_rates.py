"""Optimisers that give groups of variables learning rates of their own."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import RecipeError


class MultipliedRates(keras.optimizers.Optimizer):
    """Base of optimisers whose variables have learning rates of their own.

    A decoupled weight decay is multiplied like the learning rate, as where every group
    of variables has an optimiser of its own. It is applied here, since Keras's knows
    one learning rate alone; Keras's own `optimizer.weight_decay` therefore stays None.

    Args:
        multipliers: What the learning rate is multiplied by, by pattern of variable
            paths with shell wildcards, such as `{"conv1_*": 1, "*": 10}`. The first
            pattern that fits holds; without one it is 1.
        weight_decay: Share of every variable that a step takes off, times its learning
            rate (Loshchilov and Hutter 2019, algorithm 2, line 12), ≥ 0.
        **kwargs: Further arguments of the Keras optimiser.

    Raises:
        RecipeError: If an argument is not valid.
    """

    def __init__(
        self,
        *,
        multipliers: Mapping[str, float] | None = None,
        weight_decay: float = 0.0,
        **kwargs: Any,  # the many optional arguments of the Keras base classes
    ) -> None:
        if not (math.isfinite(weight_decay) and weight_decay >= 0):
            raise RecipeError(
                f"Expected `weight_decay` of at least 0, received {weight_decay}; 0 "
                "switches it off."
            )
        multipliers = dict(multipliers or {})
        for pattern, factor in multipliers.items():
            if not (math.isfinite(factor) and factor > 0):
                raise RecipeError(
                    f"Expected `multipliers` above 0, received {factor} for "
                    f"`{pattern}`; freeze a layer to leave it as it is."
                )
        super().__init__(**kwargs)
        self.multipliers = multipliers
        self.own_decay = float(weight_decay)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates what the optimiser remembers and settles each variable's rate.

        Args:
            variables: The trainable variables.
        """
        if not self.built:
            # By index, as for the velocities: on TensorFlow `update_step` receives
            # the native variable, which does not know its Keras name.
            self._factors = [self._multiplier(v.path) for v in variables]
        super().build(variables)

    def _multiplier(self, path: str) -> float:
        for pattern, factor in self.multipliers.items():
            if fnmatch.fnmatchcase(path, pattern):
                return float(factor)
        return 1.0

    def decayed(self, gradient: Tensor, variable: Tensor, rate: Tensor) -> Tensor:
        """Applies the weight decay to a variable.

        Args:
            gradient: Its gradient, unscaled and clipped.
            variable: The variable.
            rate: Its learning rate of this step.

        Returns:
            The gradient to go on with.
        """
        if self.own_decay:
            share = keras.ops.cast(rate, variable.dtype) * self.own_decay
            self.assign_sub(variable, keras.ops.multiply(variable, share))
        return gradient

    def update_step(
        self, gradient: Tensor, variable: Tensor, learning_rate: Tensor
    ) -> None:
        """Updates one variable.

        Args:
            gradient: Its gradient, unscaled and clipped.
            variable: The variable.
            learning_rate: Learning rate of this step, not multiplied.
        """
        factor = self._factors[self._get_variable_index(variable)]
        if factor != 1:
            learning_rate = keras.ops.multiply(learning_rate, factor)
        gradient = self.decayed(gradient, variable, learning_rate)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        own = {"weight_decay": self.own_decay, "multipliers": self.multipliers}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="landslide_tf")
class MultipliedSGD(MultipliedRates, keras.optimizers.SGD):
    """SGD whose variables have learning rates of their own (`MultipliedRates`)."""


@keras.saving.register_keras_serializable(package="landslide_tf")
class MultipliedAdam(MultipliedRates, keras.optimizers.Adam):
    """Adam, with weight decay AdamW, with several rates (`MultipliedRates`)."""

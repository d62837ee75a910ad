"""Two optimisers that share the variables of one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import RecipeError


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

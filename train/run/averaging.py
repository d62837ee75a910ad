"""The moving average of the weights, where the optimiser keeps one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def averages(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Returns the moving averages of a model's trainable variables.

    Args:
        model: A compiled model whose optimiser is built.

    Returns:
        Arrays by variable path; empty where the optimiser keeps no average.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        return {}
    # Keras's own SwapEMAWeights reads these names; there is no public one.
    pairs = zip(
        optimizer._trainable_variables,
        optimizer._model_variables_moving_average,
        strict=True,
    )
    return {variable.path: np.array(average.numpy()) for variable, average in pairs}


class ValidateAverages(keras.callbacks.Callback):
    """Validates with the averaged weights and puts the trained ones back exactly.

    Keras's `SwapEMAWeights` swaps by adding and subtracting, which rounds: validation
    would change the training.
    """

    def __init__(self) -> None:
        super().__init__()
        self._trained: list[NDArray[Any]] = []

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Puts the averages into the model."""
        found = averages(self.model)
        variables = self.model.trainable_variables
        self._trained = [np.array(v.numpy()) for v in variables]
        for variable in variables:
            variable.assign(found[variable.path])

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Puts the trained weights back."""
        for variable, value in zip(
            self.model.trainable_variables, self._trained, strict=True
        ):
            variable.assign(value)

"""The methods of a comparison by name, and what they need beyond a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from landslide_tf.errors import RecipeError, RunError, did_you_mean

METHODS = {
    "fresh": "a network of its own for every region",
    "finetune": "a decoder a region; warm-up, then trunk and new decoder",
    "feature_extraction": "a decoder a region; the trunk stays as after the first",
    "joint_all": "all regions at once, a decoder a region (upper bound)",
    "joint_all_single": "all regions at once, one decoder",
    "ewc": "finetune with elastic weight consolidation of the trunk",
    "lwf": "updates that preserve responses by learning without forgetting",
    "single_head": "one decoder for all regions, trained with one after the other",
    "replay": "finetune that keeps a few examples of every old region",
    "tsmu": "task-specific model updates, as the recipe says",
}
# One runs a decoder on images of its own region only, one takes gradients itself.
_TENSORFLOW = ("joint_all", "ewc")


@dataclass(frozen=True)
class MethodOptions:
    """What the baselines need beyond a recipe.

    Attributes:
        ewc_strength: λ of elastic weight consolidation.
        buffer: Examples that `replay` keeps of every old region.
        balance: Whether `joint_all` trains equally often with every region.
    """

    ewc_strength: float = 100.0
    buffer: int = 10
    balance: bool = False

    def __post_init__(self) -> None:
        for name, value in (
            ("ewc_strength", self.ewc_strength),
            ("buffer", self.buffer),
        ):
            if value <= 0:
                raise RecipeError(f"`{name}` must be above 0, received {value}.")


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """Returns names of methods in the order of `METHODS`.

    Raises:
        RecipeError: If there is no such method.
    """
    for name in names:
        if name not in METHODS:
            raise RecipeError(
                f"There is no method `{name}`: expected some of {', '.join(METHODS)}."
                f"{did_you_mean(name, METHODS)}"
            )
    return tuple(name for name in METHODS if name in names)


def check_backend(method: str) -> None:
    """Refuses a method that Keras's backend cannot train.

    Raises:
        RunError: If it needs TensorFlow and this is another backend.
    """
    backend = keras.backend.backend()
    if method in _TENSORFLOW and backend != "tensorflow":
        raise RunError(
            f"The method `{method}` needs the Keras backend `tensorflow`, received "
            f"`{backend}`: leave it out of `--methods`."
        )

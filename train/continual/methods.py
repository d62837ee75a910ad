"""The methods of continual training: stages of each, and what they need besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from landslide_tf.errors import RecipeError, RunError, did_you_mean
from landslide_tf.train.continual.recipe import ContinualRecipe

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
UPDATES = ("tsmu", "lwf")
AT_ONCE = ("joint_all", "joint_all_single")
# One runs a decoder on images of its own region only, one takes gradients itself.
_TENSORFLOW = ("joint_all", "ewc")


@dataclass(frozen=True)
class MethodOptions:
    """Options of the baselines besides the recipe.

    Attributes:
        ewc_strength: λ of elastic weight consolidation, above 0.
        buffer: Examples that `replay` keeps of every old region, above 0.
        balance: Whether `joint_all` trains equally often with every region.
    """

    ewc_strength: float = 100.0
    buffer: int = 10
    balance: bool = False

    def __post_init__(self) -> None:
        for name in ("ewc_strength", "buffer"):
            if getattr(self, name) <= 0:
                received = getattr(self, name)
                raise RecipeError(f"`{name}` must be above 0, received {received}.")


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


def stage_names(recipe: ContinualRecipe, method: str = "tsmu") -> list[str]:
    """Returns every stage of a method in order, such as `1_warmup`.

    Args:
        recipe: Regions and stages.
        method: A name of `METHODS`.

    Returns:
        Number of the step and kind of the stage: `base`, `anchor`, `warmup`, `record`,
        `joint`, `single`, `all` or `evaluate`.
    """
    last = len(recipe.regions) - 1
    if method in AT_ONCE:
        return [f"{last}_all", f"{last}_evaluate"]
    kinds = ["base"] if method == "fresh" else _kinds_of_update(recipe, method)
    steps = [["base"], *[kinds] * last]
    return [
        f"{step}_{kind}"
        for step, own in enumerate(steps)
        for kind in (*own, "evaluate")
    ]


def _kinds_of_update(recipe: ContinualRecipe, method: str) -> list[str]:
    """Returns the stages of a step after the first."""
    if method == "single_head":
        return ["single"]
    if method == "feature_extraction":
        return ["warmup"]
    if method not in UPDATES:
        return [*(["anchor"] if method == "ewc" else []), "warmup", "joint"]
    kinds = list(recipe.stages)
    if "joint" in kinds and recipe.joint.responses == "recorded":
        kinds.insert(-1, "record")
    return kinds

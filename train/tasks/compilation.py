"""Loss, optimiser and metrics of a recipe, as Keras's `compile` takes them."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.losses import (
    BoundaryLoss,
    CrossEntropyDiceLoss,
    DiceLoss,
    FocalLoss,
    ReleasedLoss,
    SegmentationCrossEntropy,
    TverskyLoss,
)
from landslide_tf.metrics import ConfusionMatrix
from landslide_tf.models.layer_groups import LAYER_GROUPS
from landslide_tf.pipelines import DataDescription
from landslide_tf.train.multiplied_rates import MultipliedAdam, MultipliedSGD
from landslide_tf.train.optimizers import CoupledSGD, LossScaleOptimizer, make_schedule
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.words import counted

LOSSES: dict[str, type[keras.losses.Loss]] = {
    "cross_entropy": SegmentationCrossEntropy,
    "focal": FocalLoss,
    "dice": DiceLoss,
    "tversky": TverskyLoss,
    "cross_entropy_dice": CrossEntropyDiceLoss,
    "boundary": BoundaryLoss,
    "released": ReleasedLoss,
}
_SETTLED = {"name", "ignore_class", "class_weights", "from_logits", "formula"}


def make_rate(
    recipe: Recipe, steps_per_epoch: int, learning_rate: float
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns a learning rate that falls from its first value as a recipe says."""
    schedule = recipe.schedule
    steps = schedule.steps
    if steps is None and schedule.kind != "step":
        steps = recipe.training.epochs * steps_per_epoch
    share = learning_rate / recipe.optimizer.learning_rate
    return make_schedule(
        schedule.kind,
        learning_rate,
        steps=steps,
        factor=schedule.factor,
        power=schedule.power,
        final_learning_rate=share * schedule.final_learning_rate,
        warmup_steps=schedule.warmup_steps,
    )


def make_optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Returns the optimiser of a recipe with its learning-rate schedule."""
    section = recipe.optimizer
    multipliers = _multipliers(section.head_multiplier)
    common: dict[str, Any] = {
        "learning_rate": make_rate(recipe, steps_per_epoch, section.learning_rate),
        "clipnorm": section.clipnorm,
        "gradient_accumulation_steps": section.accumulation,
        "use_ema": section.ema is not None,
        "ema_momentum": section.ema or 0.99,
    }
    decay = section.weight_decay
    if section.name == "coupled_sgd":
        return CoupledSGD(
            momentum=section.momentum,
            weight_decay=decay,
            decay=section.decay,
            multipliers=multipliers,
            **common,
        )
    if multipliers:
        common |= {"multipliers": multipliers, "weight_decay": decay}
        if section.name == "sgd":
            return MultipliedSGD(momentum=section.momentum, **common)
        return MultipliedAdam(**common)
    if section.name == "sgd":
        return keras.optimizers.SGD(
            momentum=section.momentum, weight_decay=decay or None, **common
        )
    if section.name == "adamw":
        return keras.optimizers.AdamW(weight_decay=decay, **common)
    return keras.optimizers.Adam(weight_decay=decay or None, **common)


def _multipliers(head: float) -> dict[str, float]:
    """Returns what learning rates are multiplied by, by pattern of variable paths."""
    if head == 1:
        return {}
    first = (*LAYER_GROUPS["encoder"], *LAYER_GROUPS["factors"])
    return {**dict.fromkeys(first, 1.0), "*": head}


def make_loss(recipe: Recipe) -> keras.losses.Loss:
    """Returns the loss of a resolved recipe.

    Raises:
        RecipeError: If the loss has no such argument.
    """
    section = recipe.loss
    if (section.formula is None) == (section.name == "released"):
        raise RecipeError(
            "`loss.formula` belongs to `loss.name: released`, which needs it, received "
            f"`{section.formula}` for `{section.name}`."
        )
    cls = LOSSES[section.name]
    known = set(inspect.signature(cls).parameters) - _SETTLED
    for argument in section.arguments:
        if argument not in known:
            raise RecipeError(
                f"Loss `{section.name}` has no argument `{argument}`."
                f"{did_you_mean(argument, known)}"
            )
    arguments: dict[str, Any] = dict(section.arguments)
    if section.formula is not None:
        arguments["formula"] = section.formula
    return cls(class_weights=section.class_weights, **arguments)


def confusion_matrix(description: DataDescription) -> ConfusionMatrix:
    """Returns the metric that scores the classes of a data set."""
    return ConfusionMatrix(
        len(description.classes),
        landslide_class=description.landslide_class,
        class_names=description.classes,
    )


def compile_model(
    model: keras.Model,
    recipe: Recipe,
    optimizer: keras.optimizers.Optimizer,
    steps_per_epoch: int,
    **arguments: Any,  # of any kind that `compile` takes
) -> None:
    """Compiles a model for a recipe and builds its optimiser.

    Building the optimiser before the first step saves Keras from tracing the step
    twice.

    Args:
        model: The model.
        recipe: Precision, compilation and steps of one call.
        optimizer: The optimiser, without loss scaling.
        steps_per_epoch: Steps of an epoch.
        **arguments: Further arguments of `compile`.

    Raises:
        RecipeError: If `training.steps_per_execution` would count steps wrongly.
    """
    section = recipe.training
    if steps_per_epoch % section.steps_per_execution:
        raise RecipeError(
            "`training.steps_per_execution` must divide the "
            f"{counted(steps_per_epoch, 'step')} of an epoch, received "
            f"{section.steps_per_execution}."
        )
    if (section.save_steps or 0) % section.steps_per_execution:
        raise RecipeError(
            "`training.save_steps` must be a multiple of "
            f"`training.steps_per_execution`, received {section.save_steps}."
        )
    if section.precision == "mixed_float16":
        optimizer = LossScaleOptimizer(optimizer)
    model.compile(
        optimizer=optimizer,
        # JAX has no graph besides XLA's: without it, it would run op by op.
        jit_compile=section.jit_compile or keras.backend.backend() == "jax",
        steps_per_execution=section.steps_per_execution,
        **arguments,
    )
    model.optimizer.build(model.trainable_variables)

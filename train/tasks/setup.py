"""From a recipe to what Keras needs: data, model, loss, optimiser."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from landslide_tf import models
from landslide_tf.errors import LandslideTFError, RecipeError, did_you_mean
from landslide_tf.losses import (
    BoundaryLoss,
    CrossEntropyDiceLoss,
    DiceLoss,
    FocalLoss,
    ReleasedLoss,
    SegmentationCrossEntropy,
    TverskyLoss,
)
from landslide_tf.metrics import ConfusionMatrix, class_weights
from landslide_tf.models.backbones import Stem
from landslide_tf.pipelines import (
    Augmentation,
    Channel,
    EvaluationBatches,
    ExampleStore,
    InputSelection,
    TrainingBatches,
    channel_statistics,
    class_shares,
    holds_labels,
    load,
    load_arrays,
    sample_examples,
)
from landslide_tf.train.optimizers import CoupledSGD, LossScaleOptimizer
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.starting_weights import LAYER_GROUPS
from landslide_tf.train.schedules import make_schedule
from landslide_tf.train.tasks.classification import image_batches

LOSSES = {
    "cross_entropy": SegmentationCrossEntropy,
    "focal": FocalLoss,
    "dice": DiceLoss,
    "tversky": TverskyLoss,
    "cross_entropy_dice": CrossEntropyDiceLoss,
    "boundary": BoundaryLoss,
    "released": ReleasedLoss,
}


@dataclass(frozen=True)
class RunData:
    """Training and validation batches of a run."""

    training: TrainingBatches
    validation: EvaluationBatches


def input_selection(recipe: Recipe) -> InputSelection:
    """Returns the channels a resolved recipe chooses."""
    data = recipe.data
    return InputSelection(
        image=tuple(data.image),
        factors=tuple(data.factors),
        image_scale=data.image_scale,
        fill={k: v for k, v in data.fill.items() if v != "median"},
    )


def load_stores(
    recipe: Recipe,
    *,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> tuple[ExampleStore, ExampleStore]:
    """Loads the training and the validation split, building the set if need be."""
    data, seed = recipe.data, recipe.training.seed
    folders = {"arrays": data.arrays, "data_dir": data_dir, "manual_dir": manual_dir}
    training = load_split(data.name, data.train, **folders)
    validation = load_split(data.name, data.validation, **folders)
    if data.samples is not None:
        training = sample_examples(training, data.samples, seed)
    if data.validation_samples is not None:
        validation = sample_examples(validation, data.validation_samples, seed)
    return training, validation


def load_split(
    name: str,
    split: str,
    *,
    arrays: str | Path | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> ExampleStore:
    """Loads a split from a folder of arrays where one is given, else from TFDS."""
    if arrays is not None:
        return load_arrays(arrays, name, split)
    return load(name, split=split, data_dir=data_dir, manual_dir=manual_dir)


def resolve(recipe: Recipe, store: ExampleStore) -> Recipe:
    """Returns a recipe in which everything that comes from the data is a number.

    Args:
        recipe: The recipe as written.
        store: The training split.

    Returns:
        A copy with `data.fill`, the model's `factors` and the class weights filled
        in.

    Raises:
        RecipeError: If the class weights or a fill do not fit the data set.
    """
    resolved = recipe.model_copy(deep=True)
    channels = store.description.channels
    names = [*recipe.data.image, *recipe.data.factors]
    InputSelection(tuple(recipe.data.image), tuple(recipe.data.factors)).check(store)
    _check_scale(recipe, channels)
    for name in recipe.data.fill:
        if name not in names:
            raise RecipeError(
                f"`data.fill` names `{name}`, which is neither in `data.image` nor in "
                "`data.factors`."
            )
    weights = recipe.loss.class_weights
    classes = store.description.classes
    if isinstance(weights, str):
        made = class_weights(class_shares(store), rule=weights)
        resolved.loss.class_weights = [float(weight) for weight in made]
    elif weights is not None and len(weights) != len(classes):
        raise RecipeError(
            f"`loss.class_weights`: expected {len(classes)} weights ("
            f"{', '.join(classes)}), received {len(weights)}."
        )
    measured = [*recipe.data.factors, *recipe.data.fill]
    statistics = channel_statistics(store, list(dict.fromkeys(measured)))
    for name, value in recipe.data.fill.items():
        if value == "median":
            resolved.data.fill[name] = statistics[name].median
    if recipe.data.factors and "factors" not in recipe.model.arguments:
        kinds = input_selection(resolved).factor_kinds(channels, statistics)
        resolved.model.arguments["factors"] = [
            k if isinstance(k, str) else list(k) for k in kinds
        ]
    return resolved


def _check_scale(recipe: Recipe, channels: Mapping[str, Channel]) -> None:
    """Refuses a scale that takes bands far above the 8 bits a network expects."""
    form = recipe.model.arguments.get("normalization", "imagenet")
    scale = recipe.data.image_scale
    for name in recipe.data.image:
        limits = channels[name].range
        if form in ("imagenet", "caffe") and limits and limits[1] * scale > 2 * 255:
            raise RecipeError(
                f"`data.image_scale`: `{name}` of up to {limits[1]:g} times "
                f"{scale:g} is {limits[1] * scale:g}; the `{form}` normalisation "
                "expects 0 to 255."
            )


def make_batches(
    recipe: Recipe, training: ExampleStore, validation: ExampleStore
) -> RunData:
    """Returns the streams of a resolved recipe."""
    section = recipe.training
    selection = input_selection(recipe)
    whole = recipe.classification is not None
    if holds_labels(training) != whole:
        raise RecipeError(
            f"Data set `{recipe.data.name}` has classes of "
            f"{'pixels' if whole else 'whole images'}: "
            f"{'leave out' if whole else 'add'} the section `classification`."
        )
    if whole:
        return RunData(*image_batches(recipe, selection, training, validation))
    stream = TrainingBatches(
        training,
        selection,
        batch_size=section.batch_size,
        seed=section.seed,
        augmentation=Augmentation(**recipe.augmentation.model_dump()),
        patch=section.patch,
        draws=section.draws,
        positive_fraction=section.positive_fraction,
    )
    return RunData(stream, EvaluationBatches(validation, selection, section.batch_size))


def builder_arguments(recipe: Recipe, num_classes: int) -> dict[str, Any]:
    """Returns the keyword arguments of the model's builder, output form left out."""
    known = inspect.signature(models.get(recipe.model.name)).parameters
    arguments = dict(recipe.model.arguments)
    arguments["num_classes"] = num_classes
    if "input_shape" in known:
        arguments["input_shape"] = (None, None, len(recipe.data.image))
    if "factors" in arguments:
        arguments["factors"] = tuple(
            k if isinstance(k, str) else tuple(k) for k in arguments["factors"]
        )
    if recipe.model.stem is not None:
        if "stem" not in known:
            raise RecipeError(f"Model `{recipe.model.name}` takes no `stem`.")
        arguments["stem"] = _stem(recipe.model.stem, recipe.data.image)
    return arguments


def _stem(stem: str | Mapping[str, str], bands: Sequence[str]) -> Stem:
    """Returns the builder's form of `model.stem`, which names bands."""
    if isinstance(stem, str):
        return stem
    for name in stem:
        if name not in bands:
            raise RecipeError(
                f"`model.stem` names `{name}`, which is not in `data.image`."
                f"{did_you_mean(name, bands)}"
            )
    return tuple(stem.get(name) for name in bands)


def build_model(
    name: str, arguments: Mapping[str, Any], *, activation: str | None
) -> keras.Model:
    """Builds a network, turning a wrong argument into one line.

    Args:
        name: A name of `models.list_models()`.
        arguments: Keyword arguments of its builder.
        activation: `classifier_activation`; None for logits.

    Returns:
        The model.

    Raises:
        RecipeError: If the builder does not take an argument's value.
    """
    builder = models.get(name)
    try:
        return builder(**arguments, classifier_activation=activation)
    except LandslideTFError:
        raise
    except (TypeError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise RecipeError(f"Model `{name}`: {line}") from error


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
    common = {
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
            multipliers=_multipliers(section.head_multiplier),
            **common,
        )
    if section.head_multiplier != 1:
        raise RecipeError(
            "`optimizer.head_multiplier` needs `optimizer.name: coupled_sgd`, received "
            f"{section.head_multiplier} for `{section.name}`."
        )
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
    known = set(inspect.signature(cls.__init__).parameters)
    known -= {"self", "name", "ignore_class", "class_weights", "from_logits", "formula"}
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


def check_execution(recipe: Recipe, steps_per_epoch: int) -> None:
    """Refuses `training.steps_per_execution` where steps would be counted wrongly."""
    section = recipe.training
    if steps_per_epoch % section.steps_per_execution:
        raise RecipeError(
            f"`training.steps_per_execution` must divide the {steps_per_epoch} steps "
            f"of an epoch, received {section.steps_per_execution}."
        )
    if (section.save_steps or 0) % section.steps_per_execution:
        raise RecipeError(
            "`training.save_steps` must be a multiple of "
            f"`training.steps_per_execution`, received {section.save_steps}."
        )


def compile_model(
    model: keras.Model, recipe: Recipe, store: ExampleStore, steps_per_epoch: int
) -> None:
    """Compiles a logits model for a recipe and builds the optimiser.

    Building the optimiser before the first step saves Keras from tracing the step
    twice.
    """
    description = store.description
    section = recipe.training
    check_execution(recipe, steps_per_epoch)
    optimizer = make_optimizer(recipe, steps_per_epoch)
    if section.precision == "mixed_float16":
        optimizer = LossScaleOptimizer(optimizer)
    model.compile(
        optimizer=optimizer,
        loss=make_loss(recipe),
        metrics=[
            ConfusionMatrix(
                len(description.classes),
                landslide_class=description.landslide_class,
                class_names=description.classes,
            )
        ],
        # JAX has no graph besides XLA's: without it, it would run op by op.
        jit_compile=section.jit_compile or keras.backend.backend() == "jax",
        steps_per_execution=section.steps_per_execution,
    )
    model.optimizer.build(model.trainable_variables)

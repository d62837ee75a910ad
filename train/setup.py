"""From a recipe to what Keras needs: data, model, loss, optimiser."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from landslide_tf import models
from landslide_tf.errors import LandslideTFError, RecipeError
from landslide_tf.losses import SegmentationCrossEntropy
from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.metrics import ConfusionMatrix
from landslide_tf.models.assembly import effective_normalization
from landslide_tf.pipelines import (
    Augmentation,
    EvaluationBatches,
    ExampleStore,
    InputSelection,
    TrainingBatches,
    channel_statistics,
    load,
)
from landslide_tf.train.optimizers import CoupledSGD
from landslide_tf.train.recipe import Recipe
from landslide_tf.train.schedules import make_schedule


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
    folders = {"data_dir": data_dir, "manual_dir": manual_dir}
    return (
        load(recipe.data.name, split=recipe.data.train, **folders),
        load(recipe.data.name, split=recipe.data.validation, **folders),
    )


def resolve(recipe: Recipe, store: ExampleStore) -> Recipe:
    """Returns a recipe in which everything that comes from the data is a number.

    Args:
        recipe: The recipe as written.
        store: The training split.

    Returns:
        A copy with `data.fill` and the model's `factors` filled in.

    Raises:
        RecipeError: If the class weights or a fill do not fit the data set.
    """
    resolved = recipe.model_copy(deep=True)
    channels = store.description.channels
    names = [*recipe.data.image, *recipe.data.factors]
    InputSelection(tuple(recipe.data.image), tuple(recipe.data.factors)).check(store)
    for name in recipe.data.fill:
        if name not in names:
            raise RecipeError(
                f"`data.fill` names `{name}`, which is neither in `data.image` nor in "
                "`data.factors`."
            )
    weights = recipe.loss.class_weights
    classes = store.description.classes
    if weights is not None and len(weights) != len(classes):
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


def make_batches(
    recipe: Recipe, training: ExampleStore, validation: ExampleStore
) -> RunData:
    """Returns the streams of a resolved recipe."""
    section = recipe.training
    selection = input_selection(recipe)
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
    return arguments


def trained_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments that build a trained network without its starting weights.

    Encoder weights bring their own normalisation, which stays.
    """
    result = {
        k: v for k, v in arguments.items() if k not in ("weights", "backbone_weights")
    }
    start = arguments.get("backbone_weights")
    if start is not None:
        given = arguments.get("normalization", "imagenet")
        result["normalization"] = effective_normalization(given, start)
    return result


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


def make_optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Returns the optimiser of a recipe with its learning-rate schedule."""
    section, schedule = recipe.optimizer, recipe.schedule
    steps = schedule.steps
    if steps is None and schedule.kind != "step":
        steps = recipe.training.epochs * steps_per_epoch
    rate = make_schedule(
        schedule.kind,
        section.learning_rate,
        steps=steps,
        factor=schedule.factor,
        power=schedule.power,
        final_learning_rate=schedule.final_learning_rate,
    )
    common = {"learning_rate": rate, "clipnorm": section.clipnorm}
    decay = section.weight_decay
    if section.name == "coupled_sgd":
        return CoupledSGD(
            momentum=section.momentum,
            weight_decay=decay,
            decay=section.decay,
            **common,
        )
    if section.name == "sgd":
        return keras.optimizers.SGD(
            momentum=section.momentum, weight_decay=decay or None, **common
        )
    if section.name == "adamw":
        return keras.optimizers.AdamW(weight_decay=decay, **common)
    return keras.optimizers.Adam(weight_decay=decay or None, **common)


def compile_model(
    model: keras.Model, recipe: Recipe, store: ExampleStore, steps_per_epoch: int
) -> None:
    """Compiles a logits model for a recipe and builds the optimiser.

    Building the optimiser before the first step saves Keras from tracing the step
    twice.
    """
    description = store.description
    model.compile(
        optimizer=make_optimizer(recipe, steps_per_epoch),
        loss=SegmentationCrossEntropy(class_weights=recipe.loss.class_weights),
        metrics=[
            ConfusionMatrix(
                len(description.classes),
                landslide_class=description.landslide_class,
                class_names=description.classes,
            )
        ],
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)


def describe_model(
    recipe: Recipe,
    model: keras.Model,
    store: ExampleStore,
    arguments: Mapping[str, Any],
    name: str,
) -> ModelMetadata:
    """Returns the metadata of a model trained with a resolved recipe."""
    description = store.description
    channels = description.channels
    scale = recipe.data.image_scale

    def limits(channel: str, factor: float = 1.0) -> tuple[float, float] | None:
        known = channels[channel].range
        return None if known is None else (known[0] * factor, known[1] * factor)

    def unit(channel: str, factor: float = 1.0) -> str:
        own = channels[channel].unit
        return own if factor == 1.0 else f"{own} * {factor:g}".strip()

    gsd = description.gsd
    return ModelMetadata(
        name=name,
        builder=recipe.model.name,
        arguments={
            k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()
        },
        inputs=[
            Band(name=n, unit=unit(n, scale), range=limits(n, scale))
            for n in recipe.data.image
        ],
        factors=[
            Factor(name=n, unit=channels[n].unit, range=limits(n))
            for n in recipe.data.factors
        ],
        cell_size=None if gsd is None else (gsd, gsd),
        stride=models.total_stride(model),
        classes=list(description.classes),
        landslide_class=description.landslide_class,
        dataset=f"{description.name}:{description.version}",
        split=description.split,
        licence=description.licence,
    )

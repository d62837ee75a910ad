"""The network of a recipe: how it is built, where it starts, how it is described."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from landslide_tf import models
from landslide_tf.errors import (
    LandslideTFError,
    ModelError,
    RecipeError,
    did_you_mean,
    first_line,
)
from landslide_tf.layers import FactorKind
from landslide_tf.metadata import Band, Factor, ModelMetadata, Terrain
from landslide_tf.metrics import prior_bias
from landslide_tf.models.backbones import Stem
from landslide_tf.models.layer_groups import NORMS
from landslide_tf.pipelines import ExampleStore, class_shares
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder, versions

CLASSIFIER = "logits_conv"


def builder_arguments(recipe: Recipe, num_classes: int) -> dict[str, Any]:
    """Returns the keyword arguments of the model's builder, output form left out."""
    known = inspect.signature(models.get(recipe.model.name)).parameters
    arguments = dict(recipe.model.arguments)
    arguments["num_classes"] = num_classes
    if "input_shape" in known:
        arguments["input_shape"] = (None, None, len(recipe.data.image))
    if "factors" in arguments:
        kinds = arguments["factors"]
        arguments["factors"] = (
            {branch: _kinds(own) for branch, own in kinds.items()}
            if isinstance(kinds, Mapping)
            else _kinds(kinds)
        )
    if recipe.model.stem is not None:
        if "stem" not in known:
            raise RecipeError(f"Model `{recipe.model.name}` takes no `stem`.")
        arguments["stem"] = _stem(recipe.model.stem, recipe.data.image)
    return arguments


def _kinds(kinds: Sequence[Any]) -> tuple[FactorKind, ...]:
    """Returns kinds of factors with YAML's lists as the builder's tuples."""
    return tuple(k if isinstance(k, str) else tuple(k) for k in kinds)


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
        line = first_line(error)
        raise RecipeError(f"Model `{name}`: {line}") from error


def prepare_weights(model: keras.Model, recipe: Recipe, store: ExampleStore) -> None:
    """Sets first weights, frozen layers and the classifier's bias as a recipe says.

    Raises:
        RecipeError: If a pattern of `model.freeze` fits no layer, the network has no
            layer for `model.prior_bias`, or the run to start from is of another one.
        RunError: If the run to start from has not ended.
    """
    if recipe.model.start is not None:
        _start_from(model, recipe, RunFolder(Path(recipe.model.start)))
    for pattern in recipe.model.freeze:
        try:
            models.freeze(model, pattern)
        except ModelError as error:
            raise RecipeError(f"`model.freeze`: {error}") from error
    if recipe.model.freeze_norms:
        models.freeze(model, NORMS)
    if recipe.model.prior_bias:
        if CLASSIFIER not in {layer.name for layer in model.layers}:
            raise RecipeError(
                f"`model.prior_bias` sets the bias of the layer `{CLASSIFIER}`, which "
                f"`{recipe.model.name}` has not: leave it out."
            )
        # A weighted loss drives the scores to the weighted shares.
        shares = class_shares(store) * np.asarray(recipe.loss.class_weights or 1.0)
        model.get_layer(CLASSIFIER).bias.assign(prior_bias(shares))


def _start_from(model: keras.Model, recipe: Recipe, source: RunFolder) -> None:
    """Puts the weights of a finished run into a network."""
    if recipe.model.prior_bias:
        raise RecipeError(
            "`model.prior_bias` would replace the bias of `model.start`: use one."
        )
    weights = source.load_model().get_weights()
    own = [tuple(value.shape) for value in model.weights]
    if [value.shape for value in weights] != own:
        raise RecipeError(
            f"`model.start`: `{source.path}` is another network than "
            f"`{recipe.model.name}` with these arguments and channels."
        )
    model.set_weights(weights)


def without_start(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a builder's arguments without those that give the first weights."""
    left_out = ("weights", "backbone_weights", "stem")
    return {k: v for k, v in arguments.items() if k not in left_out}


def describe_model(
    recipe: Recipe,
    model: keras.Model,
    store: ExampleStore,
    arguments: Mapping[str, Any],
    name: str,
) -> ModelMetadata:
    """Returns the metadata of a segmentation model trained with a resolved recipe."""
    description = store.description
    channels = description.channels
    scale = recipe.data.image_scale

    branch = {n: b for b, names in recipe.model.branches.items() for n in names}

    def limits(channel: str, factor: float = 1.0) -> tuple[float, float] | None:
        known = channels[channel].range
        return None if known is None else (known[0] * factor, known[1] * factor)

    gsd, how = description.gsd, description.terrain
    return ModelMetadata(
        name=name,
        builder=recipe.model.name,
        arguments={
            k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()
        },
        inputs=[
            Band(name=n, unit=channels[n].unit, scale=scale, range=limits(n, scale))
            for n in recipe.data.image
        ],
        factors=[
            Factor(
                name=n,
                unit=channels[n].unit,
                range=limits(n),
                branch=branch.get(n, ""),
            )
            for n in recipe.data.factors
        ],
        terrain=None if how is None else Terrain.model_validate(how),
        cell_size=None if gsd is None else (gsd, gsd),
        stride=models.total_stride(model),
        tile=recipe.training.patch or max(map(max, store.sizes)),
        classes=list(description.classes),
        landslide_class=description.landslide_class,
        landslide_name=description.landslide_name,
        dataset=f"{description.name}:{description.version}",
        split=description.split,
        licence=description.licence,
        versions=versions(),
    )

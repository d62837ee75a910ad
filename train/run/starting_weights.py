"""The weights a run starts with, and which of them stay."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import keras
import numpy as np

from landslide_tf.errors import RecipeError
from landslide_tf.metrics import prior_bias
from landslide_tf.pipelines import ExampleStore, class_shares
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder

CLASSIFIER = "logits_conv"
_STAGES = {
    f"stage{n}": (f"conv{n}_*", f"vgg_conv{n}_*", f"enc{n}_*") for n in range(1, 6)
}
# Names of layers, with shell wildcards: each stage of an encoder, all of it, and the
# branch of the factors.
LAYER_GROUPS = {
    **_STAGES,
    "encoder": tuple(pattern for patterns in _STAGES.values() for pattern in patterns),
    "factors": ("fac_*",),
}


def prepare_weights(model: keras.Model, recipe: Recipe, store: ExampleStore) -> None:
    """Sets first weights, frozen layers and the classifier's bias as a recipe says.

    Raises:
        RecipeError: If a pattern of `model.freeze` fits no layer, or the run to start
            from is of another network.
        RunError: If the run to start from has not ended.
    """
    if recipe.model.start is not None:
        _start_from(model, recipe)
    for pattern in recipe.model.freeze:
        found = [x for x in model.layers if fnmatch.fnmatch(x.name, pattern)]
        if not found:
            raise RecipeError(f"`model.freeze`: no layer fits `{pattern}`.")
        for layer in found:
            layer.trainable = False
    if recipe.model.freeze_norms:
        for layer in model._flatten_layers():  # those within other layers too
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
    if recipe.model.prior_bias:
        # A weighted loss drives the scores to the weighted shares.
        shares = class_shares(store) * np.asarray(recipe.loss.class_weights or 1.0)
        model.get_layer(CLASSIFIER).bias.assign(prior_bias(shares))


def _start_from(model: keras.Model, recipe: Recipe) -> None:
    """Puts the weights of a finished run into a network."""
    source = RunFolder(Path(str(recipe.model.start)))
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

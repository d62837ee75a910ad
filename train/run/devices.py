"""Several devices: a replica of the network on each, which share every batch."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import keras

from landslide_tf.errors import RecipeError
from landslide_tf.train.recipe.schema import Recipe

if TYPE_CHECKING:
    import tensorflow as tf

# The strategy of this process. The collective operations of two strategies in one
# process take each other's tensors.
_strategies: list[tf.distribute.Strategy] = []


def settle_devices(recipe: Recipe) -> Recipe:
    """Returns a recipe whose `training.devices` is a number this process can use.

    Args:
        recipe: The recipe; threads and determinism are set already, since asking for
            the devices starts TensorFlow.

    Returns:
        The recipe, or a copy of it with the number for `all`.

    Raises:
        RecipeError: If there are not as many devices, the batch cannot be shared
            between them, or an option of the recipe does not work on several.
    """
    wanted = recipe.training.devices
    if wanted == 1:
        return recipe
    if keras.backend.backend() != "tensorflow":
        raise RecipeError(
            f"`training.devices`: expected 1 on Keras's `{keras.backend.backend()}` "
            f"backend, received {wanted}; several need the `tensorflow` backend."
        )
    names = _names()
    if wanted == "all":
        recipe = recipe.model_copy(deep=True)
        recipe.training.devices = wanted = len(names)
    if wanted > len(names):
        kind = names[0].rpartition("device:")[2].split(":")[0]
        raise RecipeError(
            f"`training.devices`: expected at most {len(names)}, the {kind}s that "
            f"TensorFlow shows here, received {wanted}; `all` takes what there is."
        )
    if wanted > 1:
        _check_options(recipe, wanted)
    return recipe


def replicated(devices: int) -> AbstractContextManager[object]:
    """Returns the context in which a model for several devices is built and compiled.

    Keras's `fit` then gives each replica its share of a batch and adds the gradients
    (`tf.distribute.MirroredStrategy`).

    Args:
        devices: Number of devices; for 1 the context does nothing.

    Raises:
        RecipeError: If this process has trained on another number of devices.
    """
    if devices == 1:
        return contextlib.nullcontext()
    import tensorflow as tf

    if not _strategies:
        _strategies.append(tf.distribute.MirroredStrategy(_names()[:devices]))
    strategy = _strategies[0]
    if strategy.num_replicas_in_sync != devices:
        raise RecipeError(
            f"`training.devices`: this process has trained on "
            f"{strategy.num_replicas_in_sync} devices, received {devices}; train in a "
            "new process."
        )
    return strategy.scope()


def _names() -> list[str]:
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU")
    return [d.name for d in found or tf.config.list_logical_devices("CPU")]


def _check_options(recipe: Recipe, devices: int) -> None:
    training = recipe.training
    batch, execution = training.batch_size, training.steps_per_execution
    if batch % devices:
        raise RecipeError(
            f"`training.batch_size`: expected a multiple of the {devices} devices, "
            f"received {batch}; it is the batch of all devices together."
        )
    refused = {
        "optimizer.accumulation": recipe.optimizer.accumulation,
        # Keras clips each replica's gradients before it adds them.
        "optimizer.clipnorm": recipe.optimizer.clipnorm,
        "training.jit_compile": training.jit_compile,
        # Keras's loop around several steps does not run there.
        "training.steps_per_execution": execution if execution > 1 else None,
    }
    for key, value in refused.items():
        if value:
            raise RecipeError(
                f"`{key}` does not work on several devices, received {value} with "
                f"`training.devices={devices}`; leave it out or train on one device."
            )

"""Threads, precision and devices of this process, before anything is built."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, Protocol

import keras

from landslide_tf.errors import RecipeError
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.processes import ALONE, Processes
from landslide_tf.words import counted

if TYPE_CHECKING:
    import tensorflow as tf

# The strategy of this process. The collective operations of two strategies in one
# process take each other's tensors.
_strategies: list[tf.distribute.Strategy] = []


class Computation(Protocol):
    """How a network is computed; a section of every kind of recipe has these keys."""

    @property
    def precision(self) -> str:
        """Keras's dtype policy."""

    @property
    def deterministic(self) -> bool:
        """Whether TensorFlow's operations give the same numbers each time."""

    @property
    def threads(self) -> int | None:
        """CPU threads; None leaves TensorFlow's choice."""


def prepare_backend(section: Computation) -> None:
    """Sets threads, determinism and precision, before anything is built.

    Args:
        section: The section `training` of a recipe.

    Raises:
        RecipeError: If TensorFlow has started with another number of threads.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if section.threads is not None:
            threading = tf.config.threading
            try:
                threading.set_intra_op_parallelism_threads(section.threads)
                threading.set_inter_op_parallelism_threads(section.threads)
            except RuntimeError as error:
                raise RecipeError(
                    "`training.threads` cannot change once TensorFlow has started; "
                    "train in a new process."
                ) from error
        if section.deterministic:
            tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(section.precision)


def settle_devices(recipe: Recipe, processes: Processes = ALONE) -> Recipe:
    """Returns a recipe whose `training.devices` is a number this process can use.

    Args:
        recipe: The recipe; threads and determinism are set already, since asking for
            the devices starts TensorFlow.
        processes: Those that train together, each on as many devices.

    Returns:
        The recipe, or a copy of it with the number for `all`.

    Raises:
        RecipeError: If there are not as many devices, the batch cannot be shared
            between them, or an option of the recipe does not work on several.
    """
    wanted = recipe.training.devices
    if wanted == 1 and processes.count == 1:
        return recipe
    names = _names()
    if wanted == "all":
        recipe = recipe.model_copy(deep=True)
        recipe.training.devices = wanted = len(names)
    if wanted > len(names):
        kind = names[0].rpartition("device:")[2].split(":")[0].upper()
        engine = "JAX" if _on_jax() else "TensorFlow"
        raise RecipeError(
            f"`training.devices`: expected at most {len(names)}, the {kind}s that "
            f"{engine} shows here, received {wanted}; `all` takes what there is."
        )
    _check_batch(recipe, wanted, processes.count)
    if wanted > 1 and not _on_jax():
        _check_options(recipe, wanted)
    return recipe


def computed_together(
    devices: int | Literal["all"], processes: Processes = ALONE
) -> AbstractContextManager[object]:
    """Returns the context in which several devices compute what is asked of one.

    On JAX a model is built, trained and evaluated in it: every device computes its
    rows of a batch, as one program (`keras.distribution.DataParallel`), so that the
    numbers are those of one device but for rounding. On TensorFlow the model itself
    knows its devices (`replicated`), and the context does nothing.

    Args:
        devices: Number of devices of each process.
        processes: Those that train together.
    """
    if not _on_jax() or (devices == 1 and processes.count == 1):
        return contextlib.nullcontext()
    import jax

    # By process, as their rows lie in a batch.
    own: dict[int, list[str]] = {}
    for device in sorted(jax.devices(), key=lambda d: (d.process_index, d.id)):
        names = own.setdefault(device.process_index, [])
        names.append(f"{device.platform}:{device.id}")
    chosen = [name for names in own.values() for name in names[: _number(devices)]]
    return keras.distribution.DataParallel(
        devices=chosen, auto_shard_dataset=False
    ).scope()


def replicated(devices: int | Literal["all"]) -> AbstractContextManager[object]:
    """Returns the context in which a model for several devices is built and compiled.

    On TensorFlow Keras's `fit` then gives each replica its share of a batch and adds
    the gradients (`tf.distribute.MirroredStrategy`). On JAX `computed_together` does
    that, and this context nothing.

    Args:
        devices: Number of devices; for 1 the context does nothing.

    Raises:
        RecipeError: If this process has trained on another number of devices.
    """
    if devices == 1 or _on_jax():
        return contextlib.nullcontext()
    import tensorflow as tf

    devices = _number(devices)
    if not _strategies:
        _strategies.append(tf.distribute.MirroredStrategy(_names()[:devices]))
    strategy = _strategies[0]
    if strategy.num_replicas_in_sync != devices:
        raise RecipeError(
            f"`training.devices`: this process has trained on "
            f"{counted(strategy.num_replicas_in_sync, 'device')}, received {devices}; "
            "train in a new process."
        )
    return strategy.scope()


def _on_jax() -> bool:
    return keras.backend.backend() == "jax"


def _number(devices: int | Literal["all"]) -> int:
    return len(_names()) if devices == "all" else devices


def _names() -> list[str]:
    """Returns the devices of this process: GPUs, CPUs where there is none."""
    if _on_jax():
        import jax

        return [f"{device.platform}:{device.id}" for device in jax.local_devices()]
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU")
    return [d.name for d in found or tf.config.list_logical_devices("CPU")]


def _check_batch(recipe: Recipe, devices: int, processes: int) -> None:
    batch, count = recipe.training.batch_size, devices * processes
    if batch % count:
        of = f" of {processes} processes" if processes > 1 else ""
        raise RecipeError(
            f"`training.batch_size`: expected a multiple of the {count} devices{of}, "
            f"received {batch}; it is the batch of all devices together."
        )


def _check_options(recipe: Recipe, devices: int) -> None:
    """Refuses what Keras does not do with `tf.distribute`."""
    training = recipe.training
    execution = training.steps_per_execution
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

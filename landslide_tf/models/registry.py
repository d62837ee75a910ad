"""The networks by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Literal, TypeAlias

import keras

from landslide_tf.errors import ModelError, did_you_mean

Builder: TypeAlias = Callable[..., keras.Model]
Task: TypeAlias = Literal["segmentation", "classification"]

_BUILDERS: dict[str, Builder] = {}
_CLASSIFIERS: set[str] = set()


def register(builder: Builder) -> Builder:
    """Adds a builder function under its own name; a decorator."""
    _BUILDERS[builder.__name__] = builder
    return builder


def register_classifier(builder: Builder) -> Builder:
    """Adds a builder whose networks give whole images a class; a decorator."""
    _CLASSIFIERS.add(builder.__name__)
    return register(builder)


def list_models(pattern: str = "*", *, task: Task = "segmentation") -> list[str]:
    """Lists the networks that a recipe can name.

    Networks that are trained in other ways are built by their functions alone:
    `tsmu_net` (`landslide-tf continual train`), `evidential_net` (`landslide-tf
    evidential train`) and `output_space_discriminator` (`landslide-tf adapt`).

    Args:
        pattern: Shell wildcards, such as `"*fcn*"`.
        task: `"segmentation"` (a class for each pixel) or `"classification"` (one for
            the whole image).

    Returns:
        Sorted names.

    Example:
        >>> from landslide_tf import models
        >>> models.list_models("*fcn*"), models.list_models(task="classification")
        (['basic_fcn', 'fcn_8s'], ['landslide_classifier'])
    """
    names = fnmatch.filter(_BUILDERS, pattern)
    wanted = task == "classification"
    return sorted(name for name in names if (name in _CLASSIFIERS) == wanted)


def get(name: str) -> Builder:
    """Returns the function that builds a network.

    Args:
        name: One of `list_models()`, of any task.

    Returns:
        The builder, for example `landslide_tf.models.fstf_net`.

    Raises:
        ModelError: If there is no network of that name.

    Example:
        >>> from landslide_tf import models
        >>> models.get("unet") is models.unet
        True
    """
    if name not in _BUILDERS:
        raise ModelError(
            f"A model must be one of `landslide_tf.models.list_models()`, received "
            f"`{name}`." + did_you_mean(name, _BUILDERS)
        )
    return _BUILDERS[name]

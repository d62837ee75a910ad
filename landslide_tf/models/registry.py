"""The networks by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import TypeAlias

import keras

from landslide_tf.errors import ModelError, did_you_mean

Builder: TypeAlias = Callable[..., keras.Model]

_BUILDERS: dict[str, Builder] = {}


def register(builder: Builder) -> Builder:
    """Adds a builder function under its own name; a decorator."""
    _BUILDERS[builder.__name__] = builder
    return builder


def list_models(pattern: str = "*") -> list[str]:
    """Lists the names of the networks.

    Args:
        pattern: Shell wildcards, such as `"*fcn*"`.

    Returns:
        Sorted names.
    """
    return sorted(fnmatch.filter(_BUILDERS, pattern))


def get(name: str) -> Builder:
    """Returns the function that builds a network.

    Args:
        name: One of `list_models()`.

    Returns:
        The builder, for example `landslide_tf.models.fstf_net`.

    Raises:
        ModelError: If there is no network of that name.
    """
    if name not in _BUILDERS:
        raise ModelError(
            f"A model must be one of `landslide_tf.models.list_models()`, received "
            f"`{name}`." + did_you_mean(name, _BUILDERS)
        )
    return _BUILDERS[name]

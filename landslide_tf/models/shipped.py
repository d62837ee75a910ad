"""Weights that come with the package, by name."""

from __future__ import annotations

import fnmatch
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import keras

from landslide_tf import saved_models
from landslide_tf.errors import ModelError
from landslide_tf.metadata import ModelMetadata

# Arguments that change neither the weights nor what they were trained to see.
_FREE = ("weights", "skip_head", "name", "dropout", "decoder_dropout")


def list_weights(pattern: str = "*") -> list[str]:
    """Lists the shipped weights, for the argument `weights` of the networks.

    Args:
        pattern: Shell wildcards.

    Returns:
        Sorted names. `saved_models.index()` says what each is, and of what.

    Example:
        >>> from landslide_tf import models
        >>> models.list_weights("mmls*")
        ['mmlsv2']
    """
    names = fnmatch.filter(saved_models.index(), pattern)
    return sorted(name for name in names if _file(name) is not None)


def with_shipped_weights(
    builder: Callable[..., keras.Model],
    args: tuple[object, ...],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the keyword arguments that build a network with shipped weights.

    Arguments that are not given are those of the training.

    Args:
        builder: The network's function.
        args: What it was called with by place.
        kwargs: What it was called with by name; `weights` is one of `list_weights()`.

    Raises:
        ModelError: If the weights are of another network, an argument is not that of
            the training, or a file is damaged.
    """
    name = str(kwargs["weights"])
    file = _file(name)
    assert file is not None  # whoever calls has asked `list_weights`
    path = saved_models.path(name) / file
    metadata = ModelMetadata.read(path.parent)
    if metadata.builder != builder.__name__:
        raise ModelError(
            f"`weights={name!r}` are of `{metadata.builder}`, received "
            f"`{builder.__name__}`: call `models.{metadata.builder}(weights={name!r})`."
        )
    signature = inspect.signature(builder)
    given = signature.bind_partial(*args, **kwargs).arguments
    defaults = {key: p.default for key, p in signature.parameters.items()}
    trained = {**defaults, **metadata.arguments}
    for key, value in given.items():
        if key in _FREE or (key == "num_classes" and given.get("skip_head")):
            continue
        if key == "classifier_activation" and value is None:
            continue
        known, received = trained[key], value
        if key == "input_shape":  # of any height and width
            known, received = [list(v)[2:] for v in (known, received)]
        if _json(known) != _json(received):
            raise ModelError(
                f"`weights={name!r}` need `{key}={trained[key]!r}`, received "
                f"`{value!r}`: leave `{key}` out, or train weights of your own."
            )
    return {**metadata.arguments, **given, "weights": path}


def _file(name: str) -> str | None:
    """Returns the path of shipped weights in their folder, None of an export."""
    files = saved_models.index()[name]["sha256"]
    return next((file for file in files if file.endswith(".weights.h5")), None)


def _json(value: object) -> str:
    """Returns a value as text in which tuples are lists and 1 is 1.0."""
    return json.dumps(_plain(value), default=str)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return value

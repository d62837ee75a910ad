"""The networks by name."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import keras

from landslide_tf.choices import TaskKind
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.metadata import ModelMetadata
from landslide_tf.models.shipped import list_weights, with_shipped_weights

Builder: TypeAlias = Callable[..., keras.Model]

_BUILDERS: dict[str, Builder] = {}
_CLASSIFIERS: set[str] = set()


def register(builder: Builder) -> Builder:
    """Adds a builder function under its own name; a decorator.

    The function then takes the names of shipped weights too.
    """

    @functools.wraps(builder)
    def build(*args: Any, **kwargs: Any) -> keras.Model:  # the builder's own
        weights = kwargs.get("weights")
        if isinstance(weights, str) and weights in list_weights():
            return builder(**with_shipped_weights(builder, args, kwargs))
        return builder(*args, **kwargs)

    _BUILDERS[builder.__name__] = build
    return build


def register_classifier(builder: Builder) -> Builder:
    """Adds a builder whose networks give whole images a class; a decorator."""
    _CLASSIFIERS.add(builder.__name__)
    return register(builder)


def list_models(pattern: str = "*", *, task: TaskKind = "segmentation") -> list[str]:
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


def build_described(metadata: ModelMetadata, weights: str | Path) -> keras.Model:
    """Builds the network that a `model.json` describes, with its weights.

    Args:
        metadata: What `model.json` says.
        weights: `.weights.h5` file.

    Returns:
        The network, giving probabilities.

    Raises:
        ModelError: If there is no such network, or the two do not fit each other.

    Example:
        >>> from landslide_tf import models, saved_models
        >>> from landslide_tf.metadata import ModelMetadata
        >>> folder = saved_models.path("mmlsv2") / "1"
        >>> metadata = ModelMetadata.read(folder)
        >>> model = models.build_described(metadata, folder / "model.weights.h5")
        >>> [band.name for band in metadata.inputs], model.name
        (['red', 'green', 'blue', 'thermal', 'gray'], 'fstf_net')
    """
    try:
        return get(metadata.builder)(**metadata.arguments, weights=weights)
    except TypeError as error:
        raise ModelError(
            f"`{metadata.builder}` of `{metadata.name}`'s model.json cannot be built: "
            f"{error}."
        ) from error

"""Landslide mapping with Keras and TensorFlow.

Importing the package is light: neither TensorFlow nor Keras is loaded. The
sub packages (``landslide_tf.models``, ``landslide_tf.terrain``, …) load when they are
first used, the data sets are registered with TensorFlow Datasets where it is
installed, and the package's Keras classes are registered as soon as Keras
itself is imported, so that ``keras.models.load_model`` finds them.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import TYPE_CHECKING

import wrapt

from landslide_tf.version import __version__

if TYPE_CHECKING:
    from landslide_tf import (
        datasets,
        evidence,
        layers,
        losses,
        mapping,
        metadata,
        metrics,
        models,
        objects,
        pipelines,
        prepare,
        raster,
        report,
        serving,
        terrain,
        train,
    )

__all__ = [
    "__version__",
    "datasets",
    "evidence",
    "layers",
    "losses",
    "mapping",
    "metadata",
    "metrics",
    "models",
    "objects",
    "pipelines",
    "prepare",
    "raster",
    "report",
    "serving",
    "terrain",
    "train",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"landslide_tf.{name}")
    raise AttributeError(f"module 'landslide_tf' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)


def _register_keras_classes(keras: ModuleType) -> None:
    if keras.backend.backend() not in ("tensorflow", "jax"):
        return  # they refuse it; what needs no Keras works beside it
    for name in (
        "layers",
        "layers.image_model",
        "losses",
        "metrics",
        "train.optimizers",
    ):
        importlib.import_module(f"landslide_tf.{name}")


wrapt.register_post_import_hook(_register_keras_classes, "keras")

if importlib.util.find_spec("tensorflow_datasets") is not None:
    importlib.import_module("landslide_tf.datasets")

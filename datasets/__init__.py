"""TFDS builders of landslide data sets.

Importing this package registers them, so that `tfds.load("mmls")` works. It imports
neither TensorFlow nor Keras.
"""

from __future__ import annotations

from landslide_tf.datasets import mmls, synthetic_landslides
from landslide_tf.datasets.base import (
    BandInfo,
    IncompleteDataWarning,
    LandslideBuilder,
    make_metadata,
)
from landslide_tf.datasets.places import data_dir, find_manual, manual_dir

__all__ = [
    "BandInfo",
    "IncompleteDataWarning",
    "LandslideBuilder",
    "configurations",
    "data_dir",
    "find_manual",
    "make_metadata",
    "manual_dir",
    "mmls",
    "synthetic_landslides",
]


def configurations() -> dict[str, tuple[str, ...]]:
    """Lists the package's data sets.

    Returns:
        The names of each set's configurations, the default first, by the set's name.
    """
    listed = {}
    for builder in (mmls.Builder, synthetic_landslides.Builder):
        default = builder.DEFAULT_BUILDER_CONFIG_NAME
        names = sorted((c.name for c in builder.BUILDER_CONFIGS), key=default.__ne__)
        listed[builder.name] = tuple(names)
    return listed

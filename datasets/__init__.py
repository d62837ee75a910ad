"""TFDS builders of landslide data sets.

Importing this package registers them, so that `tfds.load("mmls")` works. It imports
neither TensorFlow nor Keras.
"""

from __future__ import annotations

from landslide_tf.datasets import (
    bijie_landslide,
    cas_landslide,
    ecoregion_landslides,
    gvlm,
    hokkaido_iburi,
    hr_gldd,
    isprs_semantic,
    jiuzhaigou,
    landslide4sense,
    landslide_scenes,
    mangkam,
    mmls,
    mmlsv2,
    synthetic_landslides,
)
from landslide_tf.datasets.common.base import LandslideBuilder, configurations
from landslide_tf.datasets.common.check import Check, SharedGround, check_dataset
from landslide_tf.datasets.common.files import data_dir, find_manual, manual_dir
from landslide_tf.datasets.common.info import BandInfo, make_metadata
from landslide_tf.datasets.common.overlaps import Overlap, find_overlaps
from landslide_tf.datasets.common.report import IncompleteDataWarning

__all__ = [
    "BandInfo",
    "Check",
    "IncompleteDataWarning",
    "LandslideBuilder",
    "Overlap",
    "SharedGround",
    "bijie_landslide",
    "cas_landslide",
    "check_dataset",
    "configurations",
    "data_dir",
    "ecoregion_landslides",
    "find_manual",
    "find_overlaps",
    "gvlm",
    "hokkaido_iburi",
    "hr_gldd",
    "isprs_semantic",
    "jiuzhaigou",
    "landslide4sense",
    "landslide_scenes",
    "make_metadata",
    "mangkam",
    "manual_dir",
    "mmls",
    "mmlsv2",
    "synthetic_landslides",
]

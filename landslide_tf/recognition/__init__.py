"""The general recognition scheme: from a map to landslides that geology agrees with."""

from landslide_tf.recognition.comparison import (
    ChangeClass,
    VegetationIndex,
    change_classes,
    new_pixels,
    spread,
)
from landslide_tf.recognition.files import Recognition, check_recognition
from landslide_tf.recognition.options import Maps, SchemeOptions
from landslide_tf.recognition.scheme import recognise
from landslide_tf.recognition.stages import Stage

__all__ = [
    "ChangeClass",
    "Maps",
    "Recognition",
    "SchemeOptions",
    "Stage",
    "VegetationIndex",
    "change_classes",
    "check_recognition",
    "new_pixels",
    "recognise",
    "spread",
]

"""Exports for TensorFlow Serving and other runtimes, and running them without Keras."""

from landslide_tf.serving.client import Client
from landslide_tf.serving.kit import check_kit, write_kit
from landslide_tf.serving.runtimes import ConvertedModel
from landslide_tf.serving.saved_model import MAX_PIXELS, export
from landslide_tf.serving.served_model import ServedModel, load
from landslide_tf.serving.versions import check_export, versions

__all__ = [
    "MAX_PIXELS",
    "Client",
    "ConvertedModel",
    "ServedModel",
    "check_export",
    "check_kit",
    "export",
    "load",
    "versions",
    "write_kit",
]

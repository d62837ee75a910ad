"""SavedModels for TensorFlow Serving: writing them and running them without Keras."""

from landslide_tf.serving.saved_model import export
from landslide_tf.serving.served_model import ServedModel, load
from landslide_tf.serving.versions import check_export

__all__ = ["ServedModel", "check_export", "export", "load"]

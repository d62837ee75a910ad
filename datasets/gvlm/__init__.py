"""GVLM: very high resolution image pairs of landslide sites."""

from landslide_tf.datasets.gvlm.gvlm_dataset_builder import Builder

__all__ = ["Builder"]

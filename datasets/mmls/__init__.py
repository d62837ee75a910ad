"""MMLS: landslides of Valles Marineris, Mars, in seven bands."""

from landslide_tf.datasets.mmls.mmls_dataset_builder import Builder

__all__ = ["Builder"]

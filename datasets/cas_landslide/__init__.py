"""CAS: landslides of nine regions in overlapping tiles of 16 sub sets."""

from landslide_tf.datasets.cas_landslide.cas_landslide_dataset_builder import Builder

__all__ = ["Builder"]

"""Landslide4Sense: Sentinel-2 and terrain patches of four regions."""

from landslide_tf.datasets.landslide4sense.landslide4sense_dataset_builder import (
    Builder,
)

__all__ = ["Builder"]

"""Bijie: landslides of a Chinese prefecture in images of all sizes."""

from landslide_tf.datasets.bijie_landslide.bijie_landslide_dataset_builder import (
    Builder,
)

__all__ = ["Builder"]

"""Landslides of the Jiuzhaigou earthquake with terrain."""

from landslide_tf.datasets.common.land_cover import LandCoverConfig as Config
from landslide_tf.datasets.jiuzhaigou.jiuzhaigou_dataset_builder import Builder

__all__ = ["Builder", "Config"]

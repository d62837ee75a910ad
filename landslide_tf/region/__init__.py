"""Regions of many scenes: mapped on one machine or several, joined into one result."""

from landslide_tf.region.job import RegionJob
from landslide_tf.region.join import Joined
from landslide_tf.region.region import (
    Region,
    SceneFailed,
    check_region,
    landslides_by_scene,
    map_region,
    read_region,
)
from landslide_tf.region.scenes import RegionScene, read_scenes

__all__ = [
    "Joined",
    "Region",
    "RegionJob",
    "RegionScene",
    "SceneFailed",
    "check_region",
    "landslides_by_scene",
    "map_region",
    "read_region",
    "read_scenes",
]

"""Task-specific update models: their parts, more regions, their state on disk."""

from landslide_tf.models.tsmu_parts import decoders, trunk
from landslide_tf.models.tsmu_regions import (
    add_region,
    copy,
    cropped,
    for_region,
    network,
    prepared,
    region_indices,
    regions,
    remove_region,
    routing,
)
from landslide_tf.models.tsmu_state import (
    RegionRecord,
    StateRecord,
    load_state,
    read_state,
    save_state,
)

__all__ = [
    "RegionRecord",
    "StateRecord",
    "add_region",
    "copy",
    "cropped",
    "decoders",
    "for_region",
    "load_state",
    "network",
    "prepared",
    "read_state",
    "region_indices",
    "regions",
    "remove_region",
    "routing",
    "save_state",
    "trunk",
]

"""Tiles of a user's own scenes."""

from landslide_tf.datasets.landslide_scenes.landslide_scenes_dataset_builder import (
    Builder,
    Config,
)

__all__ = ["Builder", "Config"]

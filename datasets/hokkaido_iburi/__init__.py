"""Hokkaido Eastern Iburi: landslides of an earthquake in small colour tiles."""

from landslide_tf.datasets.hokkaido_iburi.hokkaido_iburi_dataset_builder import (
    Builder,
)

__all__ = ["Builder"]

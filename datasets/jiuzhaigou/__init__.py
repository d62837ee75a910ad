"""Landslides of the Jiuzhaigou earthquake with terrain."""

from __future__ import annotations

from landslide_tf.datasets.jiuzhaigou.jiuzhaigou_dataset_builder import Builder, Config

__all__ = ["Builder", "Config"]

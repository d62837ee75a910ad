"""Land cover of Mangkam County with terrain."""

from __future__ import annotations

from landslide_tf.datasets.mangkam.mangkam_dataset_builder import Builder, Config

__all__ = ["Builder", "Config"]

"""Land cover of Mangkam County with terrain."""

from landslide_tf.datasets.common.land_cover import LandCoverConfig as Config
from landslide_tf.datasets.mangkam.mangkam_dataset_builder import Builder

__all__ = ["Builder", "Config"]

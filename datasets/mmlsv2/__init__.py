"""MMLS, version 2: landslides of Mars in seven bands with a georeference."""

from landslide_tf.datasets.mmlsv2.mmlsv2_dataset_builder import Builder

__all__ = ["Builder"]

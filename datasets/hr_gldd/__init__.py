"""HR-GLDD: landslides of ten regions in PlanetScope patches."""

from landslide_tf.datasets.hr_gldd.hr_gldd_dataset_builder import Builder

__all__ = ["Builder"]

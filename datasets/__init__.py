"""TFDS builders of landslide data sets."""

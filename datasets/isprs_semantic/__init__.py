"""ISPRS 2D semantic labelling: Vaihingen and Potsdam."""

from landslide_tf.datasets.isprs_semantic.isprs_semantic_dataset_builder import (
    Builder,
    Config,
)

__all__ = ["Builder", "Config"]

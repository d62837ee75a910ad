"""Terrain factors: slope, aspect, hillshade, NDVI."""

from landslide_tf.terrain.dihedral import (
    DIHEDRAL,
    dihedral,
    dihedral_aspect,
    dihedral_factors,
)
from landslide_tf.terrain.ndvi import ndvi
from landslide_tf.terrain.surface import aspect, hillshade, slope

__all__ = [
    "DIHEDRAL",
    "aspect",
    "dihedral",
    "dihedral_aspect",
    "dihedral_factors",
    "hillshade",
    "ndvi",
    "slope",
]

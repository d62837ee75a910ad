"""Terrain factors: slope, aspect, hillshade, NDVI."""

from landslide_tf.terrain.dihedral import (
    DIHEDRAL,
    dihedral,
    dihedral_aspect,
    dihedral_factors,
    dihedral_mean,
    dihedral_transform,
)
from landslide_tf.terrain.grid import Grid, cell_size
from landslide_tf.terrain.ndvi import ndvi
from landslide_tf.terrain.on_grid import (
    FACTORS,
    TerrainFactors,
    factors_on_grid,
)
from landslide_tf.terrain.surface import aspect, hillshade, slope
from landslide_tf.terrain.units import Z_UNITS

__all__ = [
    "DIHEDRAL",
    "FACTORS",
    "Z_UNITS",
    "Grid",
    "TerrainFactors",
    "aspect",
    "cell_size",
    "dihedral",
    "dihedral_aspect",
    "dihedral_factors",
    "dihedral_mean",
    "dihedral_transform",
    "factors_on_grid",
    "hillshade",
    "ndvi",
    "slope",
]

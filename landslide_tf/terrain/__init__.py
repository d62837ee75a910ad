"""Terrain factors: slope, aspect, hillshade, NDVI."""

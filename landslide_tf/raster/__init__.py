"""Raster and vector files on one grid."""

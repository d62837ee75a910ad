"""Grids of runs that are compared."""

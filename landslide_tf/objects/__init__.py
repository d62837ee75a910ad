"""Landslide objects: label, measure, match, filter."""

"""Keras losses."""

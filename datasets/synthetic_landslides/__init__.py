"""Synthetic landslides data set."""

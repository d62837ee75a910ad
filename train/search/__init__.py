"""Searches for a better recipe."""

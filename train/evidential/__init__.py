"""Branches with saliency and their evidential fusion."""

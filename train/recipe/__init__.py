"""Recipes: what one YAML file says about one training run."""

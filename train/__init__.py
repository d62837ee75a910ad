"""Recipes, the engine and the trainers."""

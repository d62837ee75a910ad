"""Regions that arrive one after the other."""

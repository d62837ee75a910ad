"""MMLS data set."""

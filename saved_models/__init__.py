"""Small reference exports and their index."""

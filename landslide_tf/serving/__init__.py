"""Export to SavedModel and its signatures."""

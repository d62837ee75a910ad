"""One training run: its folder, checkpoints, loop and devices."""

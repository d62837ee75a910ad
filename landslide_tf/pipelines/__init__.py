"""From examples to batches: order, sampling, augmentation."""

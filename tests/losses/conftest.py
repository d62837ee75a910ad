import numpy as np
import pytest


@pytest.fixture
def square():
    """A landslide in the middle, predicted everywhere, but surer inside."""
    labels = np.zeros((1, 64, 64), np.uint8)
    labels[:, 24:40, 24:40] = 1
    logits = np.zeros((1, 64, 64, 2), np.float32)
    logits[..., 1] = np.where(labels == 1, 2.0, -1.0)
    return labels, logits

"""The four test images of the golden values, and their checksums."""

import numpy as np


def golden_images():
    def grid(height, width):
        return np.mgrid[:height, :width]

    y, x = grid(50, 67)
    first = [
        (37 * y + 11 * x + 3 * ((y * x) % 29)) % 256,
        (y * y // 2 + 5 * x) % 256,
        (13 * x + 7 * y + 50 * ((y // 8 + x // 8) % 2)) % 256,
    ]
    y, x = grid(32, 33)
    second = [
        30 + 4 * x + 2 * y,
        60 + 3 * y + (x - 16) ** 2 // 8,
        90 + x + y + 40 * ((x - 20) ** 2 + (y - 12) ** 2 < 49),
    ]
    y, x = grid(24, 30)
    third = [20 + 20 * (x % 10)] * 3
    fourth = [np.full((24, 30), level) for level in (120, 100, 80)]
    names = ("img1", "img2", "img3", "img4")
    images = (first, second, third, fourth)
    return {
        name: np.stack(bands, axis=-1).astype(np.uint8)
        for name, bands in zip(names, images, strict=True)
    }


def assert_stage(values, stage, atol=1e-6):
    """Compares an array with its golden sums and samples."""
    values = np.asarray(values, np.float64)
    assert list(values.shape) == stage["shape"]
    flat = values.ravel()
    weights = np.arange(flat.size) % 97 + 1
    found = [flat.sum(), (flat * weights).sum()]
    np.testing.assert_allclose(found[0], stage["sum"], rtol=0, atol=atol * flat.size)
    np.testing.assert_allclose(
        found[1], stage["wsum"], rtol=0, atol=97 * atol * flat.size
    )
    np.testing.assert_allclose(flat.min(), stage["min"], rtol=0, atol=atol)
    np.testing.assert_allclose(flat.max(), stage["max"], rtol=0, atol=atol)
    for place, expected in stage["at"].items():
        y, x = map(int, place.split(","))
        np.testing.assert_allclose(values[y, x], expected, rtol=0, atol=atol)

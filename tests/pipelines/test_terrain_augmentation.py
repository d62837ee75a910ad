"""What augmentation gives equals what the turned elevation model gives."""

import numpy as np
import pytest

from landslide_tf.pipelines import (
    Augmentation,
    Channel,
    DataDescription,
    InputSelection,
    TrainingBatches,
    from_examples,
)
from landslide_tf.terrain import DIHEDRAL, aspect, dihedral, slope

SIDE = 24
INNER = np.s_[1:-1, 1:-1]  # the ring is extrapolated, corners not alike
CHANNELS = {
    "height": Channel("height", "image", 0, unit="metre"),
    "slope": Channel("slope", "factors", 0, unit="degree"),
    "aspect": Channel("aspect", "factors", 1, unit="degree"),
}


def relief():
    random = np.random.default_rng(3)
    dem = np.cumsum(np.cumsum(random.standard_normal((SIDE, SIDE)), 0), 1)
    dem[9:15, 4:11] = 7.0  # level ground
    dem[18, 19] = np.nan  # a hole
    return dem.astype(np.float32)


def factors_of(dem):
    return np.stack([slope(dem, 10.0), aspect(dem, 10.0)], axis=-1)


@pytest.fixture(scope="module")
def stream():
    """One example whose `image` is the elevation model itself."""
    dem = relief()
    example = {
        "image": dem[..., None],
        "factors": factors_of(dem),
        "mask": np.zeros((SIDE, SIDE), np.uint8),
        "id": "relief",
    }
    description = DataDescription("made/up", "train", CHANNELS, ("a", "b"), 1)
    return TrainingBatches(
        from_examples([example], description),
        InputSelection(("height",), ("slope", "aspect")),
        batch_size=1,
        seed=0,
        augmentation=Augmentation(dihedral=True),
    )


@pytest.fixture(scope="module")
def drawn(stream):
    """The augmented elevation models and factors by operation."""
    models = {name: dihedral(relief(), name).tobytes() for name in DIHEDRAL}
    found = {}
    for epoch in range(80):
        inputs, _ = stream.batch(epoch, 0)
        dem = inputs["image"][0, ..., 0]
        (name,) = [n for n, data in models.items() if data == dem.tobytes()]
        found[name] = dem, inputs["factors"][0]
    return found


@pytest.mark.parametrize("operation", DIHEDRAL)
def test_factors_of_the_turned_model_are_the_turned_factors(drawn, operation):
    dem, turned = drawn[operation]
    got, expected = turned[INNER], factors_of(dem)[INNER]
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got[..., 0], expected[..., 0], atol=1e-4)
    level = expected[..., 1] == -1
    assert level.sum() >= 20
    np.testing.assert_array_equal(got[..., 1] == -1, level)
    apart = np.abs((got[..., 1] - expected[..., 1] + 180) % 360 - 180)[~level]
    assert np.nanmax(apart) < 1e-3
    # Only turning the pixels would not do.
    if operation != "identity":
        moved = dihedral(factors_of(relief()), operation)[INNER]
        wrong = np.abs((moved[..., 1] - expected[..., 1] + 180) % 360 - 180)[~level]
        assert np.nanmax(wrong) > 80

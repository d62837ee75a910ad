"""Windows, weights and blending: what comes back is what went in."""

import itertools

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.mapping.windows import Blender, axis, batched, window_of

WINDOW = 16
SIZES = (1, 7, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 5)
OVERLAPS = (0, 1, WINDOW // 4, WINDOW // 2)


def through_windows(scene, model, *, overlap, stride=1, window=WINDOW):
    """Predicts a scene window by window, as whole rows of them."""
    height, width, channels = scene.shape
    rows, columns = (
        axis(size, window=window, overlap=overlap, stride=stride)
        for size in (height, width)
    )
    blender = Blender(rows, columns, channels)
    strips = []
    for row, top in enumerate(rows.offsets):
        part = scene[top : rows.end(row)]
        for k, left in enumerate(columns.offsets):
            blender.add(row, k, model(part[:, left : columns.end(k)]))
        strips.append(blender.take(row))
    return np.concatenate(strips)


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_identity_returns_the_scene(overlap):
    for height, width in itertools.product(SIZES, SIZES):
        scene = np.random.default_rng(0).random((height, width, 2), np.float32)
        out = through_windows(scene, lambda x: x, overlap=overlap)
        assert out.shape == scene.shape
        assert np.abs(out - scene).max() <= 1e-6


@pytest.mark.parametrize("stride", [2, 4, 8, 16])
def test_offsets_lie_on_the_stride_and_cover_everything(stride):
    for size, overlap in itertools.product((1, 15, 16, 17, 53, 97), OVERLAPS):
        found = axis(size, window=WINDOW, overlap=overlap, stride=stride)
        assert all(offset % stride == 0 for offset in found.offsets)
        ends = [found.end(k) for k in range(len(found.offsets))]
        assert ends[-1] == size and (np.array(ends) > found.offsets).all()
        total = np.zeros(size)
        for offset, weights in zip(found.offsets, found.weights(), strict=True):
            assert weights.min() > 0
            total[offset : offset + len(weights)] += weights
        np.testing.assert_allclose(total, 1, atol=2e-7)


def local_mean(x):
    """A model of reach 2 whose arithmetic depends on stride 2, as pooling does."""
    height, width, channels = x.shape
    padded = np.pad(x, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    h, w = padded.shape[0] // 2, padded.shape[1] // 2
    pooled = padded.reshape(h, 2, w, 2, channels).mean((1, 3))
    return pooled.repeat(2, 0).repeat(2, 1)[:height, :width]


def test_a_model_of_stride_2_gives_what_it_gives_for_the_whole():
    scene = np.random.default_rng(1).random((53, 37, 1), np.float32)
    for overlap in OVERLAPS:
        out = through_windows(scene, local_mean, overlap=overlap, stride=2)
        np.testing.assert_allclose(out, local_mean(scene), atol=1e-6)


def test_batches_hold_windows_of_one_width():
    columns = axis(3 * WINDOW + 5, window=WINDOW, overlap=4)
    groups = list(batched(range(len(columns.offsets)), columns, 3))
    assert [n for group in groups for n in group] == list(range(len(columns.offsets)))
    for group in groups:
        assert 1 <= len(group) <= 3
        assert len({columns.end(n) - columns.offsets[n] for n in group}) == 1


@pytest.mark.parametrize(
    ("trained", "stride", "wanted", "expected"),
    [
        (None, 16, {}, (512, 128)),
        (32, 16, {}, (32, 16)),
        (225, 16, {}, (240, 64)),
        (1, 8, {}, (8, 0)),
        (32, 16, {"window": 256}, (256, 64)),
        (32, 16, {"overlap": 0}, (32, 0)),
        (32, 16, {"window": 64, "overlap": 1}, (64, 1)),
    ],
)
def test_windows_are_as_large_as_the_examples_of_training(
    trained, stride, wanted, expected
):
    assert window_of(trained, stride, **wanted) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"window": 20, "overlap": 0, "stride": 16},
            "multiple of the model's stride 16",
        ),
        ({"window": 16, "overlap": 9}, "from 0 to 8"),
        ({"window": 16, "overlap": -1}, "from 0 to 8"),
    ],
)
def test_windows_that_do_not_fit(arguments, words):
    with pytest.raises(DataError, match=words):
        axis(100, **arguments)

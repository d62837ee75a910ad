"""Windows around superpixels."""

import numpy as np
import pytest
from skimage.measure import regionprops
from skimage.segmentation import slic

from landslide_tf.errors import DataError
from landslide_tf.prepare import superpixel_patches

COLOURS = np.array([[200, 60, 40], [40, 140, 60], [60, 80, 200]], np.uint8)


def scene(height=96, width=128, seed=0):
    """Three classes in large areas, each of one colour with a little noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((height, width))
    mask = (rows > 0.4 * height).astype(np.uint8)
    mask[np.hypot(rows - 0.7 * height, columns - 0.7 * width) < 0.2 * height] = 2
    noise = rng.integers(-9, 10, (height, width, 3))
    return np.clip(COLOURS[mask] + noise, 0, 255).astype(np.uint8), mask


def test_patches_lie_inside_and_say_what_they_show():
    image, mask = scene()
    mask[:20, :40] = 255
    patches = superpixel_patches("s", image, mask, 3, size=32)
    assert len(patches) > 12
    assert len({(p.row, p.column) for p in patches}) == len(patches)
    assert {p.label for p in patches} == {0, 1, 2}
    for patch in patches:
        assert (patch.id, patch.size) == ("s", 32)
        assert 0 <= patch.row <= 96 - 32
        assert 0 <= patch.column <= 128 - 32
        window = mask[patch.window]
        assert window.shape == (32, 32)
        shares = [np.mean(window == k) for k in range(3)]
        assert patch.fractions == pytest.approx(shares)
        assert patch.valid == pytest.approx(np.mean(window != 255))
        assert all(isinstance(share, float) for share in patch.fractions)


def test_windows_are_centred_on_superpixels():
    image, mask = scene()
    size = 32
    segments = slic(image, n_segments=48, compactness=10, sigma=1, start_label=1)
    expected = {}
    for region in regionprops(segments):
        row, column = (
            min(max(int(np.floor(centre - size / 2 + 1)), 0), length - size)
            for centre, length in zip(region.centroid, mask.shape, strict=True)
        )
        values = mask[tuple(region.coords.T)]
        expected.setdefault((row, column), np.bincount(values).argmax())
    patches = superpixel_patches("s", image, mask, 3, size=size)
    assert {(p.row, p.column): p.label for p in patches} == expected


def test_a_superpixel_in_the_middle_gives_a_window_around_it():
    # The whole scene is one superpixel: its middle is that of the scene.
    image = np.full((1, 12, 3), 80, np.uint8)
    (patch,) = superpixel_patches("s", image, np.zeros((1, 12), int), 1, size=8)
    assert (patch.row, patch.column) == (0, 2)


def test_superpixels_without_classes_are_dropped():
    image, mask = scene()
    whole = superpixel_patches("s", image, mask, 3, size=32)
    mask[39:] = 255  # all but the first class
    upper = superpixel_patches("s", image, mask, 3, size=32)
    assert {p.label for p in upper} == {0}
    assert {(p.row, p.column) for p in upper} < {(p.row, p.column) for p in whole}
    assert all(p.fractions[1:] == (0.0, 0.0) for p in upper)
    assert superpixel_patches("s", image, np.full_like(mask, 255), 3, size=32) == []


@pytest.mark.parametrize(("valid", "count"), [(50, 1), (49, 0)])
def test_half_a_superpixel_must_have_a_class(valid, count):
    mask = np.full(100, 255, np.uint8)
    mask[:valid] = 1
    image = np.zeros((10, 10, 3), np.uint8)
    patches = superpixel_patches("s", image, mask.reshape(10, 10, 1), 2, size=20)
    assert len(patches) == count


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (20, 60)])
def test_a_scene_smaller_than_a_patch(shape):
    image = np.full((*shape, 3), 128, np.uint8)
    mask = np.ones((*shape, 1), np.uint8)
    patches = superpixel_patches("s", image, mask, 2, size=32)
    assert patches
    for patch in patches:
        assert patch.row == 0
        shown = mask[patch.window].size
        assert patch.fractions == (0.0, shown / 32**2)
        assert patch.label == 1


def test_of_equal_windows_the_first_stays():
    mask = np.repeat([[0, 1]], 10, axis=1).repeat(20, axis=0)
    patches = superpixel_patches("s", COLOURS[mask], mask, 2, size=20)
    assert [(p.row, p.column, p.label) for p in patches] == [(0, 0, 0)]


def test_windows_without_any_class_are_dropped():
    # One superpixel with classes along the rim only: its middle shows none.
    mask = np.zeros((1, 12), np.uint8)
    mask[0, 3:9] = 255
    image = np.full((1, 12, 3), 80, np.uint8)
    assert superpixel_patches("s", image, mask, 1, size=6) == []


def test_equal_scenes_give_equal_patches():
    image, mask = scene()
    first = superpixel_patches("s", image, mask, 3, size=48)
    assert first == superpixel_patches("s", image.copy(), mask.copy(), 3, size=48)


IMAGE, MASK = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((IMAGE[..., :2], MASK, 2), r"image of `s` of shape \(H, W, 3\), received"),
        ((IMAGE[:0], MASK[:0], 2), "image of `s` of shape"),
        ((IMAGE, MASK.T, 2), r"mask of `s` as integers of shape \(6, 8\)"),
        ((IMAGE, MASK.astype(float), 2), "received float64"),
        ((IMAGE, MASK + 2, 2), "classes below 2 or 255, received 2"),
        ((IMAGE, MASK.astype(int) - 1, 2), "received -1"),
        ((IMAGE + np.float32("nan"), MASK, 2), "NaN or infinity"),
        ((IMAGE, MASK, 0), "`classes` from 1 to 255"),
        ((IMAGE, MASK, 256), "`classes` from 1 to 255"),
    ],
)
def test_bad_scenes(arguments, words):
    with pytest.raises(DataError, match=words) as caught:
        superpixel_patches("s", *arguments, size=4)
    assert "\n" not in str(caught.value)


def test_bad_size():
    with pytest.raises(DataError, match="`size` of at least 1"):
        superpixel_patches("s", IMAGE, MASK, 2, size=0)

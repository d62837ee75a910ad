"""Flip, scale, black padding and blur against references of their own."""

import math
from fractions import Fraction

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.pipelines import (
    Augmentation,
    Channel,
    DataDescription,
    InputSelection,
    TrainingBatches,
    example_generator,
    from_examples,
)
from landslide_tf.pipelines.augment import random_patch

CAS = Augmentation(flip=True, scale=(0.5, 2.0), padding="black", blur=1.0)


def triangle(values, length):
    """One axis by the triangle filter, widened where it shrinks (float64)."""
    ratio = len(values) / length
    width = max(1.0, ratio)
    out = np.zeros((length, *values.shape[1:]))
    for k in range(length):
        centre = (k + 0.5) * ratio
        places = np.arange(len(values)) + 0.5
        weights = np.clip(1 - np.abs(places - centre) / width, 0, None)
        out[k] = np.tensordot(weights / weights.sum(), values, 1)
    return out


def nearest(size, length):
    """The pixel below the centre of each new one, in exact fractions."""
    return [math.floor(Fraction(2 * k + 1, 2 * length) * size) for k in range(length)]


def blurred(values, sigma):
    """A Gaussian over four standard deviations, edges repeated (float64)."""
    radius = int(4 * sigma + 0.5)
    at = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (at / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        space = [(0, 0)] * values.ndim
        space[axis] = (radius, radius)
        padded = np.pad(values.astype(float), space, mode="edge")
        size = values.shape[axis]
        values = sum(
            w * np.take(padded, np.arange(size) + k, axis)
            for k, w in enumerate(weights)
        )
    return values


def example(height, width, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.float32)
    return {"image": image}, rng.integers(0, 2, (height, width)).astype(np.uint8)


@pytest.mark.parametrize("side", [7, 16, 31, 40])
def test_scaling_is_a_triangle_filter_and_labels_keep_their_values(side):
    inputs, mask = example(16, 23)
    inputs["factors"] = np.where(mask, np.nan, 5.0)[..., None].astype(np.float32)
    size = (side, round(23 * side / 16))
    whole = size[1]  # a patch that holds all of the scaled example
    change = Augmentation(scale=(side / whole, side / whole))
    scaled, labels = change.place(inputs, mask, whole, example_generator(0, 0, "a"), ())
    scaled = {key: value[:side] for key, value in scaled.items()}
    labels = labels[:side]
    assert scaled["image"].shape == (*size, 3) and labels.shape == size
    rows = triangle(inputs["image"].astype(float), size[0])
    expected = triangle(rows.transpose(1, 0, 2), size[1]).transpose(1, 0, 2)
    np.testing.assert_allclose(scaled["image"], expected, atol=2e-3)
    places = nearest(16, size[0]), nearest(23, size[1])
    np.testing.assert_array_equal(labels, mask[np.ix_(*places)])
    np.testing.assert_array_equal(np.isnan(scaled["factors"][..., 0]), labels == 1)


def test_every_step_as_listed():
    """The whole order, drawn and worked again from the same stream."""
    seen = {"flip": set(), "padded": set(), "blur": set(), "sides": []}
    for seed in range(40):
        inputs, mask = example(24, 24, seed)
        first, second = (example_generator(seed, 3, "a") for _ in range(2))
        placed = CAS.place(inputs, mask, 24, first, ())
        image, labels = CAS(*placed, first, ())
        flip = second.random() < 0.5
        side = int(second.integers(12, 48, endpoint=True))
        pixels, truth = inputs["image"], mask
        if flip:
            pixels, truth = pixels[:, ::-1], truth[:, ::-1]
        if side != 24:
            pixels = triangle(pixels.astype(float), side)
            pixels = triangle(pixels.transpose(1, 0, 2), side).transpose(1, 0, 2)
            at = nearest(24, side)
            truth = truth[np.ix_(at, at)]
        top, left = (int(second.integers(max(1, side - 23))) for _ in range(2))
        wanted, label = np.zeros((24, 24, 3)), np.full((24, 24), 255)
        cut = pixels[top : top + 24, left : left + 24]
        wanted[: len(cut), : len(cut)] = cut
        label[: len(cut), : len(cut)] = truth[top : top + 24, left : left + 24]
        second.integers(8), second.uniform(-1, 1, 2)  # dihedral and colours, off
        blur = second.random() < 0.5
        if blur:
            wanted = blurred(wanted, second.uniform(0, 1.0))
        np.testing.assert_array_equal(labels, label)
        np.testing.assert_allclose(image["image"], wanted, atol=5e-3)
        assert image["image"].shape == (24, 24, 3) and set(np.unique(labels)) <= {
            0,
            1,
            255,
        }
        assert (side < 24) == (labels == 255).any()
        for key, value in (("flip", flip), ("padded", side < 24), ("blur", blur)):
            seen[key].add(value)
        seen["sides"].append(side)
    assert all(seen[key] == {True, False} for key in ("flip", "padded", "blur"))
    assert min(seen["sides"]) < 16 and max(seen["sides"]) > 44


def test_a_marker_stays_on_its_label():
    image = np.zeros((32, 32, 1), np.float32)
    mask = np.zeros((32, 32), np.uint8)
    image[8:20, 4:16], mask[8:20, 4:16] = 200.0, 1
    change = Augmentation(flip=True, scale=(0.5, 2.0), padding="black")
    for seed in range(30):
        generator = example_generator(seed, 0, "marker")
        inputs, labels = change.place({"image": image}, mask, 32, generator, ())
        bright = inputs["image"][..., 0] > 100
        if (labels == 1).any():
            both = (bright & (labels == 1)).sum() / (bright | (labels == 1)).sum()
            assert both > 0.8


def test_padding_is_black_and_ignored_unless_asked():
    inputs, mask = example(5, 6)
    inputs["factors"] = np.ones((5, 6, 1), np.float32)
    for label in (255, 0):
        generator = example_generator(0, 0, "a")
        padded, labels = random_patch(
            inputs, np.ones_like(mask), 8, generator, padding="black", pad_label=label
        )
        assert (labels[5:] == label).all() and (labels[:, 6:] == label).all()
        assert not padded["image"][5:].any() and not padded["image"][:, 6:].any()
        assert np.isnan(padded["factors"][5:]).all()
        np.testing.assert_array_equal(padded["image"][:5, :6], inputs["image"])


def test_aspect_is_mirrored_with_the_image():
    inputs = {
        "image": np.zeros((4, 4, 1), np.float32),
        "factors": np.full((4, 4, 2), 90.0, np.float32),
    }
    change = Augmentation(flip=True)
    found = set()
    for seed in range(12):
        generator = example_generator(seed, 0, "a")
        turned, _ = change.place(
            inputs, np.zeros((4, 4), np.uint8), None, generator, ("aspect", "other")
        )
        found.add(float(turned["factors"][0, 0, 0]))
        assert (turned["factors"][..., 1] == 90).all()
    assert found == {90.0, 270.0}


def test_what_is_off_draws_nothing():
    inputs, mask = example(16, 16)
    one, other = example_generator(1, 0, "a"), example_generator(1, 0, "a")
    placed = Augmentation().place(inputs, mask, 8, one, ())
    cut = random_patch(inputs, mask, 8, other)
    np.testing.assert_array_equal(placed[0]["image"], cut[0]["image"])
    assert one.random() == other.random()


def test_batches_depend_on_the_step_alone():
    channels = {n: Channel(n, "image", k) for k, n in enumerate("rgb")}
    description = DataDescription("made", "train", channels, ("other", "slide"), 1)
    examples = []
    for k in range(6):
        inputs, mask = example(20, 20, k)
        examples.append({"image": inputs["image"], "mask": mask, "id": f"e{k}"})
    store = from_examples(examples, description)
    arguments = (store, InputSelection(("r", "g", "b")), 2, 5, CAS)
    batches = TrainingBatches(*arguments, patch=16)
    image, labels = batches.batch(3, 1)
    again, _ = TrainingBatches(*arguments, patch=16).batch(3, 1)
    np.testing.assert_array_equal(image["image"], again["image"])
    assert image["image"].shape == (2, 16, 16, 3) and labels.shape == (2, 16, 16)
    assert image["image"].dtype == np.float32 and math.isfinite(image["image"].sum())
    assert not np.array_equal(image["image"], batches.batch(4, 1)[0]["image"])
    with pytest.raises(DataError, match="scale` is a multiple of the"):
        TrainingBatches(*arguments)

"""Saliency and channel fusion against golden values, stage by stage."""

import hashlib

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.evidence import fuse_channel, multiscale_saliency, to_uint8
from landslide_tf.evidence.saliency import ON_ARRAYS as stages
from landslide_tf.evidence.saliency import resize_matrix
from tests.evidence.images import assert_stage, golden_images

IMAGES = golden_images()
BORDERS = ("replicate", "zero")


def digest(values):
    return hashlib.sha256(np.ascontiguousarray(values, np.uint8).tobytes()).hexdigest()


@pytest.mark.parametrize("name", IMAGES)
def test_every_stage_is_the_golden_one(golden, name):
    case, image = golden["saliency"][name], IMAGES[name]
    assert digest(image) == case["input"]["sha256"]
    expected = case["replicate"]
    smooth = stages.smoothed(image.astype(float))
    assert_stage(smooth, expected["presmooth"], atol=0)
    grey = stages.grey(smooth)
    assert_stage(grey, expected["gray"], atol=0)
    for border in BORDERS:
        raw = stages.gradient(grey, border)
        if "grad_raw" in case[border]:
            assert_stage(raw, case[border]["grad_raw"])
        final = multiscale_saliency(image, border)
        assert_stage(final, case[border]["final"])
        assert digest(to_uint8(final)) == case[border]["final_uint8"]["sha256"]
    height, width = grey.shape
    for part, key in ((2, "resized_2_3"), (1, "resized_1_3")):
        small = stages.resized(grey / 255, part * height // 3, part * width // 3)
        assert_stage(small, expected[key])
    maps = stages.scales(grey / 255)
    for values, key in zip(maps, ("scale1", "scale2_3", "scale1_3"), strict=True):
        assert_stage(values, expected[key])
    entropy = stages.histogram_entropy(maps)
    np.testing.assert_allclose(entropy, expected["entropy"], rtol=0, atol=1e-6)
    assert_stage(stages.combined(maps), expected["multiscale"])
    if "scale1_internals" in case:
        power = stages.residual_power(grey / 255)
        assert_stage(power, case["scale1_internals"]["inverse_power"], atol=1e-9)


def test_images_of_a_batch_do_not_mix():
    rng = np.random.default_rng(0)
    image = IMAGES["img3"]
    batch = np.stack([image, IMAGES["img4"], rng.integers(0, 256, image.shape)])
    together = multiscale_saliency(batch.reshape(1, 3, 24, 30, 3), "zero")[0]
    for one, result in zip(batch, together, strict=True):
        np.testing.assert_allclose(
            result, multiscale_saliency(one, "zero"), rtol=0, atol=1e-12
        )


def test_range_and_constant_images():
    for level in (0, 7, 255):
        flat = np.full((24, 25, 3), level, np.uint8)
        assert not multiscale_saliency(flat).any()
        assert np.isfinite(multiscale_saliency(flat, "zero")).all()
    noise = np.random.default_rng(1).integers(0, 256, (5, 31, 24, 3))
    found = multiscale_saliency(noise)
    assert found.min() >= 0
    np.testing.assert_array_equal(found.max(axis=(-2, -1)), 1)


def test_grey_is_repeated_and_a_fourth_channel_dropped():
    image = IMAGES["img3"]
    expected = multiscale_saliency(image)
    for same in (image[..., 0], image[..., :1], np.dstack([image, image[..., :1] + 1])):
        np.testing.assert_array_equal(multiscale_saliency(same), expected)


def test_resize_matches_the_golden_cases(golden):
    for case in golden["imresize"]["cases"]:
        matrix = resize_matrix(len(case["in"]), case["n_out"])
        np.testing.assert_allclose(matrix @ case["in"], case["out"], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("old", "new"), [(24, 8), (25, 16), (16, 24), (8, 25), (9, 9)])
def test_resize_keeps_constants_and_is_the_identity_at_the_same_size(old, new):
    matrix = resize_matrix(old, new)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=0, atol=1e-14)
    if old == new:
        np.testing.assert_allclose(matrix, np.eye(old), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", ["img1", "img2"])
def test_channel_fusion_is_the_golden_one(golden, name):
    case, image = golden["channel_fusion"][name], IMAGES[name]
    final = multiscale_saliency(image)
    for mode in ("replace", "mean", "multiply"):
        for channel in "hsv":
            fused = fuse_channel(image, final, channel, mode)
            assert_stage(fused, case[f"{mode}_{channel}"])
    for index, channel in enumerate("hsv"):
        hsv = fuse_channel(image, final, channel, output="hsv")
        np.testing.assert_array_equal(hsv[..., index], final)
        others = [i for i in range(3) if i != index]
        for place, expected in case["hsv"]["at"].items():
            y, x = map(int, place.split(","))
            np.testing.assert_allclose(
                hsv[y, x][others], np.array(expected)[others], rtol=0, atol=1e-6
            )


def test_channel_fusion_takes_batches():
    image = np.stack([IMAGES["img3"], IMAGES["img4"]])
    fused = fuse_channel(image, multiscale_saliency(image), "v", "mean")
    alone = fuse_channel(image[1], multiscale_saliency(image[1]), "v", "mean")
    np.testing.assert_array_equal(fused[1], alone)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: multiscale_saliency(np.zeros((23, 40, 3))), "at least 24"),
        (lambda: multiscale_saliency(np.zeros((40, 40, 2))), "shape"),
        (lambda: multiscale_saliency(np.full((24, 24, 3), 256.0)), "0 to 255"),
        (lambda: multiscale_saliency(np.full((24, 24, 3), np.nan)), "0 to 255"),
        (lambda: multiscale_saliency(np.zeros((24, 24, 3)), "zeros"), "`zero`"),
        (
            lambda: fuse_channel(np.zeros((24, 24, 3)), np.zeros((24, 23)), "h"),
            "before any resize",
        ),
        (
            lambda: fuse_channel(np.zeros((24, 24, 3)), np.full((24, 24), 9.0), "h"),
            "divide 8-bit",
        ),
        (
            lambda: fuse_channel(np.zeros((24, 24, 3)), np.zeros((24, 24)), "hue"),
            "`channel` cannot be `hue`",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(call, words):
    with pytest.raises(DataError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)

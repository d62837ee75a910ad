import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.models import rae_d, unet
from landslide_tf.models.backbones import stem_kernel

CONSTANTS = (0.0, 1.0, 1.0)


@pytest.fixture
def rgb():
    return np.random.default_rng(0).normal(size=(3, 3, 3, 5)).astype("float32")


@pytest.mark.parametrize("bands", [3, 6, 12])
def test_repeat_keeps_what_an_image_constant_over_its_bands_gives(rgb, bands):
    kernel = stem_kernel(rgb, bands, "repeat")
    assert kernel.shape == (3, 3, bands, 5) and kernel.dtype == np.float32
    np.testing.assert_allclose(kernel.sum(axis=2), rgb.sum(axis=2), atol=1e-5)


@pytest.mark.parametrize("bands", [1, 2, 4, 7])
def test_repeat_cycles_red_green_blue(rgb, bands):
    kernel = stem_kernel(rgb, bands, "repeat")
    for band in range(bands):
        expected = rgb[:, :, band % 3] * 3 / bands
        np.testing.assert_allclose(kernel[:, :, band], expected, rtol=1e-6)


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_zero_leaves_further_bands_without_effect(rgb, bands):
    kernel = stem_kernel(rgb, bands, "zero")
    first = min(3, bands)
    np.testing.assert_array_equal(kernel[:, :, :first], rgb[:, :, :first])
    assert not kernel[:, :, 3:].any()


def test_bands_of_one_colour_share_its_weight(rgb):
    kernel = stem_kernel(rgb, 5, ("blue", None, "red", "blue", "green"))
    np.testing.assert_array_equal(kernel[:, :, 2], rgb[:, :, 0])
    np.testing.assert_array_equal(kernel[:, :, 4], rgb[:, :, 1])
    np.testing.assert_array_equal(kernel[:, :, 0], rgb[:, :, 2] / 2)
    np.testing.assert_array_equal(kernel[:, :, 3], rgb[:, :, 2] / 2)
    assert not kernel[:, :, 1].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stem": "repat"}, "Did you mean `repeat`"),
        ({"stem": ("red", "green")}, "each of 4 bands, received 2"),
        ({"stem": ("red", "gren", None, None)}, "Did you mean `green`"),
        ({"stem": "zero", "normalization": "imagenet"}, "(mean, std, scale)"),
        ({"stem": None}, "choose a `stem` rule"),
    ],
)
def test_stems_that_do_not_fit_are_refused(arguments, message):
    shape = {"input_shape": (None, None, 4), "normalization": CONSTANTS}
    with pytest.raises(ModelError) as caught:
        rae_d(backbone_weights="imagenet", **{**shape, **arguments})
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_other_encoders_have_no_stem():
    with pytest.raises(ModelError, match="needs a ResNet"):
        unet(backbone="MobileNetV2", stem="zero")

"""Saliency, channel fusion and evidential fusion in the graph against NumPy."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.evidence import (
    VARIANTS,
    fuse_branches,
    fuse_channel,
    multiscale_saliency,
    to_uint8,
)
from landslide_tf.layers import (
    ChannelSaliencyFusion,
    EvidentialFusion,
    MultiScaleSaliency,
)
from tests.contracts.jax_process import ON_JAX
from tests.evidence.images import assert_stage, golden_images

IMAGES = golden_images()
# float32 output of a float64 computation
CAST = {"rtol": 0, "atol": 1e-6}


def branches(number=3, images=200):
    """Random probabilities, with every mixture of certain and undecided branches."""
    p = np.random.default_rng(0).uniform(size=(images, number))
    extremes = np.array(np.meshgrid(*[[0, 0.5, 1]] * number)).reshape(number, -1).T
    p = np.concatenate([p, extremes]).astype("float32")
    return np.stack([1 - p, p], axis=-1)


def assert_bytes_alike(found, expected):
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


@pytest.mark.parametrize("border", ["replicate", "zero"])
def test_saliency_is_the_reference_for_unknown_sizes_too(border):
    layer = MultiScaleSaliency(border)
    traced = tf.function(layer, [tf.TensorSpec((None, None, None, 3), tf.uint8)])
    for image in IMAGES.values():
        expected = multiscale_saliency(image, border)
        for call in (layer, traced):
            found = np.array(call(image[None]))[0, ..., 0]
            np.testing.assert_allclose(found, expected, **CAST)
            assert_bytes_alike(to_uint8(found), to_uint8(expected))


def test_saliency_is_the_golden_one(shared):
    path = shared / "specs" / "golden" / "evidential_fusion.json"
    golden = json.loads(path.read_text(encoding="utf-8"))["saliency"]
    for border in ("replicate", "zero"):
        found = MultiScaleSaliency(border)(IMAGES["img1"][None])
        assert_stage(np.array(found)[0, ..., 0], golden["img1"][border]["final"])


def test_saliency_of_a_batch_and_of_constant_images():
    noise = np.random.default_rng(0).integers(0, 256, (24, 30, 3))
    batch = np.stack([IMAGES["img3"], IMAGES["img4"], noise]).astype("float32")
    found = np.array(MultiScaleSaliency()(batch))
    np.testing.assert_allclose(found[..., 0], multiscale_saliency(batch), **CAST)
    assert not found[1].any()
    single = np.array(MultiScaleSaliency(precision="float32")(batch))
    # Stripes, whose spectrum has zeros, are the worst case of single precision.
    assert np.abs(single - found)[1:].max() < 1e-3
    assert np.abs(single - found)[0].max() < 0.1


def test_the_policy_changes_nothing():
    expected = np.array(MultiScaleSaliency()(IMAGES["img2"][None]))
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer, fusion = MultiScaleSaliency(), EvidentialFusion()
        channel = ChannelSaliencyFusion("h")
    finally:
        keras.config.set_dtype_policy("float32")
    saliency = layer(IMAGES["img2"][None])
    assert saliency.dtype == tf.float32
    np.testing.assert_array_equal(saliency, expected)
    assert channel(IMAGES["img2"][None], saliency).dtype == tf.float32
    found = fusion(branches())["probabilities"]
    np.testing.assert_array_equal(
        found, EvidentialFusion()(branches())["probabilities"]
    )


@pytest.mark.parametrize("mode", ["replace", "mean", "multiply"])
@pytest.mark.parametrize("channel", ["h", "s", "v"])
def test_channel_fusion_is_the_reference(channel, mode):
    image = IMAGES["img1"]
    saliency = multiscale_saliency(image)
    expected = fuse_channel(image, saliency, channel, mode)
    given = saliency[None, ..., None].astype("float32")
    found = ChannelSaliencyFusion(channel, mode)(image[None], given)
    assert_bytes_alike(np.array(found)[0], to_uint8(expected))
    exact = ChannelSaliencyFusion(channel, mode, quantize=False)(image[None], given)
    np.testing.assert_allclose(exact[0], 255 * expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_fusion_is_the_reference(variant, number):
    probabilities = branches(number)
    found = EvidentialFusion(variant)(probabilities)
    expected = fuse_branches(probabilities, variant)
    for name in ("probabilities", "weights", "conflict", "vacuity"):
        assert found[name].dtype == tf.float32
        # The weights of saturated branches are ratios of rounding errors as released.
        atol = 1e-2 if (variant, name) == ("released", "weights") else 1e-6
        np.testing.assert_allclose(
            found[name], getattr(expected, name), rtol=0, atol=atol, err_msg=name
        )
    clear = np.abs(expected.probabilities[:, 1] - 0.5) > 1e-6
    np.testing.assert_array_equal(
        np.array(found["label"])[clear], expected.label[clear]
    )


@pytest.mark.slow
def test_a_model_of_the_three_exports_with_unknown_sizes(tmp_path):
    image = keras.Input((None, None, 3), name="image", dtype="uint8")
    saliency = MultiScaleSaliency(name="saliency")(image)
    fused = ChannelSaliencyFusion("v", name="fused")(image, saliency)
    share = keras.layers.GlobalAveragePooling2D()(fused)[:, :2]
    pair = keras.layers.Softmax()(keras.layers.Reshape((1, 2))(share / 50.0))
    votes = keras.layers.Concatenate(axis=1)([pair, pair[..., ::-1]])
    fusion = EvidentialFusion(name="fusion")(votes)
    model = keras.Model(image, {"saliency": saliency, **fusion})
    path = tmp_path / "model.keras"
    model.save(path)
    copy = keras.models.load_model(path, safe_mode=True)
    for image in (IMAGES["img1"], IMAGES["img2"]):
        first, second = model(image[None]), copy(image[None])
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name])
    copy.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export").signatures["serving_default"]
    found = served(image=tf.constant(image[None]))
    np.testing.assert_allclose(found["saliency"], first["saliency"], **CAST)
    np.testing.assert_allclose(found["weights"], first["weights"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MultiScaleSaliency("edge"), "border"),
        (lambda: MultiScaleSaliency(precision="half"), "precision"),
        (lambda: MultiScaleSaliency()(np.zeros((1, 23, 30, 3))), "at least 24"),
        (lambda: MultiScaleSaliency()(np.zeros((1, 24, 30, 4))), "height, width, 3"),
        (lambda: ChannelSaliencyFusion("x"), "channel"),
        (lambda: ChannelSaliencyFusion("h", "max"), "mode"),
        (lambda: EvidentialFusion("best"), "variant"),
        (lambda: EvidentialFusion()(np.zeros((4, 1, 2))), "two branches"),
        (lambda: EvidentialFusion()(np.zeros((4, 3, 3))), "two branches"),
    ],
)
def test_what_cannot_be_used_is_refused(call, words):
    with pytest.raises(ModelError, match=words):
        call()


JAX = """
import sys
import jax, keras, numpy as np
from landslide_tf import layers
from landslide_tf.errors import ModelError

assert keras.backend.backend() == "jax"
data = np.load(sys.argv[1])
layer = layers.MultiScaleSaliency()
saliency = layer(data["image"])
compiled = jax.jit(lambda image: layer(image))(data["image"])
np.testing.assert_allclose(compiled, saliency, rtol=0, atol=1e-3)
fused = layers.ChannelSaliencyFusion("s")(data["image"], saliency)
found = layers.EvidentialFusion()(data["branches"])
try:
    layers.EvidentialFusion("released")
except ModelError as error:
    assert "64 bits" in str(error)
else:
    raise AssertionError("released in single precision")
np.savez(sys.argv[2], saliency=saliency, fused=fused, **found)
"""


@pytest.mark.integration
def test_jax_gives_the_same_in_single_precision(tmp_path):
    pytest.importorskip("jax")
    image = IMAGES["img1"][None]
    probabilities = branches()
    np.savez(tmp_path / "in.npz", image=image, branches=probabilities)
    command = [sys.executable, "-W", "error::UserWarning", "-c", JAX]
    files = [str(tmp_path / name) for name in ("in.npz", "out.npz")]
    result = subprocess.run(
        [*command, *files],
        capture_output=True,
        text=True,
        env=ON_JAX,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = np.load(tmp_path / "out.npz")
    saliency = multiscale_saliency(image)
    np.testing.assert_allclose(found["saliency"][..., 0], saliency, rtol=0, atol=1e-3)
    fused = 255 * fuse_channel(image, saliency, "s")
    np.testing.assert_allclose(found["fused"], fused, rtol=0, atol=1.01)
    expected = fuse_branches(probabilities)
    for name in ("probabilities", "weights", "conflict", "vacuity"):
        np.testing.assert_allclose(
            found[name], getattr(expected, name), rtol=0, atol=1e-5, err_msg=name
        )

"""Soft Dice and the preservation of responses against worked values."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.losses import ResponsePreservationLoss, SoftDiceLoss


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs" / "golden" / "tsmu.json").read_text())


def pixels(values):
    return np.asarray(values, "float32")[..., None]


def test_soft_dice_goldens(golden):
    case = golden["dice"]
    y, p = np.asarray(case["y_true"], "uint8"), pixels(case["y_prob"])
    assert float(SoftDiceLoss()(y, p)) == pytest.approx(case["pooled_loss"], abs=1e-6)
    one_by_one = [float(SoftDiceLoss()(y[k : k + 1], p[k : k + 1])) for k in (0, 1)]
    assert one_by_one == pytest.approx(case["per_image_loss"], abs=1e-6)
    assert float(SoftDiceLoss(per_image=True)(y, p)) == pytest.approx(
        case["per_image_mean_loss"], abs=1e-6
    )
    assert float(SoftDiceLoss(smooth=1e-6)(y, p)) == pytest.approx(
        case["pooled_loss_smooth_1e-6"], abs=1e-6
    )


def test_soft_dice_edges(golden):
    for case in golden["dice"]["edge_cases_4x4"]:
        y = np.full((1, 4, 4), case["y"] == "ones", "uint8")
        p = np.full((1, 4, 4, 1), case["p"] == "ones", "float32")
        for per_image in (False, True):
            loss = float(SoftDiceLoss(per_image=per_image)(y, p))
            assert loss == pytest.approx(case["loss"], abs=1e-6)


def test_soft_dice_leaves_ignored_pixels_out():
    random = np.random.default_rng(0)
    y = random.integers(0, 2, (2, 6, 7)).astype("uint8")
    p = random.random((2, 6, 7, 1)).astype("float32")
    expected = float(SoftDiceLoss()(y[:, :4], p[:, :4]))
    y[:, 4:] = 255
    assert float(SoftDiceLoss()(y, p)) == pytest.approx(expected, abs=1e-6)
    y[0, 0, 0] = 7
    assert np.isnan(float(SoftDiceLoss()(y, p)))


def test_soft_dice_of_logits():
    y = np.array([[[0, 1]]], "uint8")
    z = np.array([[[[-1.0], [2.0]]]], "float32")
    p = 1 / (1 + np.exp(-z))
    assert float(SoftDiceLoss(from_logits=True)(y, z)) == pytest.approx(
        float(SoftDiceLoss()(y, p)), abs=1e-6
    )


def test_soft_dice_of_a_large_batch_in_half_precision():
    y = np.ones((2, 512, 512), "uint8")
    p = tf.ones((2, 512, 512, 1), tf.float16)
    assert float(SoftDiceLoss()(y, p)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("form", ["mse", "kd_kl", "kd_bce"])
def test_preservation_goldens(golden, form):
    case = golden["distillation"]
    loss = ResponsePreservationLoss(form, temperature=case["kd_T"])
    found = [
        float(loss(pixels(r), pixels(p)))
        for r, p in zip(case["recorded"], case["current"], strict=True)
    ]
    assert found == pytest.approx(case[form], abs=1e-6)


def test_preservation_at_the_start(golden):
    case = golden["distillation"]
    r = pixels(case["recorded"][0])
    assert float(ResponsePreservationLoss("mse")(r, r)) == 0
    assert float(ResponsePreservationLoss("kd_kl")(r, r)) == 0
    assert float(ResponsePreservationLoss("kd_bce")(r, r)) == pytest.approx(
        case["kd_bce_at_start_old0"], abs=1e-6
    )


def test_totals(golden):
    case, dice = golden["distillation"], golden["dice"]
    new = float(
        SoftDiceLoss()(np.asarray(dice["y_true"], "uint8"), pixels(dice["y_prob"]))
    )
    old = sum(
        float(ResponsePreservationLoss()(pixels(r), pixels(p)))
        for r, p in zip(case["recorded"], case["current"], strict=True)
    )
    assert old == pytest.approx(case["mse_sum_over_old"], abs=1e-6)
    assert new + old == pytest.approx(case["total_lambda_1_mse"], abs=1e-6)
    assert new + 0.5 * old == pytest.approx(case["total_lambda_0.5_mse"], abs=1e-6)


def test_both_kd_forms_have_the_same_gradient_even_at_0_and_1():
    r = tf.constant([[[[0.0], [0.3], [1.0], [0.7]]]])
    gradients = []
    for form in ("kd_kl", "kd_bce"):
        p = tf.Variable([[[[1.0], [0.4], [0.9999], [0.2]]]])
        with tf.GradientTape() as tape:
            value = ResponsePreservationLoss(form)(r, p)
        assert np.isfinite(value)
        gradients.append(tape.gradient(value, p).numpy())
    np.testing.assert_allclose(*gradients, atol=1e-7)
    assert np.isfinite(gradients[0]).all()


@pytest.mark.parametrize(
    "loss",
    [
        SoftDiceLoss(smooth=2.0, per_image=True, ignore_class=None),
        ResponsePreservationLoss("kd_kl", temperature=3.0),
    ],
)
def test_config_round_trip(loss):
    twin = keras.losses.deserialize(
        json.loads(json.dumps(keras.losses.serialize(loss)))
    )
    assert type(twin) is type(loss)
    assert twin.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SoftDiceLoss(smooth=0), "smooth"),
        (lambda: ResponsePreservationLoss("kl"), "kd_kl"),
        (lambda: ResponsePreservationLoss(temperature=0), "temperature"),
    ],
)
def test_refuses_arguments(make, words):
    with pytest.raises(ModelError, match=words):
        make()

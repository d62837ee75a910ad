"""Classifiers: the contract, the published sizes, RepVGG's two forms."""

from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import models
from landslide_tf.errors import ModelError
from landslide_tf.layers import RepVggBlock
from landslide_tf.models.backbones.applications import FAMILIES
from landslide_tf.models.backbones.repvgg import REPVGGS
from tests.contracts.classifier import ClassifierContract


class TestRepVgg(ClassifierContract):
    arguments: ClassVar = {"width": 0.125, "dropout": 0.2}


class TestMobileNet(ClassifierContract):
    arguments: ClassVar = {"backbone": "MobileNet", "width": 0.25}


@pytest.mark.parametrize(
    ("backbone", "trainable", "total", "deploy"),
    [
        ("repvgg_a0", 7_830_530, 7_854_178, 7_030_946),
        pytest.param(
            *("repvgg_a1", 12_813_826, 12_843_650, 11_511_426), marks=pytest.mark.slow
        ),
        pytest.param(
            *("repvgg_a2", 26_804_418, 26_846_978, 24_093_762), marks=pytest.mark.slow
        ),
        pytest.param(
            *("repvgg_b0", 14_539_522, 14_574_722, 13_060_610), marks=pytest.mark.slow
        ),
    ],
)
def test_parameters_of_repvgg(backbone, trainable, total, deploy):
    model = models.landslide_classifier(backbone=backbone)
    assert model.count_params() == total
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == trainable
    single = models.landslide_classifier(backbone=backbone, deploy=True)
    assert single.count_params() == deploy


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "total"),
    [
        ("ResNet50", 23_591_810),
        ("EfficientNetB0", 4_052_133),
        ("MobileNetV3Large", 2_998_274),
    ],
)
def test_parameters_of_other_families(backbone, total):
    assert models.landslide_classifier(backbone=backbone).count_params() == total


def test_every_family_of_keras_is_known():
    builders = {
        name
        for name, value in vars(keras.applications).items()
        if callable(value) and name[0].isupper()
    }
    assert set(FAMILIES) == builders


def randomised(model):
    """Statistics and scales of a trained network."""
    random = np.random.default_rng(3)
    for block in model.layers:
        if isinstance(block, RepVggBlock):
            for norm in (block.norm3, block.norm1, block.identity_norm):
                if norm is not None:
                    weights = [
                        random.uniform(0.5, 1, w.shape) for w in norm.get_weights()
                    ]
                    norm.set_weights(weights)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["repvgg_a0", "repvgg_b1g4", "repvgg_d2se"])
def test_both_forms_of_repvgg_agree(backbone):
    keras.utils.set_random_seed(0)
    model = models.landslide_classifier(
        backbone=backbone, width=0.05, classifier_activation=None
    )
    single = models.deployed(randomised(model))
    assert all(b.deploy for b in single.layers if isinstance(b, RepVggBlock))
    image = np.random.default_rng(0).uniform(0, 255, (2, 33, 46, 3))
    inputs = {"image": image.astype("float32")}
    expected = model(inputs).numpy()
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(single(inputs), expected, rtol=0, atol=1e-4 * scale)
    again = models.deployed(single)
    np.testing.assert_array_equal(again(inputs), single(inputs))


def test_a_block_is_the_sum_of_three_branches():
    random = np.random.default_rng(1)
    x = random.normal(size=(1, 5, 4, 8)).astype("float32")
    block = RepVggBlock(8)
    block(x)
    conv3, conv1 = block.conv3.get_weights()[0], block.conv1.get_weights()[0]
    # Fresh normalisation divides by sqrt(1 + epsilon).
    total = tf.nn.conv2d(x, conv3, 1, "SAME") + tf.nn.conv2d(x, conv1, 1, "SAME") + x
    expected = np.maximum(total / np.sqrt(1 + 1e-5), 0)
    np.testing.assert_allclose(block(x), expected, atol=1e-5)
    strided = RepVggBlock(8, stride=2)
    for size in ((5, 4), (1, 1), (2, 7)):
        y = strided(np.zeros((1, *size, 8), "float32"))
        assert y.shape == strided.compute_output_shape((1, *size, 8))
        assert strided.identity_norm is None


def test_grouped_blocks_are_every_second_up_to_26():
    model = models.landslide_classifier(backbone="repvgg_b1g2", width=0.125)
    blocks = [b for b in model.layers if isinstance(b, RepVggBlock)]
    assert [b.groups for b in blocks] == [1, *[1, 2] * 13, 1]
    assert len(REPVGGS) == 14


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"backbone": "repvgg_a3"}, "Did you mean"),
        ({"backbone": "resnet51"}, "Did you mean"),
        ({"backbone_weights": "imagenet"}, "a file of PyTorch's weights"),
        ({"backbone_weights": "nowhere.npz"}, "does not exist"),
        ({"backbone": "ResNet50", "deploy": True}, "RepVGG"),
        ({"backbone": "ResNet50", "width": 0.5}, "`width` must be 1"),
        ({"backbone": "MobileNet", "backbone_weights": "nowhere.h5"}, "nowhere"),
        ({"num_classes": 1}, "sigmoid"),
        ({"weights": "nowhere.keras"}, "existing file"),
        ({"width": 0}, "`width`"),
    ],
)
def test_arguments_that_do_not_fit(arguments, words):
    with pytest.raises(ModelError, match=words):
        models.landslide_classifier(**arguments)

"""Encoders of branches: logits of a file equal its authors' arithmetic in NumPy."""

import math

import numpy as np
import pytest

from landslide_tf import models
from landslide_tf.errors import ModelError
from tests.models.weights import branch_networks as by_numpy
from tests.models.weights.torch_writer import write_zip

CLASSES, WIDTH = 3, 0.125


def hornet(x):
    return by_numpy.hornet(x, by_numpy.widths((64, 128, 256, 512), WIDTH), CLASSES)


def swin(x, window=7, second=False):
    channels = by_numpy.widths((96, 192, 384, 768), WIDTH)
    heads = [math.gcd(c, h) for c, h in zip(channels, (3, 6, 12, 24), strict=True)]
    return by_numpy.swin(x, channels, heads, window, second, CLASSES)


def swin_v2(x):
    return swin(x, 8, second=True)


def van(x):
    channels = by_numpy.widths((32, 64, 160, 256), WIDTH)
    return by_numpy.van(x, channels, (3, 3, 5, 2), CLASSES)


def vit(x):
    return by_numpy.vit(x, *by_numpy.widths((192,), WIDTH), 3, CLASSES)


NETWORKS = {
    "hornet_tiny": (hornet, 32),
    "swin_tiny": (swin, 64),
    "swin_v2_tiny": (swin_v2, 96),
    "van_b0": (van, 64),
    "vit_tiny": (vit, 224),
}


def build(backbone, **options):
    return models.landslide_classifier(
        CLASSES,
        backbone=backbone,
        width=WIDTH,
        normalization=(0.0, 1.0, 1.0),
        classifier_activation=None,
        **options,
    )


@pytest.mark.slow
@pytest.mark.parametrize("backbone", NETWORKS)
def test_logits(backbone, tmp_path):
    compute, size = NETWORKS[backbone]
    x = np.random.default_rng(0).normal(size=(size, size, 3)).astype("f4")
    expected, arrays = compute(x)
    file = write_zip(tmp_path / "w.pth", {"model": arrays})
    found = build(backbone, backbone_weights=file)([x[None]])
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_a_file_of_another_family(tmp_path):
    _, arrays = van(np.ones((32, 32, 3), "f4"))
    file = write_zip(tmp_path / "w.pth", arrays)
    with pytest.raises(ModelError, match="has no"):
        build("swin_tiny", backbone_weights=file)

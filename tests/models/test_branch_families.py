"""HorNet, Swin, VAN and ViT: the contract of classifiers, and their published sizes."""

from typing import ClassVar

import numpy as np
import pytest

from landslide_tf import models
from tests.contracts.classifier import ClassifierContract


class Slow(ClassifierContract):
    """The contract, its longest tests among the long proofs."""

    @pytest.mark.slow
    def test_mixed_precision(self, logits_model):
        super().test_mixed_precision(logits_model)

    @pytest.mark.slow
    def test_saves_and_exports(self, model, tmp_path):
        super().test_saves_and_exports(model, tmp_path)


class TestHorNet(Slow):
    arguments: ClassVar = {"backbone": "hornet_tiny", "width": 0.125}


class TestEfficientNetLite(Slow):
    arguments: ClassVar = {"backbone": "efficientnet_lite0", "width": 0.25}


class TestSwin(Slow):
    arguments: ClassVar = {"backbone": "swin_tiny", "width": 0.125}


class TestSwinV2(ClassifierContract):
    arguments: ClassVar = {"backbone": "swin_v2_tiny", "width": 0.125}


class TestVan(Slow):
    arguments: ClassVar = {"backbone": "van_b0", "width": 0.25}


class TestVit(Slow):
    arguments: ClassVar = {"backbone": "vit_tiny", "width": 0.125}


def trainable(backbone):
    model = models.landslide_classifier(1000, backbone=backbone)
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [
        ("swin_tiny", 28_288_354),
        ("swin_v2_tiny", 28_347_154),
        ("van_b0", 4_105_800),
        ("vit_tiny", 5_717_416),
        ("hornet_tiny", 22_409_512),
        pytest.param("swin_small", 49_606_258, marks=pytest.mark.slow),
        pytest.param("swin_base", 87_768_224, marks=pytest.mark.slow),
        pytest.param("vit_small", 22_050_664, marks=pytest.mark.slow),
        pytest.param("vit_base", 86_567_656, marks=pytest.mark.slow),
    ],
)
def test_parameters(backbone, parameters):
    """Counts of the released code (microsoft, timm, DeiT, VAN, HorNet)."""
    assert trainable(backbone) == parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "millions"),
    [
        ("hornet_small", 49.5),
        ("hornet_base", 87.3),
        ("swin_v2_small", 49.7),
        ("swin_v2_base", 87.9),
        ("van_b1", 13.9),
        ("van_b2", 26.6),
        ("van_b3", 44.8),
    ],
)
def test_parameters_of_larger_ones(backbone, millions):
    """The tables of the papers."""
    assert round(trainable(backbone) / 1e6, 1) == millions

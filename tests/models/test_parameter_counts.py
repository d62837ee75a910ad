"""Parameter counts, trainable and all, of the layer tables (6 classes, 3 factors).

The published ones are those of Keras and torchvision encoders; the others were
counted by an independent prototype.
"""

import keras
import numpy as np
import pytest

from landslide_tf import models
from landslide_tf.layers import scaled_channels

STACK, SUM = {"fusion": "stack"}, {"fusion": "sum"}
TORCHVISION = {"backbone_layout": "torchvision"}

WIDTHS = {
    ("fstf_net", ()): [
        (1, 56_579_206, 56_646_598),
        (0.5, 14_171_462, 14_205_158),
        (0.25, 3_561_014, 3_577_878),
        (0.125, 896_926, 905_358),
    ],
    ("fstf_net", ("fusion", "sum")): [
        (1, 56_513_670, 56_581_062),
        (0.5, 14_155_078, 14_188_774),
        (0.25, 3_556_918, 3_573_782),
        (0.125, 895_902, 904_334),
    ],
    ("fstf_net", ("fusion", "multiply")): [(0.125, 895_902, 904_334)],
    ("fstf_net", ("fusion", "max")): [(0.125, 895_902, 904_334)],
    ("fstf_net", ("fusion", "stack")): [
        (1, 41_672_582, 41_731_014),
        (0.5, 10_444_486, 10_473_702),
        (0.25, 2_629_110, 2_643_734),
        (0.125, 663_870, 671_182),
    ],
    ("rae_d", ()): [
        (1, 41_663_174, 41_721_606),
        (0.5, 10_439_782, 10_468_998),
        (0.25, 2_626_758, 2_641_382),
        (0.125, 662_694, 670_006),
    ],
    ("deeplab_v3_plus", ()): [
        (1, 40_374_886, 40_432_198),
        (0.5, 10_117_430, 10_146_086),
        (0.25, 2_543_782, 2_558_118),
        (0.125, 641_878, 649_046),
    ],
    ("aspp_net", ()): [
        (1, 39_071_238, 39_127_430),
        (0.5, 9_791_238, 9_819_334),
        (0.25, 2_459_526, 2_473_574),
        (0.125, 620_742, 627_766),
    ],
    ("fcn_8s", ()): [
        (1, 134_303_314, 134_328_146),
        (0.5, 33_590_642, 33_603_058),
        (0.25, 8_405_506, 8_411_714),
        (0.125, 2_105_738, 2_108_842),
    ],
    ("basic_fcn", ()): [
        (1, 134_297_542, 134_322_374),
        (0.5, 33_587_174, 33_599_590),
        (0.25, 8_403_190, 8_409_398),
        (0.125, 2_103_998, 2_107_102),
    ],
}
VARIANTS = [
    ("fstf_net", TORCHVISION, 56_552_646, 56_620_038),
    ("fstf_net", {**SUM, **TORCHVISION}, 56_487_110, 56_554_502),
    ("fstf_net", {**STACK, **TORCHVISION}, 41_646_022, 41_704_454),
    ("rae_d", TORCHVISION, 41_636_614, 41_695_046),
    ("deeplab_v3_plus", TORCHVISION, 40_348_326, 40_405_638),
    ("aspp_net", TORCHVISION, 39_044_678, 39_100_870),
    ("fstf_net", {"skip_channels": None}, 56_790_982, 56_858_182),
    ("fstf_net", {"factors": ["slope"]}, 56_578_054, None),
    ("fstf_net", {"aspect_encoding": "sincos"}, 56_579_782, None),
    ("fstf_net", {"num_classes": 2}, 56_578_178, None),
    ("deeplab_v3_plus", {"separable": True}, 39_234_166, 39_292_598),
    # Each of three branches gives 4,718,592 weights for 2,048 · (9 + 2 + 256).
    (
        "deeplab_v3_plus",
        {"separable": True, "separable_aspp": True},
        39_234_166 - 3 * 4_171_776,
        39_292_598 - 3 * 4_171_776 + 3 * 4_096,
    ),
    # Two weights, and two statistics, less for each depthwise channel.
    (
        "deeplab_v3_plus",
        {"separable": True, "depth_activation": False},
        39_234_166 - 2 * (304 + 256),
        39_292_598 - 4 * (304 + 256),
    ),
    ("fcn_8s", {"batch_norm": False}, 134_290_898, None),
    ("basic_fcn", {"batch_norm": False}, 134_285_126, None),
    (
        "fcn_8s",
        {"num_classes": 2, "batch_norm": False, "upsampling": "transposed"},
        134_271_430,
        None,
    ),
    (
        "deeplab_v3_plus",
        {
            "num_classes": 2,
            "backbone": "resnet101",
            "backbone_layout": "torchvision",
            "multi_grid": (1, 2, 4),
            "align_corners": True,
        },
        59_339_426,
        None,
    ),
    ("unet", {"num_classes": 2}, 31_037_698, 31_037_698 + 11_776),
    ("mffe_net", {"num_classes": 5}, 71_355_976 + 5 * 257, None),
    # As segmentation_models.pytorch has it.
    ("unet", {"backbone": "resnet50", **TORCHVISION}, 32_521_830, None),
]


@pytest.fixture(autouse=True)
def no_initialisation(monkeypatch):
    """Counts need no random numbers, which take most of the time."""
    for name in ("HeNormal", "GlorotUniform"):
        monkeypatch.setattr(
            getattr(keras.initializers, name),
            "__call__",
            lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype),
        )


def count(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


@pytest.mark.parametrize(
    ("name", "arguments", "width", "trainable", "total"),
    [
        pytest.param(
            *(name, dict([pair] if pair else []), *row),
            # The least and the full width show what any between them would.
            marks=[pytest.mark.slow] if row[0] in (0.25, 0.5) else [],
        )
        for (name, pair), rows in WIDTHS.items()
        for row in rows
    ],
)
def test_counts_by_width(name, arguments, width, trainable, total):
    model = models.get(name)(width=width, **arguments)
    assert (count(model.trainable_variables), model.count_params()) == (
        trainable,
        total,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments", "trainable", "total"), VARIANTS)
def test_counts_of_variants(name, arguments, trainable, total):
    model = models.get(name)(**arguments)
    assert count(model.trainable_variables) == trainable
    assert total in (None, model.count_params())


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [
        (48, 0.25, 16),
        (48, 0.125, 8),
        (64, 0.125, 8),
        (64, 1, 64),
        (20, 1, 20),
        (64, 1e-6, 8),
        (100, 0.5, 48),
        (104, 0.5, 56),
        (64, 2, 128),
    ],
)
def test_width_rule(channels, width, expected):
    assert scaled_channels(channels, width) == expected


@pytest.mark.parametrize("width", [0, -1, "1", None, True])
def test_refuses_width(width):
    with pytest.raises(ValueError, match="width"):
        scaled_channels(64, width)

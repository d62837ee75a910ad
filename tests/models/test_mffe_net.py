import keras
import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.models import mffe_net, total_stride
from tests.contracts.segmentation_model import draw_inputs, settle

SMALL = {
    "width": 0.125,
    "num_classes": 3,
    "backbone": "resnet18",
    "multi_grid": (1, 2),
}
# Trainable parameters of each part, 2 classes.
PARTS = {
    "conv": 42_500_160,
    "aspp": 15_535_104,
    "atf3": 148_418 + 112_320 + 1_494_148,
    "atf2": 74_210 + 80_736 + 373_828,
    "atf1": 15_602 + 49_584 + 93_530,
    "rcm3": 983_552,
    "rcm2": 246_016,
    "rcm1": 61_568,
    "dense3": 2_359_808,
    "dense2": 2_064_896,
    "dense1": 2_212_352,
    "head": 2_950_658 - 514,
    "logits": 514,
}


@pytest.fixture
def no_initialisation(monkeypatch):
    for name in ("HeNormal", "GlorotUniform"):
        monkeypatch.setattr(
            getattr(keras.initializers, name),
            "__call__",
            lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype),
        )


def count(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


def test_parameters_of_every_part(no_initialisation):
    model = mffe_net()
    counts = dict.fromkeys(PARTS, 0)
    for layer in model.layers:
        for part in PARTS:
            if layer.name.startswith(part):
                counts[part] += count(layer.trainable_variables)
    assert counts == PARTS
    convolutions = [x for x in model.layers if hasattr(x, "kernel")]
    norms = [x for x in model.layers if hasattr(x, "moving_mean")]
    assert (len(convolutions), len(norms)) == (149, 142)
    assert count(model.trainable_variables) == 71_355_976 + 2 * 257
    assert model.count_params() == 71_472_746
    rates = [
        model.get_layer(f"conv5_block{i}_2_conv").dilation_rate[0] for i in (1, 2, 3)
    ]
    assert rates == [2, 4, 8]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return settle(mffe_net(**SMALL))


def test_levels_have_the_sizes_of_odd_inputs(model):
    assert total_stride(model) == 16
    assert total_stride(mffe_net(**SMALL, output_stride=8)) == 8
    names = {"rcm1_add": (33, 49), "rcm2_add": (17, 25), "rcm3_add": (9, 13)}
    names["aspp_dropout"] = (5, 7)
    maps = keras.Model(model.input, [model.get_layer(v).output for v in names])
    features = maps(draw_inputs(model, 1, 65, 97))
    assert [x.shape[1:3] for x in features] == list(names.values())


def test_both_decoders_give_the_same(model, tmp_path):
    model.save_weights(tmp_path / "all.weights.h5")
    other = mffe_net(
        **SMALL, decoder_impl="concat", weights=tmp_path / "all.weights.h5"
    )
    inputs = draw_inputs(model, 2, 65, 97)
    layers = [m.get_layer("logits_resize").output for m in (model, other)]
    a, b = (
        keras.Model(m.input, x)(inputs)
        for m, x in zip((model, other), layers, strict=True)
    )
    # Relative to the largest score.
    assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


@pytest.mark.parametrize("arguments", [{"output_stride": 8}, {"num_classes": 1}])
def test_variants_build(arguments):
    if "num_classes" in arguments:
        arguments = {**arguments, "classifier_activation": "sigmoid"}
    model = mffe_net(**{**SMALL, **arguments})
    assert model(draw_inputs(model, 1, 33, 40)).shape[:3] == (1, 33, 40)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_one_network_takes_every_size(policy):
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(1)
        model = settle(mffe_net(width=0.125, classifier_activation=None))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("logits_resize").compute_dtype == "float32"
    for batch, height, width in (
        (1, 256, 256),
        (2, 65, 97),
        (1, 257, 301),
        (1, 512, 512),
        (2, 512, 512),
    ):
        logits = model(draw_inputs(model, batch, height, width))
        assert logits.shape == (batch, height, width, 2)
        assert logits.dtype == "float32"
        assert np.isfinite(logits).all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"decoder_impl": "sum"}, "decoder_impl"),
        ({"multi_grid": (1, 2, 4)}, "multi_grid"),
        ({"backbone": "resnet19"}, "backbone"),
        ({"decoder_dropout": 1.0}, "dropout"),
    ],
)
def test_refuses(arguments, word):
    with pytest.raises(ModelError, match=word):
        mffe_net(**{**SMALL, **arguments})

import warnings

import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.models import rae_d, total_stride
from tests.contracts.segmentation_model import SIZES, draw_inputs

SMALL = {"width": 0.125, "backbone": "resnet18", "backbone_layout": "torchvision"}


@pytest.fixture(scope="module")
def model():
    return rae_d(**SMALL)


@pytest.fixture(scope="module", params=["all.weights.h5", "all.keras"])
def path(request, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / request.param
    (model.save if path.suffix == ".keras" else model.save_weights)(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [{}, {"dropout": 0}, {"decoder_dropout": 0.2}, {"classifier_activation": None}],
)
def test_whole_weights_load(model, path, arguments):
    loaded = rae_d(**SMALL, weights=path, **arguments)
    for layer in model.layers:
        ours = loaded.get_layer(layer.name).get_weights() if layer.weights else []
        for a, b in zip(ours, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        {"num_classes": 2},
        {"backbone": "resnet34"},
        {"width": 0.25},
        {"skip_channels": None},
    ],
)
def test_refuses_weights_of_another_network(path, arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError, match="`weights` must fit `rae_d`") as caught:
            rae_d(**{**SMALL, **arguments}, weights=path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("rae_d_best", "`.weights.h5` or `.keras`"),
        ("absent.weights.h5", "existing file"),
        ("corrupt.weights.h5", "must fit"),
        ("corrupt.keras", "must fit"),
    ],
)
def test_refuses_files(name, word, tmp_path):
    for corrupt in ("corrupt.weights.h5", "corrupt.keras"):
        (tmp_path / corrupt).write_bytes(b"neither HDF5 nor zip")
    with pytest.raises(ModelError, match=word):
        rae_d(**SMALL, weights=tmp_path / name)


def test_total_stride(model):
    assert total_stride(model) == 16
    assert total_stride(rae_d(**SMALL, output_stride=8)) == 8


@pytest.mark.parametrize("size", SIZES)
def test_fixed_sizes(model, size):
    fixed = rae_d(input_shape=(*size, 3), **SMALL)
    fixed.set_weights(model.get_weights())
    assert fixed.output.shape == (None, *size, 6)
    inputs = draw_inputs(model, 1, *size)
    np.testing.assert_allclose(fixed(inputs), model(inputs), atol=1e-6)

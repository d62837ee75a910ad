"""Released networks: the logits of a file equal those of its authors' arithmetic.

The networks are computed by NumPy from arrays under their authors' names alone.
"""

import json

import numpy as np
import pytest

from landslide_tf import models
from landslide_tf.errors import ModelError
from landslide_tf.models.weights import load_weights, shipped_names
from tests.models.weights.released_networks import OPTIONS, Released, some_generator
from tests.models.weights.torch_writer import write_legacy, write_zip

LOGITS = {**OPTIONS, "classifier_activation": None}


@pytest.fixture(scope="module")
def generator():
    return some_generator()


@pytest.mark.slow
def test_adanet_and_mffenet(generator, tmp_path):
    image, main, aux, arrays = generator
    parallel = {f"module.{name}": value for name, value in arrays.items()}
    file = write_legacy(tmp_path / "g.pth.tar", {"epoch": 3, "state_dict": parallel})
    model = models.ada_net(**LOGITS)
    load_weights(model, file, names="ada_net")
    found = model([image])
    assert np.ptp(main) > 0.1 and np.ptp(aux) > 0.1
    np.testing.assert_allclose(found["main"][0], main, atol=1e-4)
    np.testing.assert_allclose(found["aux"][0], aux, atol=1e-4)
    # MFFENet has no second classifier and takes the file all the same.
    network = models.mffe_net(**LOGITS)
    load_weights(network, file, names="mffe_net")
    np.testing.assert_array_equal(network([image]), found["main"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("decoder.Att2.psi.0.weight"), "decoder.Att2.psi.0.weight"),
        (lambda a: a.pop("aspp.bn1.running_var"), "is not whole"),
        (lambda a: a.update({"decoder.Gate1.weight": np.ones(2)}), "no place"),
        (
            lambda a: a.update({"decoder.last_conv.8.weight": np.ones((6, 32, 1, 1))}),
            r"expected kernel \(1, 1, 32, 2\), received \(1, 1, 32, 6\)",
        ),
    ],
)
def test_a_file_of_another_network_changes_nothing(
    generator, change, words, tmp_path, small_mffe_net
):
    arrays = dict(generator[3])
    change(arrays)
    before = small_mffe_net.get_weights()
    file = write_zip(tmp_path / "w.pth", arrays)
    with pytest.raises(ModelError, match=words) as caught:
        load_weights(small_mffe_net, file, names="mffe_net")
    assert "\n" not in str(caught.value)
    for one, other in zip(before, small_mffe_net.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def small_mffe_net():
    return models.mffe_net(**LOGITS)


def test_discriminator(tmp_path):
    released = Released()
    maps = np.random.default_rng(2).uniform(size=(2, 50, 70))
    x, filters = maps, 4
    for number in range(1, 5):
        x = released.conv(f"conv{number}", x, filters, 4, stride=2, pad=1, bias=1)
        x, filters = np.where(x > 0, x, 0.2 * x), 2 * filters
    logits = released.conv("classifier", x, 1, 4, stride=2, pad=1, bias=1)
    file = write_zip(tmp_path / "d.pth.tar", {"state_dict": released.arrays})
    model = models.output_space_discriminator(2, filters=4)
    load_weights(model, file, names="output_space_discriminator")
    found = model(maps.transpose(1, 2, 0)[None].astype("float32"))
    np.testing.assert_allclose(found[0], logits.transpose(1, 2, 0), atol=1e-4)


def test_names_of_ones_own(tmp_path):
    """A file of names serves a network whose released names nobody has documented."""
    released = Released()
    for number, (inputs, outputs) in enumerate(
        ((2, 4), (4, 8), (8, 16), (16, 32), (32, 1))
    ):
        released.array(f"net.{number}.weight", (outputs, inputs, 4, 4))
        released.array(f"net.{number}.bias", (outputs,))
    file = write_zip(tmp_path / "w.pth", released.arrays)
    names = tmp_path / "names.json"
    names.write_text(
        json.dumps({"layers": {"conv{n}": "net.{n-1}", "classifier": ["x", "net.4"]}})
    )
    model = models.output_space_discriminator(2, filters=4)
    load_weights(model, file, names=names)
    for number, layer in enumerate(("conv1", "conv2", "conv3", "conv4", "classifier")):
        kernel = released.arrays[f"net.{number}.weight"]
        np.testing.assert_array_equal(
            model.get_layer(layer).kernel, np.moveaxis(kernel, (0, 1), (3, 2))
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layers: {conv1: 3}", "does not hold names"),
        ("layer: {conv1: a}", "does not hold names"),
        ("- a", "does not hold names"),
        ("layers: {", "not valid YAML or JSON"),
        ("layers: {'conv{n}': 'a{m}'}", r"`a\{m\}` has `\{m\}`"),
        ("layers: {conv1: a}", "does not say which name the layer `conv2` has"),
        ("like: mffe_nett\nlayers: {conv1: a}", "Did you mean `mffe_net`"),
    ],
)
def test_names_that_are_none_are_one_line(text, words, tmp_path):
    (tmp_path / "names.yaml").write_text(text)
    arrays = {"a.weight": np.zeros((64, 2, 4, 4), "<f4"), "a.bias": np.zeros(64, "<f4")}
    file = write_zip(tmp_path / "w.pth", arrays)
    model = models.output_space_discriminator(2)
    with pytest.raises(ModelError, match=words) as caught:
        load_weights(model, file, names=tmp_path / "names.yaml")
    assert "\n" not in str(caught.value)


def test_networks_with_known_names():
    assert {"mffe_net", "ada_net", "output_space_discriminator"} <= set(shipped_names())

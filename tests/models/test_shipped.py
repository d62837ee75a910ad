"""Weights that come with the package: found by name, fitting, whole, small."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest

from landslide_tf import models, saved_models
from landslide_tf.errors import ModelError
from landslide_tf.metadata import ModelMetadata
from landslide_tf.models.weight_files import save_weights

NAME = "mmlsv2"
MB = 10**6


@pytest.fixture(scope="module")
def network():
    return models.fstf_net(weights=NAME)


@pytest.fixture(scope="module")
def metadata():
    return ModelMetadata.read(saved_models.path(NAME) / "1")


def inputs_of(model, size=(32, 48)):
    random = np.random.default_rng(3)
    return {
        tensor.name: random.uniform(0, 200, (1, *size, tensor.shape[-1])).astype("f4")
        for tensor in model.inputs
    }


def test_they_are_listed_and_small(metadata):
    assert NAME in models.list_weights()
    assert models.list_weights("no such*") == []
    sizes = [
        path.stat().st_size
        for name in models.list_weights()
        for path in saved_models.path(name).rglob("*.weights.h5")
    ]
    assert max(sizes) <= 8 * MB and sum(sizes) <= 16 * MB
    assert metadata.licence == saved_models.index()[NAME]["licence"] == "MIT"
    assert metadata.cell_size == (232, 232)
    assert metadata.dataset.startswith("mmlsv2/random:")
    # Nothing in them comes from files of others.
    assert "backbone_weights" not in metadata.arguments


def test_a_name_brings_its_arguments(network, metadata):
    assert {t.name: t.shape[-1] for t in network.inputs} == {
        "image": len(metadata.inputs),
        "factors": len(metadata.factors),
    }
    folder = saved_models.path(NAME) / "1"
    built = models.build_described(metadata, folder / "model.weights.h5")
    inputs = inputs_of(network)
    found = np.asarray(network(inputs))
    np.testing.assert_array_equal(found, built(inputs))
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    logits = models.fstf_net(weights=NAME, classifier_activation=None, dropout=0.3)
    softmax = keras.ops.softmax(logits(inputs))
    np.testing.assert_allclose(found, softmax, atol=1e-6)
    fixed = models.fstf_net(2, weights=NAME, input_shape=(64, 64, 5))
    assert fixed.inputs[0].shape == (None, 64, 64, 5)


def test_the_head_can_be_of_other_classes(network):
    other = models.fstf_net(4, weights=NAME, skip_head=True)
    head = {"logits_conv"}
    for one, two in zip(network.layers, other.layers, strict=True):
        if one.name in head:
            assert two.kernel.shape[-1] == 4
            continue
        for mine, yours in zip(one.get_weights(), two.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, yours)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_classes": 6},
        {"input_shape": (None, None, 3)},
        {"width": 1.0},
        {"factors": ("slope", "aspect", "ndvi")},
        {"normalization": "imagenet"},
        {"backbone": "resnet50"},
        {"align_corners": True},
        {"classifier_activation": "sigmoid"},
        {"backbone_weights": "imagenet"},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_arguments_that_do_not_fit_are_one_line(arguments):
    (name,) = arguments
    with pytest.raises(
        ModelError, match=rf"need `{name}=.*leave `{name}` out"
    ) as caught:
        models.fstf_net(weights=NAME, **arguments)
    assert "\n" not in str(caught.value)


def test_another_network_and_an_unknown_name_are_refused():
    with pytest.raises(ModelError, match=r"are of `fstf_net`, received `unet`"):
        models.unet(weights=NAME)
    with pytest.raises(ModelError, match=r"Did you mean `mmlsv2`"):
        models.unet(weights="mmlsv3", width=0.125)
    with pytest.raises(ModelError, match=r"Known: .*`mmlsv2`"):
        models.unet(weights="zz", width=0.125)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The shipped models in a folder that may be harmed."""
    folder = tmp_path / "saved_models"
    shutil.copytree(saved_models.path(NAME).parent, folder)
    monkeypatch.setattr(saved_models, "_FOLDER", folder)
    return folder


@pytest.mark.parametrize("fault", ["cut", "one bit", "missing", "another model.json"])
def test_a_damaged_file_is_named(copied, command, tmp_path, fault):
    folder = copied / NAME / "1"
    file = folder / "model.weights.h5"
    if fault == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    elif fault == "one bit":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif fault == "missing":
        file.unlink()
    else:
        file = folder / "model.json"
        file.write_text(file.read_text() + " ")
    with pytest.raises(ModelError, match=rf"{file.name}` is damaged: expected"):
        models.fstf_net(weights=NAME)
    command.refuses(
        "map", NAME, "--image", tmp_path / "none.tif", "--out", tmp_path / "map.tif",
        message=f"`{file}` is damaged",
    )  # fmt: skip
    assert not (tmp_path / "map.tif").exists()


def test_every_file_of_a_shipped_model_has_its_sum():
    for name, entry in saved_models.index().items():
        folder = saved_models.path(name)
        files = [path for path in folder.rglob("*") if path.is_file()]
        found = {path.relative_to(folder).as_posix() for path in files}
        assert found == set(entry["sha256"])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_weights_are_stored_in_a_type(tmp_path, dtype):
    arguments = {"width": 0.125, "num_classes": 2}
    model = models.unet(**arguments)
    path = tmp_path / "model.weights.h5"
    save_weights(model, path, dtype)
    with h5py.File(path) as file:
        kinds = set()
        file.visititems(
            lambda _, item: (
                kinds.add(str(item.dtype)) if hasattr(item, "dtype") else None
            )
        )
    assert kinds == {dtype}
    again = models.unet(**arguments, weights=path)
    for mine, yours in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine.astype(dtype).astype("f4"), yours)


def test_a_weight_beyond_the_type_is_refused(tmp_path):
    model = models.unet(2, width=0.125)
    model.get_layer("logits_conv").bias.assign([0, 1e5])
    with pytest.raises(ModelError, match=r"beyond ±65504, the range of float16"):
        save_weights(model, tmp_path / "model.weights.h5", "float16")


def test_the_index_is_json_with_every_entry():
    entries = json.loads((saved_models.path(NAME).parent / "index.json").read_text())
    keys = {"title", "command", "data", "scores", "licence", "sha256"}
    assert all(set(entry) >= keys for entry in entries.values())

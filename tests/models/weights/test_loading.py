"""Weights under names of other code, made from our own networks by hand."""

import h5py
import keras
import numpy as np
import pytest

from landslide_tf import models
from landslide_tf.errors import ModelError

SMALL = {"width": 0.125, "classifier_activation": None}
OFFICIAL = {
    "stage": "stage{}.{}",
    "stem": "stage0",
    "conv3": "rbr_dense.conv",
    "norm3": "rbr_dense.bn",
    "conv1": "rbr_1x1.conv",
    "norm1": "rbr_1x1.bn",
    "identity_norm": "rbr_identity",
    "conv": "rbr_reparam",
    "down": "se.down",
    "up": "se.up",
    "head": "linear",
}
OPEN_MMLAB = {
    "stage": "backbone.stage_{}.{}",
    "stem": "backbone.stem",
    "conv3": "branch_3x3.conv",
    "norm3": "branch_3x3.norm",
    "conv1": "branch_1x1.conv",
    "norm1": "branch_1x1.norm",
    "identity_norm": "branch_norm",
    "conv": "branch_reparam",
    "down": "se_layer.conv1.conv",
    "up": "se_layer.conv2.conv",
    "head": "head.fc",
}


def varied(model):
    """Every weight has values of its own."""
    random = np.random.default_rng(0)
    model.set_weights(
        [random.uniform(0.5, 1.5, w.shape) * 0.1 for w in model.get_weights()]
    )
    return model


def put(arrays, name, layer, dense=False):
    """Adds a layer's weights as PyTorch keeps them."""
    values = layer.get_weights()
    parts = ("weight", "bias", "running_mean", "running_var")
    if len(values) < 4:
        kernel = values[0]
        if dense:  # a gate is a 1 × 1 convolution there
            kernel = kernel[None, None]
        values[0] = np.moveaxis(kernel, (-1, -2), (0, 1))
    else:
        arrays[f"{name}.num_batches_tracked"] = np.array(7)
    arrays.update(zip((f"{name}.{p}" for p in parts), values, strict=False))


def repvgg_arrays(model, names):
    arrays = {}
    for block in model.layers:
        if not hasattr(block, "fused_weights"):
            continue
        place = names["stem"]
        if block.name != "stem":
            stage, number = block.name.removeprefix("stage").split("_block")
            place = names["stage"].format(stage, int(number) - 1)
        for part in ("conv3", "norm3", "conv1", "norm1", "identity_norm", "conv"):
            layer = getattr(block, part, None)
            if layer is not None:
                put(arrays, f"{place}.{names[part]}", layer)
        for part in ("down", "up") if block.squeeze else ():
            put(arrays, f"{place}.{names[part]}", getattr(block, part), dense=True)
    put(arrays, names["head"], model.get_layer("logits"))
    return arrays


def resnet_arrays(model):
    arrays = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name == "logits":
            name = "fc"
        elif layer.name.startswith("conv1_"):
            name = {"conv1_conv": "conv1", "conv1_bn": "bn1"}[layer.name]
        else:
            stage, block, part, kind = layer.name.removeprefix("conv").split("_")
            name = (
                f"module.layer{int(stage) - 1}.{int(block.removeprefix('block')) - 1}"
            )
            kinds = {"conv": "conv", "bn": "bn"}
            shortcut = {"conv": "downsample.0", "bn": "downsample.1"}
            name += "." + (shortcut[kind] if part == "0" else kinds[kind] + part)
        put(arrays, name, layer)
    return arrays


def same_output(one, other):
    image = np.random.default_rng(1).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    found = one({"image": image}).numpy()
    assert np.ptp(found) > 0
    np.testing.assert_array_equal(found, other({"image": image}).numpy())


@pytest.mark.parametrize("names", [OFFICIAL, OPEN_MMLAB], ids=["official", "openmmlab"])
@pytest.mark.parametrize(
    ("backbone", "deploy"), [("repvgg_a0", False), ("repvgg_a0", True)]
)
def test_repvgg(names, backbone, deploy, tmp_path):
    options = {"backbone": backbone, "deploy": deploy, **SMALL}
    model = varied(models.landslide_classifier(**options))
    np.savez(tmp_path / "w.npz", **repvgg_arrays(model, names))
    found = models.landslide_classifier(backbone_weights=tmp_path / "w.npz", **options)
    same_output(model, found)


@pytest.mark.slow
@pytest.mark.parametrize("names", [OFFICIAL, OPEN_MMLAB], ids=["official", "openmmlab"])
@pytest.mark.parametrize("backbone", ["repvgg_d2se", "repvgg_b1g4"])
def test_gates_and_groups(names, backbone, tmp_path):
    test_repvgg(names, backbone, False, tmp_path)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_resnet(backbone, tmp_path):
    options = {"backbone": backbone, **SMALL}
    model = varied(models.landslide_classifier(**options))
    arrays = resnet_arrays(model)
    assert "module.layer2.0.downsample.0.weight" in arrays
    assert arrays["conv1.weight"].shape == (8, 3, 7, 7)
    np.savez(tmp_path / "w.npz", **arrays)
    same_output(
        model,
        models.landslide_classifier(backbone_weights=tmp_path / "w.npz", **options),
    )


@pytest.fixture(scope="module")
def arrays():
    keras.utils.set_random_seed(0)
    model = varied(models.landslide_classifier(**SMALL))
    return repvgg_arrays(model, OFFICIAL)


def test_a_classifier_of_other_classes_starts_anew(arrays, tmp_path):
    arrays = dict(arrays)
    np.savez(tmp_path / "w.npz", **arrays)
    options = {"backbone_weights": tmp_path / "w.npz", **SMALL}
    model = models.landslide_classifier(5, **options)
    kernel = model.get_layer("stem").conv3.get_weights()[0]
    np.testing.assert_array_equal(
        kernel.transpose(3, 2, 0, 1), arrays["stage0.rbr_dense.conv.weight"]
    )
    assert model.get_layer("logits").kernel.shape[1] == 5
    del arrays["linear.weight"], arrays["linear.bias"]
    np.savez(tmp_path / "w.npz", **arrays)
    assert models.landslide_classifier(**options).count_params()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("stage3.13.rbr_1x1.conv.weight"), "stage3.13.rbr_1x1.conv"),
        (lambda a: a.pop("stage3.13.rbr_1x1.bn.running_var"), "is not whole"),
        (lambda a: a.update({"stage3.14.rbr_1x1.bn.weight": np.ones(2)}), "no place"),
        (lambda a: a.update({"stage0.rbr_1x1.bn.weight": np.ones(2)}), "does not fit"),
    ],
)
def test_arrays_that_do_not_fit_are_named(arrays, change, words, tmp_path):
    arrays = dict(arrays)
    change(arrays)
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(ModelError, match=words):
        models.landslide_classifier(backbone_weights=tmp_path / "w.npz", **SMALL)


def test_a_file_that_is_none_is_named(tmp_path):
    (tmp_path / "w.npz").write_bytes(b"PK none")
    with pytest.raises(ModelError, match=r"is not a whole file"):
        models.landslide_classifier(backbone_weights=tmp_path / "w.npz", **SMALL)


# In the order of the released script: convolution, transposed one, batch norm.
TSMU_LEVELS = {
    "down1": ("c1", None, "b1"),
    "down2": ("c4", None, "b3"),
    "down3": ("c7", None, "b5"),
    "down4": ("c10", None, "b7"),
    "down5": ("c13", None, "b9"),
    "down6": ("c13_", None, "b10"),
    "down7": ("c13_1", None, "b10_"),
    "up6": ("c15_", "cd1_", "b11_"),
    "up5": ("c15_1", "cd1_1", "b11_1"),
    "up4": ("c15", "cd1", "b11"),
    "up3": ("c17", "cd2", "b13"),
    "up2": ("c19", "cd3", "b15"),
    "up1": ("c21", "cd4", "b17"),
}


def tsmu_layers(model):
    """The layers of a model by the names of the release."""
    found = {}
    trunk = models.tsmu.trunk(model)
    for block in range(1, 6):
        for part in range(4):
            layer = trunk.get_layer(f"block{block}_{part}_conv")
            found[f"c{part}{block}_res"] = layer
        found[f"b3{block}_res"] = trunk.get_layer(f"block{block}_bn")
    decoders = models.tsmu.decoders(model).values()
    for prefix, decoder in zip(("", "2_", "3_", "4_"), decoders, strict=False):
        for level, names in TSMU_LEVELS.items():
            for kind, name in zip(("conv", "up", "bn"), names, strict=True):
                if prefix == "4_" and name in ("c13_", "c13_1"):
                    name = {"c13_": "c14__", "c13_1": "c14_1"}[name]
                if name is not None:
                    found[prefix + name] = decoder.get_layer(f"{level}_{kind}")
        found[f"{prefix}c23"] = decoder.get_layer("logits_conv")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("routing", ["all", "partition"])
def test_tsmu_as_keras_2_saved_it(routing, tmp_path):
    options = {"variant": "code", "width": 0.01, "routing": routing}
    regions = ["ETF", "MWCF", "NAD", "NWFM"]
    model = varied(models.tsmu_net(regions, **options))
    with h5py.File(tmp_path / "w.hdf5", "w") as file:
        layers = tsmu_layers(model)
        file.attrs["layer_names"] = [f"{name}".encode() for name in ("a1", *layers)]
        file.create_group("a1").attrs["weight_names"] = []
        for name, layer in layers.items():
            group = file.create_group(name)
            places = [f"{name}/{w.name}:0".encode() for w in layer.weights]
            group.attrs["weight_names"] = places
            for place, value in zip(places, layer.get_weights(), strict=True):
                group[place.decode()] = value
    found = models.tsmu_net(regions, **options)
    models.weights.load_weights(found, tmp_path / "w.hdf5", names="tsmu_net")
    for one, other in zip(model.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    one = models.tsmu_net(regions[:1], **options)
    with pytest.raises(ModelError, match="`tsmu_net` has no place for"):
        models.weights.load_weights(one, tmp_path / "w.hdf5", names="tsmu_net")
    whole = (tmp_path / "w.hdf5").read_bytes()
    (tmp_path / "w.hdf5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="is not a whole file"):
        models.weights.load_weights(found, tmp_path / "w.hdf5", names="tsmu_net")


def test_models_that_were_saved_take_a_file_too(arrays, tmp_path):
    """A saved model names its weights as one that was built."""
    np.savez(tmp_path / "w.npz", **arrays)
    models.landslide_classifier(**SMALL).save(tmp_path / "m.keras")
    model = keras.models.load_model(tmp_path / "m.keras")
    models.weights.load_weights(model, tmp_path / "w.npz", names="landslide_classifier")
    same_output(
        model,
        models.landslide_classifier(backbone_weights=tmp_path / "w.npz", **SMALL),
    )

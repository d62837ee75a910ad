"""Weights of PyTorch's RepVGG and ResNet, from an `.npz` of its arrays.

`numpy.savez("w.npz", **{k: v.numpy() for k, v in state_dict.items()})` makes the file.
A prefix `module.`, `model.` or `backbone.` of the names is taken off. Names by layer:

| here | official RepVGG | OpenMMLab |
|---|---|---|
| `stem` | `stage0` | `stem` |
| `stage1_block2` | `stage1.1` | `stage_1.1` |
| `…conv3`, `…norm3` | `….rbr_dense.conv`, `….bn` | `….branch_3x3.conv`, `….norm` |
| `…conv1`, `…norm1` | `….rbr_1x1.conv`, `….bn` | `….branch_1x1.conv`, `….norm` |
| `…identity_norm` | `….rbr_identity` | `….branch_norm` |
| `…conv` (deploy) | `….rbr_reparam` | `….branch_reparam` |
| `…squeeze` | `….se.down` | `….se_layer.conv1.conv` |
| `…excite` | `….se.up` | `….se_layer.conv2.conv` |
| `logits` | `linear` | `head.fc` |

| here | torchvision and OpenMMLab |
|---|---|
| `conv1_conv`, `conv1_bn` | `conv1`, `bn1` |
| `conv2_block1_2_conv`, `…_2_bn` | `layer1.0.conv2`, `layer1.0.bn2` |
| `conv2_block1_0_conv`, `…_0_bn` | `layer1.0.downsample.0`, `layer1.0.downsample.1` |
| `logits` | `fc`, `head.fc` |

A layer has `weight` and perhaps `bias`; a batch norm `weight`, `bias`, `running_mean`
and `running_var`. Apart from the classifier that loads them, for these tables.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import ModelError
from landslide_tf.layers import RepVggBlock

Arrays = Mapping[str, NDArray[np.generic]]

_NORM = ("weight", "bias", "running_mean", "running_var")
_PREFIXES = ("module.", "model.", "backbone.")
_IGNORED = "num_batches_tracked"
HEAD = "logits"
_HEADS = ("linear", "head.fc", "fc")


@dataclass(frozen=True)
class _Entry:
    """Where the weights of one layer come from.

    Attributes:
        layer: A layer with weights.
        names: Names in PyTorch, of which one must be there.
        parts: Last part of the name of each weight, in Keras's order.
    """

    layer: keras.layers.Layer
    names: tuple[str, ...]
    parts: tuple[str, ...]


def load_torch_arrays(model: keras.Model, path: str | Path) -> None:
    """Copies weights of PyTorch into a classifier of the same encoder.

    The classifier's last layer is taken over where it has the model's classes, and
    stays as it is else.

    Args:
        model: A `landslide_classifier` with a RepVGG or one of our ResNets.
        path: The `.npz` file, with names as in this module's tables.

    Raises:
        ModelError: If the file is missing or damaged, lacks an array or has one that
            the model has no place for, or a shape differs.
    """
    arrays = _read(Path(path))
    used: set[str] = set()
    for entry in _entries(model):
        name = next((n for n in entry.names if f"{n}.weight" in arrays), None)
        head = entry.layer.name == HEAD
        if name is None:
            if head:
                continue
            raise ModelError(
                f"`{path}` has no `{entry.names[0]}.weight`, which `{model.name}` "
                "needs: expected the arrays of the same encoder."
            )
        values = [_converted(arrays, f"{name}.{p}", path) for p in entry.parts]
        used.update(f"{name}.{part}" for part in entry.parts)
        shapes = [tuple(w.shape) for w in entry.layer.weights]
        if [v.shape for v in values] != shapes:
            if head:
                continue
            raise ModelError(
                f"`{name}` of `{path}` does not fit `{model.name}`: expected "
                f"{shapes[0]}, received {values[0].shape}."
            )
        entry.layer.set_weights(values)
    left = sorted(set(arrays) - used)
    left = [name for name in left if name.rsplit(".", 1)[0] not in _HEADS]
    if left:
        raise ModelError(
            f"`{path}` holds `{left[0]}`, which `{model.name}` has no place for: "
            "expected the arrays of the same encoder."
        )


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    if not path.is_file():
        raise ModelError(
            f"`{path}` does not exist: expected an `.npz` of PyTorch arrays."
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ModelError(f"`{path}` is not an `.npz` file of plain arrays.") from error
    found = {}
    for name, value in arrays.items():
        while name.startswith(_PREFIXES):
            name = name.split(".", 1)[1]
        if not name.endswith(_IGNORED):
            found[name] = value
    return found


def _entries(model: keras.Model) -> Iterator[_Entry]:
    for layer in model.layers:
        if isinstance(layer, RepVggBlock):
            yield from _block(layer)
        elif layer.name == HEAD:
            yield _Entry(layer, _HEADS, ("weight", "bias"))
        elif layer.weights:
            name = _resnet_name(layer.name)
            bias = ("weight", "bias") if len(layer.weights) == 2 else ("weight",)
            parts = _NORM if layer.name.endswith("_bn") else bias
            yield _Entry(layer, (name,), parts)


def _block(block: RepVggBlock) -> Iterator[_Entry]:
    if block.name == "stem":
        official, open_mmlab = "stage0", "stem"
    else:
        stage, number = block.name.removeprefix("stage").split("_block")
        official = f"stage{stage}.{int(number) - 1}"
        open_mmlab = f"stage_{stage}.{int(number) - 1}"

    def entry(layer: keras.layers.Layer, a: str, b: str, *parts: str) -> _Entry:
        return _Entry(layer, (f"{official}.{a}", f"{open_mmlab}.{b}"), parts)

    if block.deploy:
        yield entry(block.conv, "rbr_reparam", "branch_reparam", "weight", "bias")
    else:
        dense, point = ("rbr_dense", "branch_3x3"), ("rbr_1x1", "branch_1x1")
        for conv, norm, (a, b) in (
            (block.conv3, block.norm3, dense),
            (block.conv1, block.norm1, point),
        ):
            yield entry(conv, f"{a}.conv", f"{b}.conv", "weight")
            yield entry(norm, f"{a}.bn", f"{b}.norm", *_NORM)
        if block.identity_norm is not None:
            yield entry(block.identity_norm, "rbr_identity", "branch_norm", *_NORM)
    if block.squeeze:
        yield entry(block.down, "se.down", "se_layer.conv1.conv", "weight", "bias")
        yield entry(block.up, "se.up", "se_layer.conv2.conv", "weight", "bias")


def _resnet_name(name: str) -> str:
    """Returns torchvision's name of a layer of our ResNets."""
    if match := re.fullmatch(r"conv1_(conv|bn)", name):
        return "conv1" if match[1] == "conv" else "bn1"
    match = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", name)
    if match is None:
        raise ModelError(
            f"No name in PyTorch is known for the layer `{name}`: expected a RepVGG or "
            "one of `resnet18` to `resnet101`."
        )
    stage, number, part, kind = match.groups()
    block = f"layer{int(stage) - 1}.{int(number) - 1}"
    if part == "0":
        return f"{block}.downsample.{0 if kind == 'conv' else 1}"
    return f"{block}.{kind}{part}"


def _converted(arrays: Arrays, name: str, path: str | Path) -> NDArray[np.generic]:
    """Returns an array with its axes in Keras's order."""
    if name not in arrays:
        raise ModelError(f"`{path}` has no `{name}`: the file is not whole.")
    value = arrays[name]
    if value.ndim == 4:
        value = value.transpose(2, 3, 1, 0)
        # A squeeze-and-excitation gate is a dense layer here.
        return value[0, 0] if ".se." in name or ".se_layer." in name else value
    return value.T

"""A network as a file of another runtime, compared with what Keras computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landslide_tf.array_types import FloatArray, IntArray, Tensor
from landslide_tf.choices import OtherFormat, Precision
from landslide_tf.errors import ModelError, RunError
from landslide_tf.serving.assets import write_descriptions
from landslide_tf.serving.conversion import (
    Arrays,
    add_deepness_entries,
    check_format,
    convert,
    deepness_function,
)
from landslide_tf.serving.network import FACTORS, IMAGE, PROBABILITIES, Network
from landslide_tf.serving.runtimes import ConvertedModel, listed
from landslide_tf.serving.verification import compiled_outputs

if TYPE_CHECKING:
    import tensorflow as tf

# Kernels of other runtimes add in another order; a deep network amplifies it.
_TOLERANCE = 1e-3
_FINITE = float(np.finfo(np.float32).max)
_COMPARED = ((37, 43), (64, 96))
_TILE = 512  # of the plug-in, where the training's is not known


def check_portable(
    network: Network,
    format: OtherFormat,
    precision: Precision,
    size: tuple[int, int] | None,
    calibration: Sequence[Arrays],
) -> None:
    """Refuses what cannot be written, before anything is.

    Args:
        network: What is exported.
        format: The format.
        precision: Of weights and arithmetic.
        size: Height and width of a graph of fixed size, pixels.
        calibration: Inputs by name, for `int8`.

    Raises:
        ModelError: If one of them does not fit the others.
    """
    check_format(format, precision)
    if (precision == "int8") != bool(len(calibration)):
        raise ModelError(
            "Precision `int8` needs inputs to calibrate with, and no other takes them "
            f"(`calibration`): received {len(calibration)} for `{precision}`."
        )
    for batch in calibration:
        if set(batch) != set(network.inputs):
            raise ModelError(
                f"`calibration` must hold the inputs {listed(network.inputs)} of "
                f"`{network.name}`, received {listed(batch)}."
            )
    if format == "deepness" and (
        set(network.inputs) - {IMAGE, FACTORS}
        or not network.gives_probabilities
        or network.metadata.task != "segmentation"
    ):
        raise ModelError(
            f"`{network.name}` cannot be run by Deepness, which takes one image and "
            "shows the classes of its pixels: export it as `onnx`."
        )
    _size_of_graph(network, format, size)


def _size_of_graph(
    network: Network, format: OtherFormat, size: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Returns height and width of the graph that is written, None for any size.

    Raises:
        ModelError: If the network or the format does not take the size.
    """
    shapes = [tensor.shape for tensor in network.inputs.values()]
    own = next((shape[1:3] for shape in shapes if len(shape) == 4), (None, None))
    if size is None and format == "deepness":
        tile = network.metadata.tile or _TILE
        size = own[0] or tile, own[1] or tile
    if size is None:
        return None
    asked = f"{size[0]} x {size[1]}"
    if min(size) < network.smallest:
        raise ModelError(
            f"`size` must be at least {network.smallest} x {network.smallest} pixels, "
            f"received {asked}."
        )
    if any(known not in (None, n) for known, n in zip(own, size, strict=True)):
        raise ModelError(
            f"`{network.name}` takes images of {own[0]} x {own[1]} pixels (None = any) "
            f"alone, received `size` {asked}: leave it out."
        )
    if format == "deepness" and size[0] != size[1]:
        raise ModelError(f"Deepness takes squares, received {asked}.")
    return size


def write_portable(
    network: Network,
    folder: Path,
    format: OtherFormat,
    precision: Precision = "float32",
    size: tuple[int, int] | None = None,
    calibration: Sequence[Arrays] = (),
) -> None:
    """Writes a network, its `model.json`, card and STAC item for another runtime.

    Args:
        network: What is exported.
        folder: An existing folder.
        format: The format.
        precision: Of weights and arithmetic.
        size: Height and width of a graph of fixed size in pixels; None keeps any size.
        calibration: Inputs by name, for `int8`.

    Raises:
        RunError: If the file does not give the network's values.
    """
    size = _size_of_graph(network, format, size)
    specs = _specs(network, size)
    calibration = [
        {name: np.asarray(batch[name], t.dtype) for name, t in network.inputs.items()}
        for batch in calibration
    ]
    if format == "deepness":
        assert size is not None
        serve = deepness_function(network, specs, size[0])
        calibration = [_for_deepness(batch) for batch in calibration]
    else:
        serve = _function(network, specs)
    path = convert(serve, folder, format, precision, calibration)
    if format == "deepness":
        add_deepness_entries(path, network.metadata)
    # The graph applies the temperature; nobody is to apply it again.
    network.metadata.model_copy(update={"temperature": None}).write(folder)
    write_descriptions(network, format, folder)
    _compare(network, ConvertedModel(path), precision, size)


def _specs(network: Network, size: tuple[int, int] | None) -> dict[str, tf.TensorSpec]:
    import tensorflow as tf

    found = {}
    for name, tensor in network.inputs.items():
        shape = (None, *tensor.shape[1:])
        if size is not None and len(shape) == 4:
            shape = (None, *size, shape[-1])
        found[name] = tf.TensorSpec(shape, tensor.dtype, name=name)
    return found


def _function(
    network: Network, specs: dict[str, tf.TensorSpec]
) -> tf.types.experimental.PolymorphicFunction:
    import tensorflow as tf

    @tf.function(input_signature=[specs], autograph=False)
    def serve(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return network(inputs)

    return serve


def _for_deepness(inputs: Arrays) -> dict[str, FloatArray | IntArray]:
    """Returns inputs by name as the plug-in gives them."""
    parts = [inputs[name] for name in (IMAGE, FACTORS) if name in inputs]
    values = np.concatenate(parts, axis=-1, dtype=np.float32) / 255
    return {"input": np.moveaxis(values, -1, 1)}


def _compare(
    network: Network,
    written: ConvertedModel,
    precision: Precision,
    size: tuple[int, int] | None,
) -> None:
    for compared in _COMPARED if size is None else (size,):
        inputs = network.random_inputs(compared)
        wanted = compiled_outputs(network, inputs)
        if set(written.input_shapes) != set(inputs):
            found = written(_for_deepness(inputs))
            found = {PROBABILITIES: np.moveaxis(found[PROBABILITIES], 1, -1)}
        else:
            found = written(inputs)
        for name, values in wanted.items():
            off = np.inf
            if name in found and found[name].shape == values.shape:
                scale = max(1.0, float(np.abs(values).max()))
                off = float(np.abs(found[name] - values).max()) / scale
            # Fewer bits change values as much as the network amplifies them.
            if off <= (_TOLERANCE if precision == "float32" else _FINITE):
                continue
            raise RunError(
                f"output `{name}` of `{written.path.name}` must equal that of "
                f"`{network.name}` to {_TOLERANCE:g}, received {off:.3g} on a random "
                f"batch of {compared[0]} x {compared[1]} pixels: nothing was exported."
            )

"""Weights of a file into the layers of a network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import ModelError
from landslide_tf.models import tsmu_parts
from landslide_tf.models.weights.arrays import PARTS, WeightFile, read_weights
from landslide_tf.models.weights.names import NameMap, read_names

# Arrays that follow from others or count steps; a network here has no use for them.
_BUFFERS = (
    "num_batches_tracked",
    "relative_position_index",
    "relative_coords_table",
    "attn_mask",
)


def load_weights(
    model: keras.Model,
    file: str | Path | WeightFile,
    *,
    names: str | Path,
    optional: Collection[str] = (),
) -> None:
    """Copies weights that PyTorch trained into a network, all or none.

    Args:
        model: The network.
        file: A file that `read_weights` reads, or what it has read.
        names: A name of `shipped_names()`, or a file as `--names` of
            `landslide-tf import-weights` takes it.
        optional: Layers that stay as they are where the file lacks them or has them
            in another shape, such as a classifier of other classes.

    Raises:
        ModelError: If the file is missing, damaged or refused, has no weights for a
            layer or weights that no layer takes, or a shape differs.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> arrays = {}
        >>> for name, inputs, outputs in (
        ...     ("conv1", 2, 4),
        ...     ("conv2", 4, 8),
        ...     ("conv3", 8, 16),
        ...     ("conv4", 16, 32),
        ...     ("classifier", 32, 1),
        ... ):
        ...     arrays[f"{name}.weight"] = np.ones((outputs, inputs, 4, 4), "float32")
        ...     arrays[f"{name}.bias"] = np.zeros(outputs, "float32")
        >>> np.savez("discriminator.npz", **arrays)
        >>> model = models.output_space_discriminator(2, filters=4)
        >>> models.weights.load_weights(
        ...     model, "discriminator.npz", names="output_space_discriminator"
        ... )
        >>> float(model.get_layer("conv2").kernel[0, 0, 0, 0])
        1.0
    """
    known = read_names(names)
    if not isinstance(file, WeightFile):
        file = read_weights(file)
    path = file.path
    arrays = {
        known.plain(name): value
        for name, value in file.arrays.items()
        if not name.endswith(_BUFFERS)
    }
    values: list[tuple[keras.Variable, NDArray[np.generic]]] = []
    used: set[str] = set()
    for layer, variables in _layers(_networks(model)):
        name = _name(layer, variables, known, arrays, path)
        if name is None:
            if layer in optional:
                continue
            raise ModelError(
                f"`{path}` has no `{known.of(layer)[0]}.weight`, which `{model.name}` "
                f"needs for its layer `{layer}`: expected the weights of this network."
            )
        found = {}
        for part in variables:
            key = _key(name, part, arrays)
            if key not in arrays:
                raise ModelError(f"`{path}` has no `{key}`: the file is not whole.")
            found[part] = arrays[key]
            if not file.of_keras:
                found[part] = _converted(arrays[key], part, variables[part])
            used.add(key)
        if misfit := _misfit(found, variables):
            if layer in optional:
                continue
            raise ModelError(
                f"`{name}` of `{path}` does not fit `{model.name}`: {misfit}. Build "
                "the network with the bands, classes and widths of the file."
            )
        values.extend((variables[part], value) for part, value in found.items())
    left = sorted(n for n in set(arrays) - used if not known.is_unused(n))
    if left:
        raise ModelError(
            f"`{path}` holds `{left[0]}`, which `{model.name}` has no place for: "
            "expected the weights of this network."
        )
    for variable, value in values:
        variable.assign(value)


def _networks(model: keras.Model) -> dict[str, keras.Model]:
    """Returns what stands before the names of layers, and the networks they are in.

    A model of regions is a trunk and decoders, which count from 1.
    """
    if "region" not in [tensor.name for tensor in model.inputs]:
        return {"": model}
    decoders = tsmu_parts.decoders(model).values()
    numbered = {f"decoder{n}/": decoder for n, decoder in enumerate(decoders, start=1)}
    return {"trunk/": tsmu_parts.trunk(model), **numbered}


def _layers(
    networks: Mapping[str, keras.Model],
) -> Iterator[tuple[str, dict[str, keras.Variable]]]:
    """Returns the layers with weights and these by name, those within layers too."""
    for before, network in networks.items():
        for layer in network.layers:
            found: dict[str, dict[str, keras.Variable]] = {}
            for weight in layer.weights:
                # Keras names a weight by the layers that it lies in.
                *inner, part = weight.path.split("/")
                place = "/".join(inner[inner.index(layer.name) :])
                found.setdefault(before + place, {})[part] = weight
            yield from found.items()


def _key(name: str, part: str, arrays: Collection[str]) -> str:
    """Returns the name of an array: that of its layer alone, or with its part."""
    if name in arrays:
        return name
    return ".".join(filter(None, (name, PARTS.get(part, part))))


def _name(
    layer: str,
    parts: Iterable[str],
    known: NameMap,
    arrays: Collection[str],
    path: str | Path,
) -> str | None:
    """Returns the name of a layer in the file, None where the file lacks it."""
    names = known.of(layer)
    if not names:
        raise ModelError(
            f"`{known.title}` does not say which name the layer `{layer}` has in "
            f"`{path}`: add it to a file of names (`--names FILE`)."
        )
    first = next(iter(parts))
    return next((name for name in names if _key(name, first, arrays) in arrays), None)


def _converted(
    value: NDArray[np.generic], part: str, variable: keras.Variable
) -> NDArray[np.generic]:
    """Returns an array with its axes in Keras's order."""
    if part not in PARTS:
        return value  # its axes are those of the file
    shape, rank = tuple(variable.shape), len(variable.shape)
    if value.ndim == 4 and value.shape[:2] == (*shape[2:3], 1) and shape[3:] == (1,):
        return value.transpose(2, 3, 0, 1)  # depthwise
    if value.ndim == 4 and rank == 2 and value.shape[2:] == (1, 1):
        value = value[:, :, 0, 0]  # a 1 × 1 convolution that is a dense layer here
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def _misfit(
    values: dict[str, NDArray[np.generic]], variables: dict[str, keras.Variable]
) -> str | None:
    """Says which shape differs, if one does."""
    for part, value in values.items():
        expected = tuple(variables[part].shape)
        if value.shape != expected:
            return f"expected {part} {expected}, received {value.shape}"
    return None

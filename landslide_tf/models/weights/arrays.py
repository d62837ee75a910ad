"""Files of weights as arrays by name: PyTorch's, NumPy's `.npz`, Keras 2's HDF5."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import ModelError
from landslide_tf.models.weight_files import (
    UNREADABLE,
    check_archive,
    check_growth,
    check_hdf5,
)
from landslide_tf.models.weights import torch_file

# Name in PyTorch of each weight of a layer of Keras.
PARTS = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_ZIP = b"PK"  # the first bytes of an archive, whose directory is at the end
# What NumPy and a pickle that ends too early raise besides.
_DAMAGED = (*UNREADABLE, IndexError, TypeError, MemoryError, OverflowError)


@dataclass(frozen=True)
class WeightFile:
    """Contents of a weight file.

    Attributes:
        path: The file.
        arrays: By name, such as `"layer1.0.conv1.weight"`; read only.
        of_keras: Whether their axes are in Keras's order in place of PyTorch's.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from landslide_tf.models.weights import WeightFile
        >>> found = WeightFile(Path("a.pth"), {"conv1.bias": np.zeros(64)})
        >>> found.arrays["conv1.bias"].shape
        (64,)
    """

    path: Path
    arrays: Mapping[str, NDArray[np.generic]]
    of_keras: bool = False


def read_weights(path: str | Path) -> WeightFile:
    """Reads a file of weights without running anything in it.

    Args:
        path: A file of `torch.save`, in the zip format or the legacy one, that holds
            a state dict or a checkpoint with one; an `.npz` of its arrays; or an
            HDF5 file in which Keras 2 saved layers by name.

    Returns:
        The arrays. Those of Keras 2 have PyTorch's names of weights: `c1.weight` and
        `c1.bias` for the kernel and the bias of the layer `c1`.

    Raises:
        ModelError: If the file is missing, damaged or of another kind, grows out of
            all proportion when it is unpacked, or names anything but tensors, their
            storages and `OrderedDict`.

    Example:
        >>> import numpy as np
        >>> from landslide_tf.models import weights
        >>> np.savez("one.npz", **{"conv1.weight": np.zeros((8, 3, 7, 7))})
        >>> weights.read_weights("one.npz").arrays["conv1.weight"].shape
        (8, 3, 7, 7)
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"`{path}` does not exist: expected a file of weights.")
    try:
        if h5py.is_hdf5(path):
            return WeightFile(path, _read_layers(path), of_keras=True)
        return WeightFile(path, _read(path))
    except ModelError as error:
        raise ModelError(f"`{path}` is refused: {error}.") from error
    except _DAMAGED as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"`{path}` is not a whole file of `torch.save`, of Keras 2 or of NumPy's "
            f"plain arrays: {said}."
        ) from error


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begin = file.read(len(_ZIP))
        if begin == _ZIP:
            raise ValueError("it ends within the archive")
        return torch_file.read_legacy(path)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        check_archive(archive, path.stat().st_size)
        if any(entry.filename.endswith(".npy") for entry in entries):
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        return torch_file.read_zip(archive, path.stat().st_size)


def _read_layers(path: Path) -> dict[str, NDArray[np.generic]]:
    """Reads the layers that Keras 2 saved by name, alone or with their model."""
    found = {}
    with h5py.File(path, "r") as file:
        check_hdf5(file, path.stat().st_size)
        layers = file.get("model_weights", file)
        if "layer_names" not in layers.attrs:
            raise ValueError("an HDF5 file without layers by name")
        datasets = {
            (layer, name): layers[layer][name]
            for layer in _texts(layers.attrs["layer_names"])
            for name in _texts(layers[layer].attrs["weight_names"])
        }
        check_growth(
            path.stat().st_size, sum(dataset.nbytes for dataset in datasets.values())
        )
        for (layer, name), dataset in datasets.items():
            part = name.rsplit("/", 1)[-1].split(":")[0]
            found[f"{layer}.{PARTS.get(part, part)}"] = dataset[()]
    return found


def _texts(values: Iterable[bytes | str]) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else v for v in values]

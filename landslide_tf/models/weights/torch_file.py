"""The tensors of a file that `torch.save` wrote, in either of its two formats."""

from __future__ import annotations

import io
import math
import mmap
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import ModelError
from landslide_tf.models.weights.torch_pickle import (
    STORAGES,
    Storage,
    StoredTensor,
    read_pickle,
)

PICKLE = "data.pkl"
PROTOCOL = b"\x80"  # the first byte of a pickle, before the number of its protocol
# What a file of the legacy format begins with: a number, and the format's version.
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
# Keys of a checkpoint under which trainers keep the state dict.
STATE_KEYS = ("state_dict", "model_state_dict", "model", "network", "net", "params")
_COUNT = 8  # bytes of the length before each storage of the legacy format

Bytes = memoryview | bytes
ByteOrder = Literal["<", ">"]


def read_zip(archive: zipfile.ZipFile, size: int) -> dict[str, NDArray[np.generic]]:
    """Reads the zip format, PyTorch's own since version 1.6.

    Args:
        archive: The open file.
        size: Its bytes.

    Returns:
        Arrays of the state dict by name, in PyTorch's order of axes.

    Raises:
        ModelError: If it holds anything but tensors.
        ValueError: If it is damaged, or another error of Python's or zipfile's.
    """
    entries = {entry.filename: entry for entry in archive.infolist()}
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise ModelError("it is compressed, which `torch.save` never does")
    if sum(entry.file_size for entry in entries.values()) > size:
        raise ModelError("its parts are larger than the file: they overlap")
    pickles = [name for name in entries if name.split("/")[1:] == [PICKLE]]
    if len(pickles) != 1:
        raise ValueError(f"an archive without its `{PICKLE}`")
    (pickle,) = pickles
    folder = pickle.removesuffix(PICKLE)
    order: ByteOrder = "<"
    if f"{folder}byteorder" in entries:
        order = ">" if archive.read(f"{folder}byteorder") == b"big" else "<"
    read: dict[str, Bytes] = {}

    def content(storage: Storage) -> Bytes:
        if storage.key not in read:
            read[storage.key] = archive.read(f"{folder}data/{storage.key}")
        return read[storage.key]

    values = read_pickle(io.BytesIO(archive.read(pickle)), {})
    return _arrays(_state_dict(values), content, order)


def read_legacy(path: Path) -> dict[str, NDArray[np.generic]]:
    """Reads the format before version 1.6: pickles, then the numbers.

    Args:
        path: The file.

    Returns:
        As `read_zip`.

    Raises:
        ModelError: If it holds anything but tensors.
        ValueError: If it is damaged, or another error of Python's.
    """
    with path.open("rb") as file:
        stream = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    # Other files would end the reading at their first byte that is no instruction.
    if stream[:1] != PROTOCOL or read_pickle(stream, {}) != LEGACY_MAGIC:
        raise ValueError("it does not begin as one")
    if read_pickle(stream, {}) != LEGACY_PROTOCOL:
        raise ValueError("its version of the format is unknown")
    system = read_pickle(stream, {})
    little = not isinstance(system, dict) or system.get("little_endian", True)
    storages: dict[str, Storage] = {}
    values = read_pickle(stream, storages)
    keys = read_pickle(stream, {})
    if not isinstance(keys, list):
        raise ValueError("it has no list of its numbers")
    view, start = memoryview(stream), stream.tell()
    read: dict[str, Bytes] = {}
    for key in keys:
        count = int.from_bytes(view[start : start + _COUNT], "little")
        start += _COUNT
        size = count * np.dtype(STORAGES[storages[key].kind]).itemsize
        read[key] = view[start : start + size]
        start += size
        if start > len(view):
            raise ValueError("it ends within the numbers")
    return _arrays(_state_dict(values), lambda s: read[s.key], "<" if little else ">")


def _state_dict(values: object) -> Mapping[str, StoredTensor]:
    """Returns the tensors of a state dict, which a checkpoint holds under a key."""
    parts = values if isinstance(values, dict) else {}
    inner = {key: _tensors(value) for key, value in parts.items()}
    inner = {key: tensors for key, tensors in inner.items() if tensors}
    for key in STATE_KEYS:
        if key in inner:
            return inner[key]
    found = _tensors(values)
    if not found and len(inner) == 1:
        (found,) = inner.values()
    if not found and inner:
        names = ", ".join(f"`{key}`" for key in inner)
        raise ModelError(f"it holds several state dicts ({names}): save one alone")
    if not found:
        raise ModelError("it holds no state dict: expected tensors by name")
    return found


def _tensors(values: object) -> dict[str, StoredTensor]:
    if not isinstance(values, dict):
        return {}
    return {
        key: value
        for key, value in values.items()
        if isinstance(key, str) and isinstance(value, StoredTensor)
    }


def _arrays(
    tensors: Mapping[str, StoredTensor],
    content: Callable[[Storage], Bytes],
    order: ByteOrder,
) -> dict[str, NDArray[np.generic]]:
    """Returns tensors as views of their storages, so that memory stays the file's."""
    flat: dict[tuple[str, str], NDArray[np.generic]] = {}
    found = {}
    for name, tensor in tensors.items():
        storage = tensor.storage
        key = (storage.key, storage.kind)
        if key not in flat:
            flat[key] = _numbers(content(storage), storage.kind, order)
        found[name] = _viewed(flat[key], tensor)
    return found


def _numbers(data: Bytes, kind: str, order: ByteOrder) -> NDArray[np.generic]:
    values = np.frombuffer(data, np.dtype(STORAGES[kind]).newbyteorder(order))
    if kind == "BFloat16Storage":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values


def _viewed(flat: NDArray[np.generic], tensor: StoredTensor) -> NDArray[np.generic]:
    """Returns a tensor as a view that stays within its storage."""
    part = flat[tensor.storage.start :][: tensor.storage.count]
    if len(part) < tensor.storage.count:
        raise ValueError("it ends within the numbers")
    shape, strides = tensor.shape, tensor.strides
    last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    size = math.prod(shape)
    if size > len(part) or (size and tensor.offset + last >= len(part)):
        raise ValueError(f"a tensor of shape {shape} has {len(part)} numbers")
    return np.lib.stride_tricks.as_strided(
        part[tensor.offset :],
        shape,
        [step * flat.itemsize for step in strides],
        writeable=False,
    )

"""One feature of many examples in one NumPy file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError

# Room for the header of the NumPy file, whose shape is known only at the end.
_HEADER = 256


@dataclass(frozen=True)
class Column:
    """Values of a feature by example number.

    Attributes:
        values: Examples on the first axis, or all values one after the other.
        shapes: Shape of each example where they differ, int64 (examples, axes).
        ends: Where each example ends in `values` where they differ.
    """

    values: NDArray[Any]
    shapes: NDArray[np.int64] | None = None
    ends: NDArray[np.int64] | None = None

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401 - array, number or bytes
        """Returns the value of an example without reading it."""
        if self.shapes is None or self.ends is None:
            return self.values[number]
        shape = self.shapes[number]
        end = int(self.ends[number])
        return self.values[end - int(shape.prod()) : end].reshape(shape)


class ColumnWriter:
    """Writes a feature, one example in memory at a time; text is kept to the end.

    Args:
        folder: Folder of the file.
        feature: Name of the feature.
    """

    def __init__(self, folder: Path, feature: str) -> None:
        self._feature = feature
        self._path = folder / f"{feature}.npy"
        self._file: tuple[IO[bytes], np.dtype] | None = None  # of numbers
        self._shapes: list[tuple[int, ...]] = []
        self._text: list[bytes] = []

    def add(self, name: str, value: Any) -> None:  # noqa: ANN401 - any feature
        """Appends the value of the example `name`.

        Raises:
            DataError: If it is neither text nor an array of numbers like those before.
        """
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytes) and self._file is None:
            self._text.append(value)
            return
        value = np.asarray(value)
        if self._file is None and value.dtype.kind in "biuf" and not self._text:
            self._file = self._path.open("wb"), value.dtype
            self._file[0].write(bytes(_HEADER))
        stream, dtype = self._file or (None, None)
        first = self._shapes[0] if self._shapes else value.shape
        if stream is None or value.dtype != dtype or value.ndim != len(first):
            expected = "text" if self._text else f"numbers ({dtype})"
            raise DataError(
                f"Feature `{self._feature}` of `{name}`: expected {expected} of one "
                f"rank in every example, received {value.dtype}{value.shape}."
            )
        stream.write(value.tobytes())
        self._shapes.append(value.shape)

    def finish(self) -> None:
        """Completes the file and, where sizes differ, writes that of the shapes."""
        if self._file is None:
            np.save(self._path, np.array(self._text))
            return
        stream, dtype = self._file
        shapes = np.array(self._shapes, np.int64)
        if len(set(self._shapes)) == 1:
            shape: tuple[int, ...] = (len(shapes), *self._shapes[0])
        else:
            shape = (int(shapes.prod(axis=1).sum()),)
            np.save(_shapes_path(self._path), shapes)
        stream.seek(0)
        stream.write(_header(dtype, shape))
        self.close()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file[0].close()


def open_column(folder: Path, feature: str) -> Column:
    """Opens what `ColumnWriter` has written, memory-mapped.

    Args:
        folder: Folder of the file.
        feature: Name of the feature.

    Returns:
        The column; its arrays are read-only.
    """
    path = folder / f"{feature}.npy"
    # A plain view of the map: results computed from it are plain arrays, too.
    values = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    if not _shapes_path(path).is_file():
        return Column(values)
    shapes = np.load(_shapes_path(path), allow_pickle=False)
    return Column(values, shapes, shapes.prod(axis=1).cumsum())


def _shapes_path(path: Path) -> Path:
    return path.with_suffix(".shapes.npy")


def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Returns the header of a NumPy file, version 1.0, `_HEADER` bytes long."""
    magic = np.lib.format.magic(1, 0)
    length = _HEADER - len(magic) - 2
    descr = np.lib.format.dtype_to_descr(dtype)
    text = repr({"descr": descr, "fortran_order": False, "shape": shape})
    return magic + struct.pack("<H", length) + text.ljust(length - 1).encode() + b"\n"

"""Where each record of a built data set lies, and what its label looks like.

TFRecord files have no table of their records. Finding them takes a look at every
header, and knowing ids, sizes and classes a look at every label: both are done once
and kept beside the set, or in the user's cache where the set cannot be written to.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import IntArray
from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path
from landslide_tf.pipelines.batches import ReadAhead
from landslide_tf.pipelines.store import text_of
from landslide_tf.progress import with_progress

# What a TFDS feature holds: an array, a number, text; types vary by data set.
Decoded: TypeAlias = Mapping[str, Any]
Decode = Callable[[bytes], Decoded]

FOLDER = ".landslide_tf"
_LAYOUT = 1
_HEADER, _FOOTER = 12, 4  # bytes: length and its checksum; checksum of the data
_VALUES = 256  # of a label


@dataclass(frozen=True)
class RecordIndex:
    """The records of a split, in the order of its files.

    Attributes:
        files: The split's files.
        shard: Number of each record's file.
        offset: Where its data begin in that file, bytes.
        length: Length of its data, bytes.
        ids: Its example's id.
        shapes: Height and width of its example, int64 (records, 2).
        labels: Pixels of each label value 0 to 255, by record; empty (records, 0) where
            a set has no labels.
    """

    files: Sequence[Path]
    shard: IntArray
    offset: IntArray
    length: IntArray
    ids: NDArray[np.str_]
    shapes: IntArray
    labels: IntArray

    def read(self, number: int) -> bytes:
        """Returns a record's data."""
        path = self.files[self.shard[number]]
        length = int(self.length[number])
        try:
            with path.open("rb") as stream:
                stream.seek(int(self.offset[number]))
                data = stream.read(length)
        except OSError as error:
            raise DataError(f"`{path}` cannot be read: {error.strerror}.") from error
        if len(data) != length:
            raise DataError(f"`{path}` has become shorter while it was in use.")
        return data


def open_index(
    folder: Path, split: str, files: Sequence[Path], decode: Decode, labelled: bool
) -> RecordIndex:
    """Returns the index of a split, made where there is none that fits its files.

    Args:
        folder: Folder of the built set.
        split: Name of the split.
        files: Its files, in order.
        decode: Gives what `id`, and `mask` or `label`, of a record are; the image, too,
            where the size of an example is not that of its mask.
        labelled: Whether examples have a mask or a label.

    Returns:
        The index.

    Raises:
        DataError: If a file is missing or damaged.
    """
    stamps = _stamps(files)
    own = folder / FOLDER / f"{split}.npz"
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    cached = _cache() / place / f"{split}.npz"
    for path in (own, cached):
        found = _read(path, files, stamps)
        if found is not None:
            return found
    made = _look(files, decode, labelled)
    for path in (own, cached):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whoever else makes it at the same time writes the same.
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.savez_compressed(
                    stream,
                    layout=_LAYOUT,
                    stamps=stamps,
                    shard=made.shard,
                    offset=made.offset,
                    length=made.length,
                    ids=made.ids,
                    shapes=made.shapes,
                    labels=made.labels,
                )
            break
        except (OSError, DataError):  # not writable: the next place, or none
            continue
    return made


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "landslide_tf", "records")


def _stamps(files: Sequence[Path]) -> NDArray[np.str_]:
    """Returns name, size and time of change of each file, which an index belongs to."""
    found = []
    for path in files:
        try:
            state = path.stat()
        except OSError as error:
            raise DataError(f"`{path}` cannot be read: {error.strerror}.") from error
        found.append(f"{path.name} {state.st_size} {state.st_mtime_ns}")
    return np.array(found, str)


def _read(
    path: Path, files: Sequence[Path], stamps: NDArray[np.str_]
) -> RecordIndex | None:
    """Returns the index of a file, None where it is not there or not of these files."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if int(arrays["layout"]) != _LAYOUT:
                return None
            if not np.array_equal(arrays["stamps"], stamps):
                return None
            names = ("shard", "offset", "length", "ids", "shapes", "labels")
            return RecordIndex(files, *(arrays[name] for name in names))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _look(files: Sequence[Path], decode: Decode, labelled: bool) -> RecordIndex:
    """Looks at every record: first where it is, then what its label is."""
    places = np.array(
        [
            (number, *place)
            for number, path in enumerate(files)
            for place in _records(path)
        ],
        np.int64,
    ).reshape(-1, 3)
    count = len(places)
    shard, offset, length = places.T
    shapes = np.zeros((count, 2), np.int64)
    labels = np.zeros((count, _VALUES if labelled else 0), np.int32)
    found = RecordIndex(files, shard, offset, length, np.array([]), shapes, labels)

    def look(number: int) -> tuple[str, tuple[int, int], NDArray[np.int64]]:
        data = found.read(number)
        try:
            example = decode(data)
        except Exception as error:  # whatever the decoders of damaged bytes raise
            raise DataError(
                f"`{files[shard[number]]}`, record {number}: the example cannot be "
                f"decoded ({' '.join(str(error).split())[:200]}); build the set anew."
            ) from error
        sized = example["image"] if "image" in example else example["mask"]
        counts = np.zeros(0, np.int64)
        if labelled:
            label = np.ravel(example["label" if "label" in example else "mask"])
            counts = np.bincount(label.astype(np.uint8), minlength=_VALUES)
        return text_of(example["id"]), np.shape(sized)[:2], counts

    read = ReadAhead(look, count)
    ids = []
    for number in with_progress(range(count), "Indexing"):
        name, shapes[number], labels[number] = read(number)
        ids.append(name)
    return RecordIndex(files, shard, offset, length, np.array(ids, str), shapes, labels)


def _records(path: Path) -> Iterator[tuple[int, int]]:
    """Yields offset and length of the data of each record of a TFRecord file.

    Raises:
        DataError: If the file is cut off, or a length is not that which was written.
    """
    from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

    end = path.stat().st_size
    with path.open("rb") as stream:
        position = 0
        while position < end:
            stream.seek(position)
            header = stream.read(_HEADER)
            length, check = struct.unpack("<QI", header.ljust(_HEADER, b"\0"))
            following = position + _HEADER + length + _FOOTER
            if following > end or pywrap_tensorflow.masked_crc32c(header[:8]) != check:
                raise DataError(
                    f"`{path}` is damaged at byte {position}: build the set anew."
                )
            yield position + _HEADER, length
            position = following

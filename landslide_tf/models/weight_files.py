"""Weight files, from anybody: what may be opened, and all that is wrong is an error.

Keras refuses code in a `.keras` file, and links and outsized arrays where it reads them
itself. What else reads such files, and what Keras lets pass, is checked here.
"""

from __future__ import annotations

import json
import stat
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import h5py
import keras
import numpy as np

from landslide_tf.errors import ModelError

# What Keras, h5py and zipfile raise for files that are corrupt or do not fit.
UNREADABLE = (
    ValueError,
    KeyError,
    OSError,
    EOFError,
    RuntimeError,  # of HDF5, and of archives with a password
    zipfile.BadZipFile,
    zlib.error,
)
# A file may grow so many times when it is unpacked, where it grows beyond a size.
EXPANSION, LEAST = 100, 2**30
_WEIGHTS = "model.weights.h5"  # in a `.keras` file
_CONFIG = "config.json"


def load_strictly(
    model: keras.Model, path: Path, skip: Sequence[keras.layers.Layer] = ()
) -> None:
    """Loads a `.weights.h5` or `.keras` file; every weight of the model must be in it.

    Args:
        model: A built model.
        path: The file.
        skip: Layers that keep their own weights.

    Raises:
        ModelError: If the file holds what no file of weights needs.
        Exception: One of `UNREADABLE`, if the file cannot be read or does not fit.
    """
    check_weight_file(path)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        # Keras names each layer a second time by its depth in the graph and warns
        # where these names differ; the first way raises where a weight is missing.
        warnings.filterwarnings("ignore", message="Skipping nested container")
        if not skip:
            model.load_weights(path)
            return
        if path.suffix == ".keras":  # of which Keras skips nothing
            with zipfile.ZipFile(path) as archive:
                path = Path(archive.extract(_WEIGHTS, folder))
        model.load_weights(path, objects_to_skip=list(skip))


def save_weights(model: keras.Model, path: Path, dtype: str = "float32") -> None:
    """Writes a `.weights.h5` file; of any type, Keras reads it into its own.

    Args:
        model: A built model.
        path: The file; its name ends in `.weights.h5`.
        dtype: `float32`, or `float16` for half of the bytes.

    Raises:
        ModelError: If a weight is larger than the type holds.
    """
    limit = float(np.finfo(dtype).max)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, path.name)
        model.save_weights(plain)
        with h5py.File(plain, "r") as source, h5py.File(path, "w") as file:

            def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
                if isinstance(item, h5py.Dataset):
                    values = item[()]
                    if values.dtype.kind == "f":  # not the state of a dropout
                        if not (np.abs(values) <= limit).all():
                            raise ModelError(
                                f"`{name}` of `{model.name}` holds values beyond "
                                f"±{limit:g}, the range of {dtype}: keep float32."
                            )
                        values = values.astype(dtype)
                    file.create_dataset(name, data=values)
                else:
                    file.require_group(name)
                file[name].attrs.update(item.attrs)

            source.visititems(copy)


def one_line(error: Exception) -> str:
    """Returns what an exception says as one line without a full stop."""
    return " ".join(str(error).split())[:300].rstrip(". ")


def check_application_file(backbone_weights: str | Path) -> None:
    """Refuses what is no file of weights of `keras.applications`.

    Args:
        backbone_weights: `"imagenet"` or a path.

    Raises:
        ModelError: If the file does not exist or is of another format.
    """
    if backbone_weights == "imagenet":
        return
    path = Path(backbone_weights)
    if not path.name.endswith((".h5", ".hdf5")):  # `.weights.h5` among them
        raise ModelError(
            "`backbone_weights` must be 'imagenet', or a `.weights.h5` or `.h5` file "
            f"of `keras.applications`, received `{backbone_weights}`; `weights=` takes "
            "a `.keras` file of the whole network."
        )
    if not path.is_file():
        raise ModelError(
            "`backbone_weights` must be None, 'imagenet' or a weight file, received "
            f"`{backbone_weights}`, which does not exist."
        )


def check_weight_file(path: Path) -> None:
    """Refuses a file that reaches outside itself, runs code or fills the memory.

    Args:
        path: A `.keras` file, or HDF5 of any kind. What is neither passes: whoever
            reads it says so.

    Raises:
        ModelError: If the file is of such a kind.
    """
    try:
        if path.suffix == ".keras" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                check_archive(archive, path.stat().st_size)
                if _CONFIG in archive.namelist():
                    json.loads(archive.read(_CONFIG), object_hook=_without_code)
        elif path.is_file() and h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                check_hdf5(file, path.stat().st_size)
    except ModelError as error:
        raise ModelError(f"`{path}` is refused: {error}.") from error
    except UNREADABLE as error:
        said = one_line(error) or type(error).__name__
        raise ModelError(f"`{path}` is damaged: {said}.") from error


def check_archive(archive: zipfile.ZipFile, size: int) -> None:
    """Refuses an archive with paths out of its folder, or that grows without measure.

    Args:
        archive: An open archive.
        size: Bytes of its file.

    Raises:
        ModelError: If the archive is of such a kind, without its name.
    """
    for entry in archive.infolist():
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        drive = any(":" in part for part in path.parts[:1])  # an entry may be nameless
        if path.is_absolute() or ".." in path.parts or drive:
            raise ModelError(f"its entry `{entry.filename}` lies out of its folder")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ModelError(f"its entry `{entry.filename}` is a link")
    check_growth(size, sum(entry.file_size for entry in archive.infolist()))


def check_growth(size: int, unpacked: int) -> None:
    """Refuses a small file that would fill the memory.

    Args:
        size: Bytes of the file.
        unpacked: Bytes of what is in it.

    Raises:
        ModelError: If that is out of proportion, without the file's name.
    """
    if unpacked > LEAST and unpacked > EXPANSION * size:
        raise ModelError(
            f"it would unpack to {unpacked / 2**30:.1f} GiB, more than {EXPANSION} "
            "times its size"
        )


def check_hdf5(file: h5py.File, size: int) -> None:
    """Refuses an HDF5 file that reads other files, or that grows without measure.

    Args:
        file: The open file.
        size: Its bytes.

    Raises:
        ModelError: If the file is of such a kind, without its name.
    """
    unpacked = 0
    for name, dataset in _datasets(file):
        if dataset.is_virtual or dataset.external:
            raise ModelError(f"its values `{name}` lie in other files")
        unpacked += dataset.nbytes
    check_growth(size, unpacked)


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yields every dataset once; a link to elsewhere is refused, not followed."""
    waiting, seen = [("", file)], set()
    while waiting:
        before, group = waiting.pop()
        for part in group:
            name = f"{before}/{part}"
            link = group.get(part, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ModelError(f"its `{name}` is a link to elsewhere")
            found = group[part]
            place = h5py.h5o.get_info(found.id).addr
            if place in seen:  # a second name, or a group within itself
                continue
            seen.add(place)
            if isinstance(found, h5py.Group):
                waiting.append((name, found))
            elif isinstance(found, h5py.Dataset):
                yield name, found


def _without_code(entry: dict[str, object]) -> dict[str, object]:
    """Refuses a `Lambda` layer: Python code, or a function that the file names."""
    if entry.get("class_name") == "Lambda":
        raise ModelError(
            "it holds a `Lambda` layer, which is code; write a registered layer in its "
            "place"
        )
    return entry

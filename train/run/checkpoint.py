"""Checkpoints: checksummed folders that appear complete or not at all."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import RunError, warn
from landslide_tf.files import atomic_folder, remove_leftovers, sha256
from landslide_tf.words import counted

if TYPE_CHECKING:
    import keras

ARRAYS, META, MANIFEST = "state.npz", "meta.json", "MANIFEST.json"
KEPT = 2


class CheckpointWarning(UserWarning):
    """A checkpoint was damaged and an older one is used."""


@dataclass(frozen=True)
class Checkpoint:
    """One saved state.

    Attributes:
        path: Its folder.
        arrays: Variables by `group/number`.
        meta: What else was saved, JSON values.
    """

    path: Path
    arrays: dict[str, NDArray[Any]]
    meta: dict[str, Any]


def groups(model: keras.Model) -> dict[str, list[keras.Variable]]:
    """Returns every variable that a training step may change, by group.

    `model.variables` holds the dropout seed states, which weight files leave out.
    """
    return {
        "model": list(model.variables),
        "optimizer": list(model.optimizer.variables) if model.optimizer else [],
        "metrics": list(model.metrics_variables),
    }


def averages(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Returns the moving averages of a model's trainable variables.

    Args:
        model: A compiled model whose optimiser is built.

    Returns:
        Arrays by variable path; empty where the optimiser keeps no average.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        return {}
    # Keras's own SwapEMAWeights reads these names; there is no public one.
    pairs = zip(
        optimizer._trainable_variables,
        optimizer._model_variables_moving_average,
        strict=True,
    )
    return {variable.path: np.array(average.numpy()) for variable, average in pairs}


def variable_arrays(
    variables: dict[str, list[keras.Variable]],
) -> tuple[dict[str, NDArray[Any]], dict[str, list[str]]]:
    """Copies variables out of a model.

    Args:
        variables: Variables by group.

    Returns:
        The arrays by `group/number` (bfloat16 as uint16 bits, which NumPy can store)
        and, by the same key, `[path, dtype]` to check against when they come back. On
        several devices these are the first replica's; another replica that differs, as
        in the sums of metrics, adds `group/number.replica`.
    """
    arrays, table = {}, {}
    for group, members in variables.items():
        for number, variable in enumerate(members):
            key = f"{group}/{number:05d}"
            table[key] = [variable.path, variable.dtype]
            arrays[key], *others = _values(variable)
            for replica, value in enumerate(others, 1):
                if value.tobytes() != arrays[key].tobytes():
                    arrays[f"{key}.{replica}"] = value
    return arrays, table


def assign_variables(
    variables: dict[str, list[keras.Variable]], checkpoint: Checkpoint
) -> None:
    """Puts saved values back.

    Args:
        variables: Variables by group, as when they were saved.
        checkpoint: The saved state.

    Raises:
        RunError: If the checkpoint belongs to another model or optimiser.
    """
    table = checkpoint.meta["variables"]
    for group, members in variables.items():
        saved = [key for key in table if key.startswith(f"{group}/")]
        if len(saved) != len(members):
            raise RunError(
                f"`{checkpoint.path}` holds "
                f"{counted(len(saved), f'{group} variable')}, expected "
                f"{len(members)}: it belongs to another recipe."
            )
        for number, variable in enumerate(members):
            key = f"{group}/{number:05d}"
            first, (path, dtype) = checkpoint.arrays[key], table[key]
            if dtype != variable.dtype or tuple(first.shape) != tuple(variable.shape):
                raise RunError(
                    f"`{checkpoint.path}`: `{path}` is {dtype}{first.shape}, expected "
                    f"{variable.dtype}{tuple(variable.shape)}: another recipe."
                )
            for replica, part in enumerate(_replicas(variable)):
                value = checkpoint.arrays.get(f"{key}.{replica}", first)
                put(part, value.view(_bfloat16()) if dtype == "bfloat16" else value)


def put(variable: keras.Variable, value: NDArray[Any]) -> None:
    """Assigns a value that every process has, where several share the variable.

    JAX would compare it between them, one variable after the other, and take NaN for
    a difference.
    """
    sharding = getattr(variable.value, "sharding", None)
    if sharding is None or sharding.is_fully_addressable:
        variable.assign(value)
        return
    import jax

    variable.assign(
        jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])
    )


def _replicas(variable: keras.Variable) -> Sequence[keras.Variable]:
    """Returns the variable of each replica; on one device, the variable itself."""
    return getattr(variable.value, "values", [variable])


def _values(variable: keras.Variable) -> list[NDArray[Any]]:
    """Copies the values of every replica, bfloat16 as bits."""
    values = [np.asarray(part.numpy()) for part in _replicas(variable)]
    return [v.view(np.uint16) if variable.dtype == "bfloat16" else v for v in values]


def _bfloat16() -> np.dtype:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


def save_checkpoint(
    folder: Path, name: str, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]
) -> Path:
    """Writes a checkpoint under `folder/name-<serial>`.

    Older checkpoints of the same name are removed once the new one is in place,
    except the one before it.

    Args:
        folder: Folder of checkpoints.
        name: What it is a checkpoint of, such as `state` or `best`.
        arrays: Arrays by key.
        meta: JSON values.

    Returns:
        The new checkpoint's folder.

    Raises:
        RunError: If the disk is full or the folder cannot be written; what was there
            before is untouched.
    """
    serials = [int(p.name.rsplit("-", 1)[1]) for p in _folders(folder, name)]
    path = folder / f"{name}-{max(serials, default=-1) + 1:06d}"
    try:
        with atomic_folder(path) as temporary:
            # NumPy's own hint gives the arrays the type of its option.
            np.savez(temporary / ARRAYS, **arrays)  # type: ignore[arg-type]
            (temporary / META).write_text(json.dumps(meta))
            sums = {n: sha256(temporary / n) for n in (ARRAYS, META)}
            (temporary / MANIFEST).write_text(json.dumps(sums))
    except OSError as error:
        raise RunError(
            f"Checkpoint `{path}` cannot be written: {error.strerror or error}; the "
            "previous one is kept. Free some space and use `--resume`."
        ) from error
    for old in _folders(folder, name)[:-KEPT]:
        shutil.rmtree(old)
    return path


def load_newest(folder: Path, name: str) -> Checkpoint | None:
    """Reads the newest undamaged checkpoint.

    Args:
        folder: Folder of checkpoints.
        name: As given to `save_checkpoint`.

    Returns:
        The checkpoint, or None where there is none at all.

    Raises:
        RunError: If there are checkpoints and every one is damaged.
    """
    if not folder.is_dir():
        return None
    remove_leftovers(folder)
    found = _folders(folder, name)
    for path in reversed(found):
        try:
            return _read(path)
        except RunError as error:
            warn(f"{error} The one before it is used.", CheckpointWarning)
    if found:
        raise RunError(f"Every `{name}` checkpoint in `{folder}` is damaged.")
    return None


def _folders(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"{name}-[0-9]*")) if folder.is_dir() else []


def _read(path: Path) -> Checkpoint:
    try:
        sums = json.loads((path / MANIFEST).read_text("utf-8"))
        for file in (ARRAYS, META):
            if sha256(path / file) != sums[file]:
                raise RunError(f"Checkpoint file `{path / file}` is damaged.")
        with np.load(path / ARRAYS, allow_pickle=False) as arrays:
            loaded = {key: arrays[key] for key in arrays.files}
        return Checkpoint(path, loaded, json.loads((path / META).read_text("utf-8")))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"Checkpoint `{path}` cannot be read.") from error

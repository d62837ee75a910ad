"""What old decoders said of a new region's images, on disk."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import RunError
from landslide_tf.files import atomic_path
from landslide_tf.models import tsmu
from landslide_tf.pipelines import RegionBatches, RegionExamples, WholeRegion
from landslide_tf.train.continual.stage import responses


@dataclass(frozen=True)
class Responses:
    """Recorded probabilities of one old decoder.

    Attributes:
        training: (examples and copies, H, W), in the order of their numbers.
        validation: (examples, H, W).
    """

    training: FloatArray
    validation: FloatArray


def record(
    network: keras.Model,
    names: tuple[str, ...],
    examples: RegionExamples,
    *,
    batch_size: int,
    dtype: str = "float32",
) -> list[FloatArray]:
    """Runs decoders on every example and copy, in inference mode.

    Args:
        network: A model of `tsmu_net`.
        names: Regions of the decoders.
        examples: The new region's examples.
        batch_size: Examples at once.
        dtype: `"float32"`, or `"float16"` for half the memory: responses then differ
            from the decoders' by up to 5e-4.

    Returns:
        One array (examples and copies, H, W) a decoder.
    """
    model = _Responses(network, names)
    shape = (len(examples), examples.size, examples.size)
    recorded = [np.empty(shape, dtype) for _ in names]
    whole = WholeRegion(RegionBatches(examples, batch_size))
    for numbers in whole.numbers():
        images, _ = whole.load(numbers)
        for part, values in zip(recorded, model.predict_on_batch(images), strict=True):
            part[numbers] = values[..., 0]
    return recorded


class _Responses(keras.Model):
    """Decoders in inference mode, compiled as one function."""

    def __init__(self, network: keras.Model, names: tuple[str, ...]) -> None:
        super().__init__(name="responses")
        self.network = network
        self.names = names

    def call(self, inputs: dict[str, FloatArray]) -> list[FloatArray]:
        return responses(self.network, tuple(self.names), inputs["image"])


def responses_path(folder: str | Path, new: str, old: str) -> Path:
    """Returns the file of one old region's responses."""
    return Path(folder) / "responses" / new / f"{old}.npz"


def write_responses(
    path: Path,
    training: RegionExamples,
    validation: RegionExamples,
    recorded: Responses,
) -> None:
    """Writes one old decoder's responses with the ids and copies they belong to.

    Args:
        path: From `responses_path`.
        training: The new region's training examples.
        validation: Its validation examples.
        recorded: The responses.

    Raises:
        RunError: If the disk is full.
    """
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(
                stream,
                training=recorded.training,
                validation=recorded.validation,
                training_keys=_keys(training),
                validation_keys=_keys(validation),
            )
    except OSError as error:
        raise RunError(
            f"Responses `{path}` cannot be written: {error.strerror or error}; free "
            "some space, or use `joint.responses: online`."
        ) from error


def read_responses(
    path: Path, training: RegionExamples, validation: RegionExamples
) -> Responses:
    """Reads one old decoder's responses.

    Args:
        path: From `responses_path`.
        training: As when they were written.
        validation: As when they were written.

    Returns:
        The responses.

    Raises:
        RunError: If the file is missing, damaged, or of other examples.
    """
    try:
        with path.open("rb") as stream, np.load(stream) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        same = [
            np.array_equal(found[f"{part}_keys"], _keys(examples))
            for part, examples in (("training", training), ("validation", validation))
        ]
        recorded = Responses(found["training"], found["validation"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise RunError(
            f"`{path}` is missing or damaged: remove the `record` stage from "
            "`state.json` or start the step anew."
        ) from error
    if not all(same):
        raise RunError(
            f"`{path}` holds the responses to other examples than the region has now: "
            "restore its data or start the step anew."
        )
    return recorded


def _keys(examples: RegionExamples) -> np.ndarray:
    keys = (examples.key(number) for number in range(len(examples)))
    return np.array([f"{name}#{copy}" for name, copy in keys])


def old_regions(network: keras.Model, new: str) -> tuple[str, ...]:
    """Returns the regions whose decoders were there before a new one."""
    return tuple(name for name in tsmu.decoders(network) if name != new)

"""What old decoders said of a new region's images, in memory and on disk."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import RunError
from landslide_tf.files import atomic_path
from landslide_tf.pipelines import RegionBatches, RegionExamples, WholeRegion
from landslide_tf.train.continual.recipe import ContinualRecipe
from landslide_tf.train.continual.regions import RegionData
from landslide_tf.train.continual.update_models import Tensors, decoded


@dataclass(frozen=True)
class Responses:
    """Recorded probabilities of one old decoder.

    Attributes:
        training: (examples and copies, H, W), in the order of their numbers.
        validation: (examples, H, W).
    """

    training: FloatArray
    validation: FloatArray


def record_region(
    network: keras.Model, old: Sequence[str], data: RegionData, recipe: ContinualRecipe
) -> list[Responses]:
    """Records what old decoders say of a new region's images, copies included.

    Args:
        network: A model of `tsmu_net`; its decoders run in inference mode.
        old: Regions of the decoders.
        data: The new region's examples.
        recipe: Section `joint` gives the type of the numbers: with float16 they differ
            from the decoders' by up to 5e-4.

    Returns:
        The responses, one a decoder.
    """
    model = _Decoders(network, old)
    size = recipe.training.validation_batch_size
    made = []
    for examples in (data.training, data.validation):
        shape = (len(examples), examples.size, examples.size)
        recorded = [np.empty(shape, recipe.joint.responses_dtype) for _ in old]
        whole = WholeRegion(RegionBatches(examples, size))
        for numbers in whole.numbers():
            found = model.predict_on_batch(whole.load(numbers)[0])
            for part, name in zip(recorded, old, strict=True):
                part[numbers] = found[name][..., 0]
        made.append(recorded)
    return [Responses(*parts) for parts in zip(*made, strict=True)]


class _Decoders(keras.Model):
    """Decoders in inference mode, compiled as one function."""

    def __init__(self, network: keras.Model, names: Sequence[str]) -> None:
        super().__init__(name="responses")
        self.network = network
        self.modes = dict.fromkeys(names, False)

    def call(self, inputs: Tensors) -> Tensors:
        return decoded(self.network, inputs["image"], self.modes)


def responses_path(folder: str | Path, new: str, old: str) -> Path:
    """Returns the file of one old region's responses to a new region's images."""
    return Path(folder) / "responses" / new / f"{old}.npz"


def write_responses(path: Path, data: RegionData, recorded: Responses) -> None:
    """Writes one old decoder's responses with the ids and copies they belong to.

    Args:
        path: From `responses_path`.
        data: The new region's examples.
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
                training_keys=_keys(data.training),
                validation_keys=_keys(data.validation),
            )
    except OSError as error:
        raise RunError(
            f"Responses `{path}` cannot be written: {error.strerror or error}; free "
            "some space, or use `joint.responses: online`."
        ) from error


def read_responses(path: Path, data: RegionData) -> Responses:
    """Reads one old decoder's responses.

    Args:
        path: From `responses_path`.
        data: The new region's examples, as when the responses were written.

    Returns:
        The responses.

    Raises:
        RunError: If the file is missing, damaged, or of other examples.
    """
    try:
        with path.open("rb") as stream, np.load(stream) as arrays:
            recorded = Responses(arrays["training"], arrays["validation"])
            same = np.array_equal(
                arrays["training_keys"], _keys(data.training)
            ) and np.array_equal(arrays["validation_keys"], _keys(data.validation))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise RunError(
            f"`{path}` is missing or damaged: remove the `record` stage from "
            "`state.json` or start the step anew."
        ) from error
    if not same:
        raise RunError(
            f"`{path}` holds the responses to other examples than the region has now: "
            "restore its data or start the step anew."
        )
    return recorded


def _keys(examples: RegionExamples) -> np.ndarray:
    keys = (examples.key(number) for number in range(len(examples)))
    return np.array([f"{name}#{copy}" for name, copy in keys])

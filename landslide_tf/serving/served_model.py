"""A SavedModel on arrays, without Keras and without the model's code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.errors import ModelError, RunError, did_you_mean, first_line
from landslide_tf.metadata import FILE_NAME, ModelMetadata
from landslide_tf.serving.runtimes import (
    ConvertedModel,
    Runtime,
    fitting_arrays,
    is_model_file,
    model_file,
)
from landslide_tf.serving.safety import check_graph
from landslide_tf.serving.versions import (
    GRAPH_FILE,
    STAC_ITEM,
    WEIGHTS_FILE,
    is_remote,
    versions,
)

SIGNATURE = "serving_default"
EXTRA = "assets.extra"


class ServedModel:
    """A loaded SavedModel: a function from named arrays to named arrays.

    Attributes:
        folder: The version's folder.
        metadata: The export's `model.json`.
        signatures: Their names.
        input_shapes: (batch, height, width, channels) by name; None = any.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import saved_models, serving
        >>> model = serving.load(saved_models.path("fstf_net_synthetic"))
        >>> image, factors = np.zeros((2, 1, 40, 56, 3))  # raw values of both
        >>> model({"image": image, "factors": factors})["probabilities"].shape
        (1, 40, 56, 6)
    """

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf
        from google.protobuf.message import DecodeError

        self.folder = folder
        if not (folder / EXTRA / FILE_NAME).is_file():
            raise RunError(
                f"`{folder}` has no `{EXTRA}/{FILE_NAME}`, as if `model.export` of "
                "Keras had written it: write it with `landslide_tf.serving.export`, or "
                "load it with `tf.saved_model.load`."
            )
        self.metadata = ModelMetadata.read(folder / EXTRA)
        try:
            check_graph(folder / GRAPH_FILE)
            # The loaded object owns the variables: the signature alone does not.
            self._loaded = tf.saved_model.load(str(folder))
        except (OSError, IndexError, DecodeError, tf.errors.OpError) as error:
            raise RunError(
                f"`{folder}` is not a whole SavedModel ({first_line(error)}): "
                "export the model again."
            ) from error
        if SIGNATURE not in self._loaded.signatures:
            raise RunError(
                f"`{folder}` must have the signature `{SIGNATURE}`, received "
                f"{sorted(self._loaded.signatures)}: export the model again."
            )
        self.signatures = tuple(sorted(self._loaded.signatures))
        # Signatures leave the rank open, to check it in the graph; a network does not.
        network = getattr(self._loaded, "network", None)
        specs = self.specs(SIGNATURE)
        if network is not None:
            ((specs,), _) = network.structured_input_signature
        self.input_shapes = {
            name: tuple(spec.shape) for name, spec in sorted(specs.items())
        }

    @property
    def files(self) -> list[Path]:
        """The files of the model, without the item that only catalogues read."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path for path in files if path.name != STAC_ITEM)

    def specs(self, signature: str) -> dict[str, Any]:
        """Returns the `tf.TensorSpec` of every input of a signature, by name.

        Args:
            signature: One of `signatures`.

        Raises:
            ModelError: If there is no such signature.
        """
        known = self._loaded.signatures
        if signature not in known:
            raise ModelError(
                f"`{self.folder}` has no signature `{signature}`."
                f"{did_you_mean(signature, known)}"
            )
        return known[signature].structured_input_signature[1]

    def __call__(
        self, inputs: Mapping[str, ArrayLike], signature: str = SIGNATURE
    ) -> dict[str, NDArray[Any]]:
        """Runs a signature.

        Args:
            inputs: One array a name, (batch, height, width, channels), raw units.
            signature: Its name; models of several regions have further ones.

        Returns:
            One array an output, as a rule `probabilities` (batch, height, width,
            classes), float32 in [0, 1].

        Raises:
            ModelError: If a name is missing or unknown, a shape does not fit, or the
                model refuses a value, such as an unknown region.
        """
        import tensorflow as tf

        specs = self.specs(signature)
        known = {
            name: (
                None if spec.shape.rank is None else tuple(spec.shape),
                np.dtype(spec.dtype.as_numpy_dtype),
            )
            for name, spec in specs.items()
        }
        arrays = fitting_arrays(inputs, known, self.folder)
        tensors = {
            name: tf.constant(arrays[name], spec.dtype) for name, spec in specs.items()
        }
        try:
            outputs = self._loaded.signatures[signature](**tensors)
        except tf.errors.InvalidArgumentError as error:
            raise ModelError(
                f"`{self.folder}` refuses its inputs: {sentence(error.message)}"
            ) from error
        return {name: value.numpy() for name, value in outputs.items()}


def load(
    folder: str | Path, *, runtime: Runtime | None = None
) -> ServedModel | ConvertedModel:
    """Loads an exported model.

    Args:
        folder: The model's folder, for its newest version, one version's folder, or a
            file of another runtime with its `model.json` beside it.
        runtime: What runs a file that several can: `onnxruntime` or `openvino` for
            ONNX; None takes the first of them that is installed.

    Returns:
        The model. A SavedModel needs TensorFlow, a file the package of its runtime,
        neither needs Keras.

    Raises:
        ModelError: If its graph reads or writes files, or calls Python.
        RunError: If there is no such model, or it is not whole.

    Example:
        >>> from landslide_tf import saved_models, serving
        >>> model = serving.load(saved_models.path("fstf_net_synthetic"))
        >>> list(model.input_shapes), model.folder.name  # the newest version
        (['factors', 'image'], '1')
    """
    if is_remote(folder):
        raise RunError(
            f"`{folder}` is of another file system, and models are loaded from local "
            "folders: copy the version, or load it with `tf.saved_model.load`."
        )
    folder = Path(folder)
    if is_model_file(folder):
        return ConvertedModel(folder, runtime)
    folder = version_folder(folder)
    if (file := model_file(folder)) is not None:
        return ConvertedModel(file, runtime)
    if (folder / WEIGHTS_FILE).is_file():
        raise RunError(
            f"`{folder}` holds weights, which are run by Keras and not served: build "
            "the network with `landslide_tf.models.build_described`, or export its run "
            "in another format."
        )
    if runtime is not None:
        raise RunError(
            f"`{folder}` is a SavedModel, which TensorFlow runs: leave out `runtime`."
        )
    return ServedModel(folder)


def read_metadata(path: str | Path) -> ModelMetadata:
    """Reads what a `model.json`, a run or an export says, without its model.

    Args:
        path: The file, the folder that holds it, or what `load` takes.

    Raises:
        RunError: If it is none of these.
    """
    path = Path(path)
    if not path.is_dir() or (path / FILE_NAME).is_file():
        return ModelMetadata.read(path)
    folder = version_folder(path)
    graph = (folder / GRAPH_FILE).is_file()
    return ModelMetadata.read(folder / EXTRA if graph else folder)


def version_folder(folder: Path) -> Path:
    """Returns the folder of the newest version, or the folder that is a version.

    Args:
        folder: What `export` wrote, or one version of it.

    Raises:
        RunError: If it is neither.
    """
    if _holds_model(folder):
        return folder
    found = [v for v in versions(folder) if _holds_model(folder / str(v))]
    if not found:
        raise RunError(
            f"`{folder}` must be an export's folder or hold numbered versions, "
            "received neither: name the folder that `landslide-tf export` wrote."
        )
    return folder / str(max(found))


def _holds_model(folder: Path) -> bool:
    known = (GRAPH_FILE, WEIGHTS_FILE)
    return any((folder / n).is_file() for n in known) or model_file(folder) is not None


def sentence(message: str) -> str:
    """Returns what a check in the graph says, without where TensorFlow met it."""
    text = " ".join(message.split())
    found = re.search(r"assertion failed: \[(.*?)\](?: \[\[|$)", text)
    return found[1] if found else text

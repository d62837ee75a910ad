"""Models in the formats of ONNX Runtime, OpenVINO and LiteRT, on arrays.

Apart from `served_model`, which runs a SavedModel and needs TensorFlow: this needs
neither TensorFlow nor Keras.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.choices import Runtime
from landslide_tf.errors import ModelError, RunError
from landslide_tf.metadata import FILE_NAME, ModelMetadata
from landslide_tf.serving.conversion import ARITHMETIC, FILES, reason

Shape = tuple[int | None, ...]
Specs = Mapping[str, tuple[Shape | None, np.dtype[Any]]]

# The runtimes of each kind of file, the one that is taken first in front.
_OF_SUFFIX: dict[str, tuple[Runtime, ...]] = {
    ".onnx": ("onnxruntime", "openvino"),
    ".xml": ("openvino",),
    ".tflite": ("litert",),
}
_MODULES: dict[Runtime, str] = {
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai_edge_litert",
}
_EXTRAS: dict[Runtime, str] = {
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "litert": "litert",
}


@dataclass(frozen=True)
class Engine:
    """A file that a runtime has loaded.

    Attributes:
        inputs: Shape and type of each input by name; None = any size.
        run: From arrays of these types by name to the outputs by name.
    """

    inputs: dict[str, tuple[Shape, np.dtype[Any]]]
    run: Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]


class ConvertedModel:
    """A model file of another runtime: a function from named arrays to named arrays.

    Attributes:
        path: The file.
        folder: The folder that holds it and its `model.json`.
        metadata: What `model.json` says.
        input_shapes: (batch, height, width, channels) by name; None = any.
        runtime: What runs it.

    Example:
        >>> import keras
        >>> from landslide_tf import serving
        >>> image = keras.Input((None, None, 3), name="image")
        >>> scores = keras.layers.Conv2D(1, 1, activation="sigmoid")(image)
        >>> model = keras.Model(image, scores)
        >>> path = serving.export(model, "onnx", format="onnx")
        >>> loaded = serving.load("onnx")
        >>> type(loaded).__name__, loaded.runtime, loaded.input_shapes
        ('ConvertedModel', 'onnxruntime', {'image': (None, None, None, 3)})
        >>> loaded({"image": [[[[20, 90, 60]]]]})["probabilities"].shape
        (1, 1, 1, 1)
    """

    def __init__(self, path: Path, runtime: Runtime | None = None) -> None:
        self.path, self.folder = path, path.parent
        self.runtime = _runtime(path, runtime)
        self.metadata = ModelMetadata.read(self.folder)
        load = {
            "onnxruntime": _onnxruntime,
            "openvino": _openvino,
            "litert": _litert,
        }[self.runtime]
        try:
            self._engine = load(path)
        except Exception as error:  # each runtime has classes of its own, some plain
            raise RunError(
                f"`{path}` cannot be loaded by {self.runtime}: {reason(error)}"
            ) from error
        self.input_shapes = {
            name: shape for name, (shape, _) in sorted(self._engine.inputs.items())
        }

    @property
    def files(self) -> list[Path]:
        """The files that the model is read from."""
        found = [self.path, self.folder / FILE_NAME]
        if self.path.suffix == ".xml":  # OpenVINO's weights lie beside its graph
            found.append(self.path.with_suffix(".bin"))
        return found

    def __call__(self, inputs: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
        """Runs the model.

        Args:
            inputs: One array a name, (batch, height, width, channels), raw units.

        Returns:
            One array an output, as a rule `probabilities` (batch, height, width,
            classes), float32 in [0, 1].

        Raises:
            ModelError: If a name is missing or unknown, a shape does not fit, or the
                runtime refuses a value.
        """
        arrays = fitting_arrays(inputs, self._engine.inputs, self.path)
        sizes = {array.shape[:3] for array in arrays.values() if array.ndim == 4}
        if len(sizes) > 1:
            raise ModelError(
                f"the inputs of `{self.path}` must be of one size, received "
                f"{ {name: array.shape for name, array in arrays.items()} }."
            )
        try:
            return self._engine.run(arrays)
        except Exception as error:  # each runtime has classes of its own, some plain
            raise ModelError(
                f"`{self.path}` cannot be run by {self.runtime}: {reason(error)}"
            ) from error


def fitting_arrays(
    inputs: Mapping[str, ArrayLike], known: Specs, model: Path | str
) -> dict[str, NDArray[Any]]:
    """Returns inputs as arrays of the types that a model takes.

    Args:
        inputs: One array a name.
        known: Shape and type of each input that the model has; no shape where the
            model itself checks it.
        model: Its file, folder or address, for messages.

    Returns:
        Contiguous arrays by name.

    Raises:
        ModelError: If a name is missing or unknown, a shape does not fit, or a value is
            no whole number where one is needed.
    """
    if set(inputs) != set(known):
        raise ModelError(
            f"`{model}` takes the inputs {listed(known)}, received "
            f"{listed(inputs)}: pass exactly those."
        )
    arrays = {}
    for name, (shape, dtype) in known.items():
        array = _array(inputs[name], dtype, name)
        if shape is not None and not _fits(array.shape, shape):
            raise ModelError(
                f"input `{name}` of `{model}` must have the shape {shape} "
                f"(None = any, at least 1), received {array.shape}."
            )
        arrays[name] = array
    return arrays


def model_file(folder: Path) -> Path | None:
    """Returns the file of another runtime in a version's folder, if there is one."""
    return next((folder / n for n in FILES.values() if (folder / n).is_file()), None)


def is_model_file(path: Path) -> bool:
    """Says whether a path names a file that one of the runtimes reads."""
    return path.suffix in _OF_SUFFIX and path.is_file()


def _runtime(path: Path, wanted: Runtime | None) -> Runtime:
    if path.suffix not in _OF_SUFFIX:
        raise RunError(f"`{path}` must end in {', '.join(_OF_SUFFIX)}.")
    able = _OF_SUFFIX[path.suffix]
    if wanted is not None and wanted not in able:
        named = f"one of {', '.join(get_args(Runtime))}"
        if wanted in get_args(Runtime):
            named = " or ".join(f"`{name}`" for name in able)
        raise RunError(f"`{path}` needs the runtime {named}, received `{wanted}`.")
    for name in able if wanted is None else (wanted,):
        if find_spec(_MODULES[name]) is not None:
            return name
    extra = _EXTRAS[wanted or able[0]]
    raise RunError(
        f"`{path}` needs the package `{_MODULES[wanted or able[0]]}`: pip install "
        f"'landslide_tf[{extra}]'."
    )


def _fits(found: tuple[int, ...], wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(
        size > 0 and limit in (None, size)
        for size, limit in zip(found, wanted, strict=True)
    )


def _array(value: ArrayLike, wanted: np.dtype[Any], name: str) -> NDArray[Any]:
    """Returns a value as the type that a model takes, where it can hold it."""
    # As objects: NumPy's own texts lose zero bytes at the end of a file.
    array = np.asarray(value, object if wanted.kind == "O" else None)
    with np.errstate(invalid="ignore"):  # NaN as a whole number, refused below
        found = np.asarray(array, wanted, order="C")
    if wanted.kind in "iu" and not np.array_equal(found, array):
        raise ModelError(
            f"input `{name}` must hold whole numbers that {wanted} can hold, received "
            f"others as {array.dtype}."
        )
    return found


def listed(names: Iterable[str]) -> str:
    """Returns names in backticks, for a message."""
    return ", ".join(f"`{n}`" for n in sorted(names)) or "none"


def _onnxruntime(path: Path) -> Engine:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=onnxruntime.get_available_providers()
    )
    types = {"tensor(float)": np.float32, "tensor(int32)": np.int32}
    for given in session.get_inputs():
        if given.type not in types:
            raise ValueError(f"its input `{given.name}` is of the type {given.type}")
    inputs = {
        i.name: (
            tuple(size if isinstance(size, int) else None for size in i.shape),
            np.dtype(types[i.type]),
        )
        for i in session.get_inputs()
    }
    outputs = [output.name for output in session.get_outputs()]

    def run(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return dict(zip(outputs, session.run(outputs, arrays), strict=True))

    return Engine(inputs, run)


def _openvino(path: Path) -> Engine:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    entry = list(ARITHMETIC)
    # Without it a processor with bfloat16 units computes with eight bits of precision.
    kind = model.get_rt_info(entry).value if model.has_rt_info(entry) else "f32"
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": kind})
    inputs = {
        port.any_name: (
            tuple(
                None if size.is_dynamic else size.get_length()
                for size in port.partial_shape
            ),
            np.dtype(port.element_type.to_dtype()),
        )
        for port in compiled.inputs
    }

    def run(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        found = compiled(arrays)
        return {port.any_name: np.array(found[port]) for port in compiled.outputs}

    return Engine(inputs, run)


def _litert(path: Path) -> Engine:
    from ai_edge_litert.interpreter import Interpreter

    # It takes one thread by itself, where the other runtimes take every processor.
    interpreter = Interpreter(model_path=str(path), num_threads=os.cpu_count())
    runner = interpreter.get_signature_runner()
    inputs = {
        name: (
            tuple(
                None if size < 0 else int(size) for size in detail["shape_signature"]
            ),
            np.dtype(detail["dtype"]),
        )
        for name, detail in runner.get_input_details().items()
    }

    def run(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {name: np.array(value) for name, value in runner(**arrays).items()}

    return Engine(inputs, run)

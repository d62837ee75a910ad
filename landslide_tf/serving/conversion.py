"""A model's graph in the formats of other runtimes: ONNX, OpenVINO and LiteRT.

Apart from `runtimes`, which loads and runs what this module writes.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from landslide_tf.array_types import FloatArray, IntArray, Tensor
from landslide_tf.choices import OtherFormat, Precision
from landslide_tf.errors import ModelError, first_line
from landslide_tf.metadata import ModelMetadata

if TYPE_CHECKING:
    import onnx
    import tensorflow as tf

Arrays = Mapping[str, FloatArray | IntArray]

FILES: dict[OtherFormat, str] = {
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "litert": "model.tflite",
    "deepness": "deepness.onnx",  # of the QGIS plug-in, with inputs of its own
}
PRECISIONS: dict[OtherFormat, tuple[Precision, ...]] = {
    "onnx": ("float32", "float16", "int8"),
    "openvino": ("float32", "float16", "bfloat16", "int8"),
    "litert": ("float32", "float16", "int8"),
    "deepness": ("float32", "float16", "int8"),
}
# What each format is written with, by the name of its extra.
_NEEDED: dict[OtherFormat, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "openvino": ("openvino", "onnx", "onnxruntime", "tf2onnx"),
    "litert": ("ai_edge_litert",),
    "deepness": ("onnx", "onnxruntime", "tf2onnx"),
}
_EXTRAS = {"deepness": "onnx"}
# Entry of an OpenVINO file with the type its arithmetic is to have.
ARITHMETIC = ("runtime_options", "INFERENCE_PRECISION_HINT")
_OPSET = 18  # the newest that the converter writes
_SIGNATURE = "serving_default"


def check_format(format: OtherFormat, precision: Precision) -> None:
    """Refuses a format that cannot be written here, or not in a precision.

    Args:
        format: The format.
        precision: Of weights and arithmetic.

    Raises:
        ModelError: If there is no such format, it has no such precision, or a package
            is missing.
    """
    if format not in FILES:
        raise ModelError(
            f"`format` must be one of saved_model, {', '.join(FILES)}, received "
            f"`{format}`."
        )
    if precision not in PRECISIONS[format]:
        raise ModelError(
            f"Format `{format}` has the precisions {', '.join(PRECISIONS[format])}, "
            f"received `{precision}`."
        )
    missing = [name for name in _NEEDED[format] if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"Format `{format}` needs {', '.join(f'`{n}`' for n in missing)}: "
            f"pip install 'landslide_tf[{_EXTRAS.get(format, format)}]'."
        )


def convert(
    serve: tf.types.experimental.PolymorphicFunction,
    folder: Path,
    format: OtherFormat,
    precision: Precision = "float32",
    calibration: Sequence[Arrays] = (),
) -> Path:
    """Writes a function in the format of another runtime.

    Args:
        serve: `tf.function` with an input signature of one dictionary of named tensors;
            it returns a dictionary of tensors.
        folder: An existing folder.
        format: The format.
        precision: Of weights and, where the runtime has it, of arithmetic.
        calibration: Inputs by name from which `int8` takes the ranges of values.

    Returns:
        The file. OpenVINO's has its weights beside it (`model.bin`).

    Raises:
        ModelError: If the format has no such operation as the network.
    """
    target = folder / FILES[format]
    try:
        # Converters warn of each other's versions.
        with warnings.catch_warnings(action="ignore"):
            _write(serve, target, format, precision, calibration)
    except Exception as error:  # each converter has classes of its own, some plain
        raise ModelError(
            f"the network cannot be written as `{format}`: {reason(error)}"
        ) from error
    return target


def reason(error: BaseException) -> str:
    """Returns the line that says why; OpenVINO first names lines of its own source.

    Args:
        error: An exception of a converter or a runtime.

    Returns:
        The line.
    """
    places = ("Exception from ", "Check '")
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(places)]
    return told[0] if told else first_line(error)


def _write(
    serve: tf.types.experimental.PolymorphicFunction,
    target: Path,
    format: OtherFormat,
    precision: Precision,
    calibration: Sequence[Arrays],
) -> None:
    if format == "litert":
        target.write_bytes(_litert(serve, precision, calibration))
    elif format in ("onnx", "deepness"):
        _save_onnx(_onnx(serve, precision, calibration), target)
    else:
        # OpenVINO makes 16 bits of float32 itself.
        own: Precision = "int8" if precision == "int8" else "float32"
        _write_openvino(_onnx(serve, own, calibration), target, precision)


def deepness_function(
    serve: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    specs: Mapping[str, tf.TensorSpec],
    size: int,
) -> tf.types.experimental.PolymorphicFunction:
    """Returns a model as the QGIS plug-in Deepness calls it.

    The plug-in has one input, channels first, values divided by 255, of a fixed
    square, and shows the first output.

    Args:
        serve: From inputs by name to `probabilities` (batch, height, width, classes).
        specs: The inputs by name, `image` and where it has one `factors`.
        size: Height and width in pixels.

    Returns:
        `tf.function` from `input` (batch, bands + factors, size, size), the values
        divided by 255, to `probabilities` (batch, classes, size, size).
    """
    import tensorflow as tf

    names = sorted(specs, key=["image", "factors"].index)
    channels = [int(specs[name].shape[-1]) for name in names]
    spec = tf.TensorSpec((None, sum(channels), size, size), tf.float32, name="input")

    @tf.function(input_signature=[{"input": spec}], autograph=False)
    def run(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        values = tf.transpose(inputs["input"], (0, 2, 3, 1)) * 255.0
        parts = tf.split(values, channels, axis=-1)
        found = serve(dict(zip(names, parts, strict=True)))["probabilities"]
        return {"probabilities": tf.transpose(found, (0, 3, 1, 2))}

    return run


def add_deepness_entries(path: Path, metadata: ModelMetadata) -> None:
    """Tells the QGIS plug-in Deepness what it asks of an ONNX file.

    Args:
        path: The file, written from a `deepness_function`.
        metadata: The model's metadata.
    """
    import onnx

    model = onnx.load(path)
    entries: dict[str, object] = {
        "model_type": "Segmentor",
        "class_names": {str(i): name for i, name in enumerate(metadata.class_names)},
        "tiles_overlap": 25,
        "seg_thresh": 0.5 if metadata.threshold is None else metadata.threshold,
        "seg_small_segment": 16,
    }
    if metadata.cell_size:
        entries["resolution"] = 100 * sum(metadata.cell_size) / 2  # centimetres
    for key, value in entries.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)
    _save_onnx(model, path)


def _onnx(
    serve: tf.types.experimental.PolymorphicFunction,
    precision: Precision,
    calibration: Sequence[Arrays],
) -> onnx.ModelProto:
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(
        serve, input_signature=serve.input_signature, opset=_OPSET
    )
    _pad_explicitly(model)
    if precision == "float16":
        _halve_weights(model)
    return _onnx_int8(model, calibration) if precision == "int8" else model


def _save_onnx(model: onnx.ModelProto, target: Path) -> None:
    import onnx

    onnx.checker.check_model(model)
    onnx.save(model, target)


def _pad_explicitly(model: onnx.ModelProto) -> None:
    """Replaces "same" padding by numbers where it does not depend on the size.

    ONNX Runtime does not run dilated convolutions that name the padding only.
    """
    from onnx.helper import make_attribute

    for node in model.graph.node:
        found = {a.name: a for a in node.attribute}
        if node.op_type != "Conv" or found.get("auto_pad") is None:
            continue
        side = found["auto_pad"].s
        kernel = list(found["kernel_shape"].ints)
        strides, dilations = (
            list(found[name].ints) if name in found else [1] * len(kernel)
            for name in ("strides", "dilations")
        )
        if side not in (b"SAME_UPPER", b"SAME_LOWER") or max(strides) > 1:
            continue
        both = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        less = [total // 2 for total in both]
        more = [total - part for total, part in zip(both, less, strict=True)]
        pads = less + more if side == b"SAME_UPPER" else more + less
        for name in ("auto_pad", "pads"):
            if name in found:
                node.attribute.remove(found[name])
        node.attribute.append(make_attribute("pads", pads))


def _halve_weights(model: onnx.ModelProto) -> None:
    """Stores weights in 16 bits; ONNX Runtime widens them once, when it loads them.

    Its converter of the arithmetic as well breaks graphs of unknown sizes.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or len(weight.dims) < 2:
            continue  # vectors: statistics of batch normalisation have no such range
        name, values = weight.name, numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(values, f"{name}_float16"))
        casts.append(
            helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT)
        )
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


def _onnx_int8(
    model: onnx.ModelProto, calibration: Sequence[Arrays]
) -> onnx.ModelProto:
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = iter(calibration)

        def get_next(self) -> dict[str, FloatArray | IntArray] | None:
            batch = next(self._batches, None)
            return None if batch is None else dict(batch)

    with tempfile.TemporaryDirectory() as folder:
        plain, made = Path(folder, "plain.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, plain)
        quantization.quantize_static(
            str(plain),
            str(made),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv"],
        )
        return onnx.load(made)


def _write_openvino(model: onnx.ModelProto, target: Path, precision: Precision) -> None:
    import onnx
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, FILES["onnx"])
        onnx.save(model, source)
        made = openvino.convert_model(source)
    # A processor with bfloat16 units takes them for every file that says nothing.
    made.set_rt_info("bf16" if precision == "bfloat16" else "f32", list(ARITHMETIC))
    openvino.save_model(made, target, compress_to_fp16=precision == "float16")


def _litert(
    serve: tf.types.experimental.PolymorphicFunction,
    precision: Precision,
    calibration: Sequence[Arrays],
) -> bytes:
    import tensorflow as tf

    concrete = serve.get_concrete_function()
    module = tf.Module()
    module.weights = list(concrete.variables)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={_SIGNATURE: concrete})
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[_SIGNATURE]
        )
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":

            def batches() -> Iterator[tuple[str, Arrays]]:
                for batch in calibration:
                    yield _SIGNATURE, batch

            converter.representative_dataset = batches
        return bytes(converter.convert())

"""The request that TensorFlow Serving runs before a version takes traffic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from landslide_tf.array_types import Shape
from landslide_tf.metadata import ModelMetadata
from landslide_tf.serving import regions
from landslide_tf.serving.served_model import SIGNATURE

if TYPE_CHECKING:
    import keras

FILE_NAME = "tf_serving_warmup_requests"


def write(metadata: ModelMetadata, model: keras.Model, size: int, folder: Path) -> Path:
    """Writes a TFRecord file with one `PredictionLog`: one example of zeros.

    Args:
        metadata: Gives the model's name.
        model: Its inputs give names, types and channels.
        size: Height and width in pixels, for a model of any size.
        folder: The export's `assets.extra`.

    Returns:
        The file.
    """
    import tensorflow as tf

    first = int(regions.some_indices(model, 1)[0]) if regions.has_regions(model) else 0
    inputs = {
        tensor.name: tf.make_tensor_proto(  # one value and the shape: a few bytes
            first if tensor.name == regions.INPUT else 0,
            dtype=tensor.dtype,
            shape=concrete_shape(tensor.shape, 1, (size, size)),
        ).SerializeToString()
        for tensor in model.inputs
    }
    path = folder / FILE_NAME
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(_prediction_log(metadata.name, inputs))
    return path


def concrete_shape(shape: Shape, batch: int, size: tuple[int, int]) -> tuple[int, ...]:
    """Returns (batch, height, width, channels) with unknown sizes filled in."""
    filled = (batch, *size)
    return tuple(filled[i] if s is None else s for i, s in enumerate(shape))


def _prediction_log(name: str, inputs: dict[str, bytes]) -> bytes:
    """Encodes TensorFlow Serving's `PredictionLog` around a `PredictRequest`.

    By hand, because the package that holds the generated classes is large and bound
    to TensorFlow versions, and the message is four nested fields (files
    prediction_log.proto, predict.proto and model.proto of TensorFlow Serving).
    """
    model_spec = _field(1, name.encode()) + _field(3, SIGNATURE.encode())
    request = _field(1, model_spec)
    for key, tensor in inputs.items():
        request += _field(2, _field(1, key.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number: int, payload: bytes) -> bytes:
    """Encodes a protocol buffer field of the wire type "length and bytes"."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])

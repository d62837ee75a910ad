"""The request that TensorFlow Serving runs before it takes traffic."""

from __future__ import annotations

from pathlib import Path

from landslide_tf.serving.network import REGION, Network, concrete_shape
from landslide_tf.serving.served_model import SIGNATURE

WARM_UP = "tf_serving_warmup_requests"


def write_warm_up(network: Network, size: int, path: Path) -> None:
    """Writes a TFRecord file with one `PredictionLog`: one example of zeros.

    Args:
        network: Gives the model's name; its inputs give names, types and channels.
        size: Height and width in pixels, for a model of any size.
        path: The file.
    """
    import tensorflow as tf

    inputs = {
        name: tf.make_tensor_proto(  # one value and the shape: a few bytes
            max(network.regions) if name == REGION else 0,
            dtype=tensor.dtype,
            shape=concrete_shape(tensor.shape, 1, (size, size)),
        ).SerializeToString()
        for name, tensor in network.inputs.items()
    }
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(_prediction_log(network.metadata.name, inputs))


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

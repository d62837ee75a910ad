"""Requests in the form of TensorFlow Serving's warm-up files.

Encoded by hand, because the package that holds the generated classes is large and bound
to TensorFlow versions, and the message is four nested fields (files
prediction_log.proto, predict.proto and model.proto of TensorFlow Serving).
"""

from __future__ import annotations

from collections.abc import Mapping


def prediction_log(name: str, signature: str, inputs: Mapping[str, bytes]) -> bytes:
    """Encodes a `PredictionLog` around a `PredictRequest`.

    Args:
        name: The model's.
        signature: The signature's.
        inputs: A `TensorProto` by name.

    Returns:
        The message.
    """
    request = _field(1, _field(1, name.encode()) + _field(3, signature.encode()))
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

"""How requests reach a server that speaks as TensorFlow Serving does: gRPC and REST.

Apart from the client, which knows what to ask; this knows how it is written and sent.
REST needs neither TensorFlow nor a package beside the standard library.
"""

from __future__ import annotations

import base64
import http.client
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import LandslideTFError, ModelError, RunError
from landslide_tf.serving.address import Address
from landslide_tf.serving.served_model import sentence
from landslide_tf.words import counted

Arrays = dict[str, NDArray[Any]]
_Answer = TypeVar("_Answer")

# Strings are the bytes of a file, or text.
_DTYPES = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_UINT8": "uint8",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_BOOL": "bool",
    "DT_STRING": "object",
}
_STATUS = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_NO_JSON = (json.JSONDecodeError, UnicodeDecodeError, http.client.HTTPException)
_SHOWN = 300  # characters of what a server says
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds


class Signature(NamedTuple):
    """Types of inputs and outputs by name."""

    inputs: dict[str, np.dtype[Any]]
    outputs: dict[str, np.dtype[Any]]


class Served(NamedTuple):
    """What a server says of a model: its version, if it does, and its signatures."""

    version: str | None
    signatures: dict[str, Signature]


class Transport(Protocol):
    """Sends requests, each once."""

    def describe(self) -> Served:
        """Asks for the signatures."""

    def predict(
        self,
        name: str,
        signature: Signature,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
    ) -> Arrays:
        """Asks for some outputs of a signature; servers over REST send all of them."""


class Unavailable(Exception):
    """A server that is not there, or does not take requests now."""


def transport(address: Address, timeout: float) -> Transport:
    """Returns what reaches an address; nothing is sent yet."""
    return Rest(address, timeout) if address.is_rest else Grpc(address, timeout)


def tried(call: Callable[[], _Answer], address: Address, attempts: int) -> _Answer:
    """Calls until there is an answer or an error that another try does not change.

    Pauses are drawn from 0 to a limit that doubles, so that many clients of a server
    that comes back do not return at the same moment.

    Raises:
        ModelError: If there is to be no attempt.
        RunError: If the last attempt has found the server unavailable, too.
    """
    for attempt in range(attempts):
        try:
            return call()
        except Unavailable as error:
            if attempt + 1 == attempts:
                raise RunError(
                    f"`{address}` is not available after "
                    f"{counted(attempts, 'attempt')} ({error}): check host and port, "
                    "and whether the server has loaded the model."
                ) from error
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
        time.sleep(random.uniform(0, longest))
    raise ModelError(f"`attempts` must be at least 1, received {attempts}.")


def _failure(
    address: Address, status: str, said: str, timeout: float
) -> LandslideTFError | Unavailable:
    """Returns the error of a status of gRPC."""
    said = sentence(said)[:_SHOWN]
    if status == "UNAVAILABLE":
        return Unavailable(said)
    if status == "INVALID_ARGUMENT":
        return ModelError(f"`{address}` refuses its inputs: {said}")
    if status == "DEADLINE_EXCEEDED":
        return RunError(
            f"`{address}` gave no answer within {timeout:g} s: send fewer or smaller "
            "tiles at once, or raise `timeout`."
        )
    if status in ("NOT_FOUND", "FAILED_PRECONDITION"):
        return RunError(f"`{address}` is not served there: {said}")
    return RunError(f"`{address}` failed ({status}): {said}")


class Grpc:
    """The PredictionService of TensorFlow Serving.

    Args:
        address: Where.
        timeout: Seconds for an answer.

    Raises:
        RunError: If the packages of gRPC are not installed.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        try:
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc
        except ImportError as error:
            raise RunError(
                f"`{address}` needs the package `tensorflow-serving-api`: pip install "
                "'landslide_tf[serving]', or name the server's REST port as http://…"
            ) from error
        self._address, self._timeout, self._error = address, timeout, grpc.RpcError
        options = [
            ("grpc.max_send_message_length", -1),  # a tile is larger than 4 MB
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_retries", 0),  # `tried` does, with its pauses
        ]
        if address.scheme == "grpcs":
            trusted = grpc.ssl_channel_credentials()
            channel = grpc.secure_channel(address.host, trusted, options)
        else:
            channel = grpc.insecure_channel(address.host, options)
        self._service = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def describe(self) -> Served:
        """Asks for the signatures."""
        from tensorflow.core.framework import types_pb2
        from tensorflow_serving.apis import get_model_metadata_pb2 as messages

        request = messages.GetModelMetadataRequest(
            model_spec=self._spec(), metadata_field=["signature_def"]
        )
        answer = self._call(self._service.GetModelMetadata, request)
        table = messages.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(table)

        def dtypes(tensors: Mapping[str, Any]) -> dict[str, np.dtype[Any]]:
            return {
                name: _dtype(types_pb2.DataType.Name(info.dtype), self._address)
                for name, info in tensors.items()
            }

        version = answer.model_spec.version.value
        return Served(
            str(version) if version else None,
            {
                name: Signature(dtypes(found.inputs), dtypes(found.outputs))
                for name, found in table.signature_def.items()
                if not name.startswith("__")
            },
        )

    def predict(
        self,
        name: str,
        signature: Signature,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
    ) -> Arrays:
        """Asks for some outputs of a signature."""
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest(
            model_spec=self._spec(name), output_filter=outputs
        )
        for key, array in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
        answer = self._call(self._service.Predict, request)
        return {key: tf.make_ndarray(value) for key, value in answer.outputs.items()}

    def _spec(self, signature: str = "") -> object:
        """Returns the message that names model, version or label, and signature."""
        from tensorflow_serving.apis import model_pb2

        spec = model_pb2.ModelSpec(name=self._address.name, signature_name=signature)
        version = self._address.version
        if version is not None and version.isdecimal():
            spec.version.value = int(version)
        elif version is not None:
            spec.version_label = version
        return spec

    def _call(self, method: Callable[..., _Answer], request: object) -> _Answer:
        try:
            return method(request, timeout=self._timeout)
        except self._error as error:
            status, said = error.code().name, error.details() or ""
            raise _failure(self._address, status, said, self._timeout) from error


class Rest:
    """The REST interface of TensorFlow Serving.

    Args:
        address: Where.
        timeout: Seconds for an answer.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self._address, self._timeout = address, timeout

    @cached_property
    def _url(self) -> str:
        address, version = self._address, self._address.version
        url = f"{address.scheme}://{address.host}/v1/models/{address.name}"
        if version is None:
            return url
        return f"{url}/{'versions' if version.isdecimal() else 'labels'}/{version}"

    def describe(self) -> Served:
        """Asks for the signatures."""
        answer = self._call("/metadata", None)
        try:
            table = answer["metadata"]["signature_def"]["signature_def"]

            def dtypes(tensors: Mapping[str, Any]) -> dict[str, np.dtype[Any]]:
                return {
                    name: _dtype(info["dtype"], self._address)
                    for name, info in tensors.items()
                }

            signatures = {
                name: Signature(dtypes(found["inputs"]), dtypes(found["outputs"]))
                for name, found in table.items()
                if not name.startswith("__")
            }
            version = answer.get("model_spec", {}).get("version")
        except (AttributeError, KeyError, TypeError) as error:
            raise self._foreign() from error
        return Served(version, signatures)

    def predict(
        self,
        name: str,
        signature: Signature,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
    ) -> Arrays:
        """Asks for the outputs of a signature."""
        given = {key: _as_json(array.tolist()) for key, array in inputs.items()}
        body = {"signature_name": name, "inputs": given}
        answer = self._call(":predict", json.dumps(body).encode())
        found = answer.get("outputs")
        if found is None:
            raise self._foreign()
        if not isinstance(found, dict):  # the server drops the name of a lone output
            found = dict.fromkeys(signature.outputs, found)
        return {
            key: np.array(value, signature.outputs[key])
            for key, value in found.items()
            if key in signature.outputs and (not outputs or key in outputs)
        }

    def _call(self, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, body, headers)
        status, said = "", ""
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                content = json.load(answer)
            if isinstance(content, dict):
                return content
            raise self._foreign()
        except urllib.error.HTTPError as error:
            status = _STATUS.get(error.code, f"HTTP {error.code}")
            said = _said(error)
        except TimeoutError:
            status = "DEADLINE_EXCEEDED"
        except OSError as error:  # URLError among them
            reason = getattr(error, "reason", error)
            gone = isinstance(reason, ConnectionError)
            status = "UNAVAILABLE" if gone else "no connection"
            if isinstance(reason, TimeoutError):
                status = "DEADLINE_EXCEEDED"
            said = str(reason)
        except _NO_JSON as error:
            raise self._foreign() from error
        raise _failure(self._address, status, said, self._timeout)

    def _foreign(self) -> RunError:
        return RunError(
            f"`{self._address}` does not answer as TensorFlow Serving does: name its "
            "REST port, 8501 as a rule."
        )


def _said(error: urllib.error.HTTPError) -> str:
    """Returns the message of an answer that is an error."""
    with error:
        text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text or error.reason


def _dtype(name: str, address: Address) -> np.dtype[Any]:
    if name not in _DTYPES:
        raise RunError(
            f"`{address}` takes or gives values of type {name}, which no export of "
            "this package has."
        )
    return np.dtype(_DTYPES[name])


def _as_json(value: object) -> object:
    """Returns nested lists with files as JSON has them; NaN is written as such."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, list) and value and isinstance(value[0], list | bytes):
        return [_as_json(item) for item in value]
    return value

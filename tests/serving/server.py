"""A server of one SavedModel for tests: gRPC and REST, over TensorFlow's C++ session.

It speaks the protocols of TensorFlow Serving (`PredictionService`, and REST as
`v1/models/…:predict`) and runs neither Keras nor this package. As a command it prints
its two ports and serves until its input ends:

    python -m tests.serving.server FOLDER/VERSION
"""

import base64
import contextlib
import json
import os
import re
import ssl
import subprocess
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

LARGEST = 1 << 30  # bytes of a message
THREADS = 32


class Model:
    """A SavedModel in a session of its own.

    Args:
        folder: The version's folder.
    """

    def __init__(self, folder):
        v1 = tf.compat.v1
        self.version = int(Path(folder).name)
        self._session = v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            graph = v1.saved_model.load(self._session, ["serve"], str(folder))
        self.signatures = dict(graph.signature_def)
        self._calls = {}
        self._lock = threading.Lock()

    def _call(self, name, outputs):
        """Returns a prepared call of a signature; `run` would look everything up."""
        with self._lock:
            if (name, outputs) not in self._calls:
                signature = self.signatures[name]
                order = sorted(signature.inputs)
                function = self._session.make_callable(
                    [signature.outputs[key].name for key in outputs],
                    [signature.inputs[key].name for key in order],
                )
                self._calls[name, outputs] = order, function
            return self._calls[name, outputs]

    def describe(self):
        """Returns the answer to a question for metadata."""
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.version.value = self.version
        table = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in self.signatures.items():
            table.signature_def[name].CopyFrom(signature)
        answer.metadata["signature_def"].Pack(table)
        return answer

    def predict(self, name, inputs, wanted=()):
        """Returns the outputs of a signature by name.

        Raises:
            InvalidArgumentError: If the request does not fit the signature.
        """
        refused = tf.errors.InvalidArgumentError
        if name not in self.signatures:
            raise refused(None, None, f"no signature {name}")
        signature = self.signatures[name]
        outputs = tuple(wanted) or tuple(sorted(signature.outputs))
        if set(inputs) != set(signature.inputs) or set(outputs) - set(
            signature.outputs
        ):
            raise refused(None, None, f"{name} takes {sorted(signature.inputs)}")
        for key, array in inputs.items():
            dtype = tf.dtypes.as_dtype(signature.inputs[key].dtype)
            found = tf.dtypes.as_dtype(
                array.dtype if array.dtype.kind != "S" else object
            )
            if found != dtype:
                raise refused(None, None, f"{key} must be {dtype.name}")
        order, call = self._call(name, outputs)
        return dict(zip(outputs, call(*(inputs[key] for key in order)), strict=True))


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`Predict` and `GetModelMetadata` of TensorFlow Serving, for any name."""

    def __init__(self, model):
        self.model = model

    def Predict(self, request, context):
        """Answers one request."""
        self._check(request.model_spec, context)
        try:
            inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
            name = request.model_spec.signature_name or "serving_default"
            found = self.model.predict(name, inputs, request.output_filter)
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error)[:1000])
        answer = predict_pb2.PredictResponse()
        for key, array in found.items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(array))
        return answer

    def GetModelMetadata(self, request, context):
        """Says what the signatures are."""
        self._check(request.model_spec, context)
        return self.model.describe()

    def _check(self, spec, context):
        version = str(spec.version.value) if spec.HasField("version") else ""
        if (version or spec.version_label) not in ("", str(self.model.version)):
            context.abort(grpc.StatusCode.NOT_FOUND, f"no servable for {spec.name}")


def handler(model):
    """Returns the class that answers `/v1/models/NAME[/versions/VERSION]`.

    `POST …:predict` and `GET …/metadata`.
    """

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            said = json_format.MessageToDict(
                model.describe(), preserving_proto_field_name=True
            )
            self._answer(lambda: said)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(lambda: {"outputs": rest(model, json.loads(body))})

        def _answer(self, make):
            version = re.search(r"/(?:versions|labels)/([^/:]+)", self.path)
            try:
                if version is not None and version[1] != str(model.version):
                    status, answer = 404, {"error": f"no servable {version[1]}"}
                else:
                    status, answer = 200, make()
            except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
                status, answer = 400, {"error": str(error)[:1000]}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def rest(model, request):
    """Runs a request in columns (`inputs`), files as `{"b64": …}`.

    A lone output has no name, as in TensorFlow Serving.
    """
    name = request.get("signature_name", "serving_default")
    signature = model.signatures.get(name)
    inputs = {}
    for key, value in request["inputs"].items():
        known = signature.inputs.get(key) if signature else None
        dtype = tf.dtypes.as_dtype(known.dtype).as_numpy_dtype if known else None
        inputs[key] = np.array(decoded(value), dtype)
    found = model.predict(name, inputs)
    outputs = {key: array.tolist() for key, array in found.items()}
    return outputs if len(outputs) > 1 else outputs.popitem()[1]


def decoded(value):
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return [decoded(v) for v in value] if isinstance(value, list) else value


class Server:
    """Serves a version on two free ports of this machine until it is closed.

    Args:
        folder: The version's folder.
        service: Class of the gRPC service.
        certificate: Of `trustme`, for encrypted connections.
    """

    def __init__(self, folder, service=PredictionService, certificate=None):
        model = Model(folder)
        options = [
            ("grpc.max_receive_message_length", LARGEST),
            ("grpc.max_send_message_length", LARGEST),
        ]
        self._grpc = grpc.server(futures.ThreadPoolExecutor(THREADS), options=options)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            service(model), self._grpc
        )
        self._http = ThreadingHTTPServer(("localhost", 0), handler(model))
        if certificate is None:
            self.grpc_port = self._grpc.add_insecure_port("localhost:0")
        else:
            key = certificate.private_key_pem.bytes()
            chain = certificate.cert_chain_pems[0].bytes()
            credentials = grpc.ssl_server_credentials([(key, chain)])
            self.grpc_port = self._grpc.add_secure_port("localhost:0", credentials)
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            certificate.configure_cert(context)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._grpc.start()
        self.rest_port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        """Stops both."""
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(None).wait()


@contextlib.contextmanager
def running(folder, **environment):
    """Runs a server in a process of its own.

    Args:
        folder: The version's folder.
        **environment: Variables of the process beside ours.

    Yields:
        The process, its gRPC stub and the address of its REST interface.
    """
    command = [sys.executable, "-m", "tests.serving.server", str(folder)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        grpc_port, rest_port = json.loads(process.stdout.readline())
        options = [
            ("grpc.max_receive_message_length", LARGEST),
            ("grpc.max_send_message_length", LARGEST),
        ]
        address = f"localhost:{grpc_port}"
        with grpc.insecure_channel(address, options=options) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            yield process, stub, f"http://localhost:{rest_port}/v1/models/m:predict"
        process.stdin.close()


def asked(stub, signature, inputs, wanted=()):
    """Sends a request over gRPC.

    Args:
        stub: Of `running`.
        signature: Its name.
        inputs: Arrays or finished protocol buffers by name.
        wanted: Names of outputs; none = all.

    Returns:
        Arrays by name.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.model_spec.signature_name = signature
    request.output_filter.extend(wanted)
    for name, value in inputs.items():
        if not isinstance(value, tensor_pb2.TensorProto):
            value = tf.make_tensor_proto(value)
        request.inputs[name].CopyFrom(value)
    answer = stub.Predict(request, timeout=300)
    return {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}


def main():
    """Serves until the standard input ends."""
    server = Server(sys.argv[1])
    print(json.dumps([server.grpc_port, server.rest_port]), flush=True)
    sys.stdin.read()
    server.close()


if __name__ == "__main__":
    main()

"""Asking a model on a server: values, tiles, regions, tries again, errors."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds
import trustme

pytest.importorskip("tensorflow_serving", reason="the extra `serving` is not installed")

import grpc

from landslide_tf import serving
from landslide_tf.errors import DataError, ModelError, RunError
from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.models import tsmu
from tests.models.tsmu_small import call, small
from tests.serving.conftest import toy_metadata
from tests.serving.server import PredictionService, Server

BOTH = ("grpc", "http")
STEP = 1 / 250


@contextlib.contextmanager
def addresses(version, service=PredictionService):
    """Serves a version; yields its address by scheme."""
    server = Server(version, service)
    try:
        yield {
            "grpc": f"grpc://localhost:{server.grpc_port}/m",
            "http": f"http://localhost:{server.rest_port}/m",
        }
    finally:
        server.close()


def pointwise(classes=1, name="pointwise"):
    """A network without neighbours: the answer to a tile is that to the whole."""
    image = keras.Input((None, None, 3), name="image")
    scaled = keras.layers.Rescaling(1 / 255)(image)
    last = "softmax" if classes > 1 else "sigmoid"
    return keras.Model(image, keras.layers.Conv2D(classes, 1, activation=last)(scaled))


def picture(height=50, width=70):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype("u1")


@pytest.fixture(scope="module")
def network():
    return pointwise()


@pytest.fixture(scope="module")
def version(network, tmp_path_factory):
    return serving.export(network, tmp_path_factory.mktemp("pointwise"), warm_up=None)


@pytest.fixture(scope="module")
def served(version):
    with addresses(version) as found:
        yield found


@pytest.fixture(scope="module")
def toy_served(exported):
    with addresses(exported / "1") as found:
        yield found


@pytest.mark.parametrize("scheme", BOTH)
def test_one_request_as_it_is(toy_served, exported, scheme):
    client = serving.Client(toy_served[scheme])
    random = np.random.default_rng(1)
    inputs = {
        "image": random.uniform(0, 255, (2, 9, 8, 3)),
        "factors": random.uniform(0, 1, (2, 9, 8, 2)),
    }
    wanted = serving.load(exported)
    assert client.signatures == wanted.signatures
    found = client(inputs)
    np.testing.assert_allclose(
        found["probabilities"], wanted(inputs)["probabilities"], atol=1e-6
    )
    inputs["image"] = inputs["image"].round()
    small = client(inputs, "predict_uint8", outputs=["mask"])
    assert list(small) == ["mask"] and small["mask"].dtype == np.uint8
    np.testing.assert_array_equal(
        small["mask"], wanted(inputs, "predict_uint8")["mask"]
    )


@pytest.mark.parametrize("scheme", BOTH)
def test_an_image_is_cut_and_its_answers_blended(served, network, scheme):
    """Also of windows in several batches; the wire takes the type of the image."""
    client, image = serving.Client(served[scheme]), picture()
    wanted = np.asarray(network(image[None].astype("f4")))[0, ..., 0]
    how = {"window": 32, "overlap": 8, "batch": 2}
    found = client.landslide(image, **how)
    assert found.shape == (50, 70) and found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=STEP)
    assert np.abs(found - wanted).max() > 1e-5
    np.testing.assert_allclose(
        client.landslide(image.astype("f4"), **how), wanted, atol=1e-5
    )
    exact = serving.Client(served[scheme] + "?wire=float32")
    np.testing.assert_allclose(exact.landslide(image, **how), wanted, atol=1e-5)
    holes = image.astype("f4")
    holes[3, 4, 1], holes[40, 60] = np.nan, 1e31
    found = client.landslide(holes, **how)
    assert list(zip(*np.nonzero(np.isnan(found)), strict=True)) == [(3, 4), (40, 60)]
    rest = ~np.isnan(found)
    np.testing.assert_allclose(found[rest], wanted[rest], atol=1e-5)


def test_a_server_without_small_signatures_is_asked_for_numbers(tmp_path):
    model, image = pointwise(3), picture(12, 10)
    metadata = toy_metadata(factors=[], terrain=None, stride=1)
    path = serving.export(
        model, tmp_path, metadata=metadata, signatures=[], warm_up=None
    )
    wanted = np.asarray(model(image[None].astype("f4")))[0, ..., 2]
    with addresses(path) as served:
        for scheme in BOTH:
            client = serving.Client(served[scheme], metadata=path)
            np.testing.assert_allclose(client.landslide(image), wanted, atol=1e-5)
            with pytest.raises(ModelError, match="which of the 3 classes"):
                serving.Client(served[scheme]).landslide(image)


@pytest.mark.integration
@pytest.mark.parametrize("scheme", BOTH)
def test_regions_by_name(tmp_path, scheme):
    model = small("NAD", "ETF")
    metadata = ModelMetadata(
        name="update", builder="tsmu_net",
        arguments={"regions": list(tsmu.regions(model))},
        inputs=[Band(name=f"b{k}") for k in range(6)],
        classes=["background", "landslide"], landslide_class="sigmoid",
    )  # fmt: skip
    path = serving.export(model, tmp_path, metadata=metadata, warm_up=None)
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 6)).astype("u1")
    wanted = call(model, image[None].astype("f4"), [1])[0, ..., 0]
    other = call(model, image[None].astype("f4"), [0])[0, ..., 0]
    assert np.abs(wanted - other).max() > 1e-4
    with addresses(path) as served:
        client = serving.Client(served[scheme], metadata=metadata)
        for name in ("ETF", "eastern temperate forests"):
            found = client.landslide(image, region=name)
            np.testing.assert_allclose(found, wanted, atol=STEP)
        found = client.landslide(image.astype("f4"), region="ETF")
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        with pytest.raises(ModelError, match=r"`region` must be one of .*: MARS"):
            client.landslide(image, region="MARS")
        one = client.pinned("ETF")
        assert one.metadata.arguments["region"] == "ETF"
        found = one.probabilities({"image": image[None].astype("f4")})
        np.testing.assert_allclose(found[0, ..., 0], wanted, atol=1e-5)


@pytest.mark.parametrize("scheme", BOTH)
def test_a_version_that_is_pinned(served, version, scheme):
    client = serving.Client(served[scheme], metadata=version)
    pinned = client.pinned()
    assert pinned.address == served[scheme] + ":1"
    assert pinned.identity != client.identity
    x = np.ones((1, 4, 4, 3), "f4")
    assert pinned.probabilities({"image": x}).shape == (1, 4, 4, 1)
    for other in (":2", ":canary"):
        with pytest.raises(RunError, match="is not served there"):
            serving.Client(served[scheme] + other)({"image": x})


@pytest.mark.parametrize("scheme", BOTH)
def test_what_does_not_fit_is_one_sentence(served, toy_served, version, scheme):
    client = serving.Client(served[scheme])
    with pytest.raises(ModelError, match=r"must be \(batch, height, width, 3\)"):
        client({"image": np.ones((1, 4, 4, 2))})
    with pytest.raises(ModelError, match="inputs `image`, received `picture`"):
        client({"picture": np.ones((1, 4, 4, 3))})
    with pytest.raises(ModelError, match="Did you mean `predict_uint8`"):
        client({"image": np.ones((1, 4, 4, 3))}, "predict_uint")
    with pytest.raises(ModelError, match=r"no output `masks`\. Did you mean `mask`"):
        client({"image": np.ones((1, 4, 4, 3))}, "predict_uint8", outputs=["masks"])
    with pytest.raises(ModelError, match="whole numbers that uint8 can hold"):
        client({"image": np.full((1, 4, 4, 3), np.nan)}, "predict_uint8")
    with pytest.raises(ModelError, match="`factors` of the same height"):
        client.landslide(picture(), factors=np.ones((3, 3, 2)))
    with pytest.raises(DataError, match="`overlap` from 0 to 16"):
        client.landslide(picture(), window=32, overlap=20)
    with pytest.raises(ModelError, match="no signature `by_name`"):
        client.landslide(picture(), region="ETF")
    with pytest.raises(ModelError, match="0 factors: it is of another model"):
        serving.Client(toy_served[scheme], metadata=version).pinned()
    with pytest.raises(ModelError, match="3 classes, of which uint8 answers tell one"):
        address = f"{toy_served[scheme]}?wire=uint8"
        serving.Client(address, metadata=toy_metadata()).pinned()


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8500/m",
        "grpc://localhost/m",
        "grpc://localhost:8500",
        "http://h:1/a/b",
        "grpc://h:1/m?wire=int4",
        "ftp://h:1/m",
    ],
)
def test_addresses_of_another_form(address):
    with pytest.raises(RunError, match=r"must be grpc://HOST:PORT/NAME\[:VERSION\]"):
        serving.Client(address)


def test_no_package_of_grpc_is_one_line(monkeypatch, served):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(RunError, match=r"pip install 'landslide_tf\[serving\]'"):
        serving.Client(served["grpc"])
    assert serving.Client(served["http"]).landslide(picture(5, 5)).shape == (5, 5)


def counted(status, first, pause=0.0):
    """A service whose first calls end in a status, after a pause; counts all."""

    class Service(PredictionService):
        calls = 0

        def Predict(self, request, context):
            Service.calls += 1
            if Service.calls <= first:
                time.sleep(pause)
                context.abort(status, "not now")
            return super().Predict(request, context)

    return Service


def test_only_what_is_unavailable_is_tried_again(version, network):
    x = np.ones((1, 4, 4, 3), "f4")
    service = counted(grpc.StatusCode.UNAVAILABLE, 2)
    with addresses(version, service) as served:
        found = serving.Client(served["grpc"], attempts=3)({"image": x})
        np.testing.assert_allclose(found["probabilities"], network(x), atol=1e-6)
    assert service.calls == 3
    service = counted(grpc.StatusCode.UNAVAILABLE, 9)
    with addresses(version, service) as served:
        client = serving.Client(served["grpc"], attempts=2)
        with pytest.raises(RunError, match=r"after 2 attempts \(not now\)"):
            client({"image": x})
    assert service.calls == 2
    service = counted(grpc.StatusCode.INTERNAL, 1)
    with addresses(version, service) as served:
        client = serving.Client(served["grpc"])
        with pytest.raises(RunError, match=r"failed \(INTERNAL\): not now"):
            client({"image": x})
    assert service.calls == 1
    service = counted(grpc.StatusCode.INTERNAL, 1, pause=3)
    with addresses(version, service) as served:
        short = serving.Client(served["grpc"], timeout=1.5)
        with pytest.raises(RunError, match=r"no answer within 1\.5 s"):
            short({"image": x})
    assert service.calls == 1


@contextlib.contextmanager
def rest_server(*answers):
    """Answers with these pairs of status and body, one a request; None is late."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            status, body = left.pop(0)
            if body is None:
                time.sleep(1)
            body = body or b"{}"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("localhost", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}/m", left
        finally:
            server.shutdown()
            thread.join()


def test_rest_servers_that_are_busy_absent_or_others(served):
    busy = (503, b'{"error": "loading"}')
    with rest_server(busy, busy, (200, b"{}")) as (address, left):
        with pytest.raises(RunError, match=r"after 2 attempts \(loading\)"):
            serving.Client(address, attempts=2).signatures  # noqa: B018
        assert len(left) == 1
        with pytest.raises(RunError, match="does not answer as TensorFlow Serving"):
            serving.Client(address).signatures  # noqa: B018
    answers = ((200, None), (500, b"oops"), (200, b"<html>"))
    with rest_server(*answers) as (address, left):
        with pytest.raises(RunError, match=r"no answer within 0\.3 s"):
            serving.Client(address, timeout=0.3).signatures  # noqa: B018
        with pytest.raises(RunError, match=r"failed \(HTTP 500\): oops"):
            serving.Client(address).signatures  # noqa: B018
        with pytest.raises(RunError, match="does not answer as TensorFlow Serving"):
            serving.Client(address).signatures  # noqa: B018
        assert left == []
    # Nobody listens there any more.
    for scheme in ("http", "grpc"):
        gone = address.replace("http", scheme)
        with pytest.raises(RunError, match="is not available after 2 attempts"):
            serving.Client(gone, attempts=2).signatures  # noqa: B018


ENCRYPTED = """
import sys
import numpy as np
from landslide_tf import errors, serving
for address in sys.argv[1:]:
    try:
        client = serving.Client(address, attempts=1, timeout=30)
        print(client({"image": np.full((1, 2, 3, 3), 60.0)})["probabilities"].sum())
    except errors.RunError as error:
        print("refused:", error)
"""


@pytest.mark.integration
@pytest.mark.parametrize("trusted", [True, False])
def test_encrypted_servers_are_asked_where_they_are_trusted(
    version, network, tmp_path, trusted
):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "trusted.pem")
    server = Server(version, certificate=authority.issue_cert("localhost"))
    variables = ("SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
    known = dict.fromkeys(variables, str(tmp_path / "trusted.pem")) if trusted else {}
    addresses = [
        f"grpcs://localhost:{server.grpc_port}/m",
        f"https://localhost:{server.rest_port}/m",
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-c", ENCRYPTED, *addresses],
            env=os.environ | known,
            capture_output=True,
            text=True,
        )
    finally:
        server.close()
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr[-3000:]
    if not trusted:
        for line, address in zip(lines, addresses, strict=True):
            assert line.startswith("refused:") and address in line
        return
    wanted = network.predict(np.full((1, 2, 3, 3), 60.0), verbose=0).sum()
    np.testing.assert_allclose([float(line) for line in lines], wanted, atol=1e-4)


def test_a_teams_own_script(tiny_data, tmp_path):
    """Their network and fit; of ours the data set, the export and the client."""
    data, info = tfds.load(
        "synthetic_landslides/tiny", split="train", data_dir=tiny_data, with_info=True
    )
    landslide = info.metadata["landslide_class"]

    def pair(example):
        return example["image"], example["mask"] == landslide

    model = pointwise()
    model.compile("adam", "binary_crossentropy")
    model.fit(data.map(pair).batch(8), epochs=1, shuffle=False, verbose=0)
    path = serving.export(model, tmp_path / "own")
    (example,) = data.take(1).as_numpy_iterator()
    wanted = model.predict(example["image"][None], verbose=0)[0, ..., 0]
    with addresses(path) as served:
        for scheme in BOTH:
            found = serving.Client(served[scheme]).landslide(example["image"])
            np.testing.assert_allclose(found, wanted, atol=STEP)

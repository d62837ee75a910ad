"""A server of tests, over gRPC and REST: many callers, and requests of all kinds."""

import json
import urllib.error
import urllib.request

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving", reason="the extra `serving` is not installed")

import grpc

from tests.serving.fuzz import fuzz
from tests.serving.load import load
from tests.serving.server import asked, running
from tests.serving.shipped import VERSION


@pytest.mark.integration
def test_a_wrong_request_is_refused_and_the_next_one_served():
    good = {
        "image": np.ones((1, 8, 9, 3), "f4"),
        "factors": np.ones((1, 8, 9, 3), "f4"),
    }
    wrong = {name: array[0] for name, array in good.items()}
    with running(VERSION) as (process, stub, address):
        with pytest.raises(grpc.RpcError, match="must be") as caught:
            asked(stub, "serving_default", wrong)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        found = asked(stub, "serving_default", good)["probabilities"]
        body = {"inputs": {name: array.tolist() for name, array in wrong.items()}}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address, json.dumps(body).encode())
        with refused.value as answer:
            assert answer.status == 400
        body["inputs"] = {name: array.tolist() for name, array in good.items()}
        with urllib.request.urlopen(address, json.dumps(body).encode()) as answer:
            same = json.load(answer)["outputs"]
        np.testing.assert_allclose(same, found, atol=1e-6)
        mask = asked(
            stub,
            "predict_uint8",
            {**good, "image": good["image"].astype("u1")},
            ["mask"],
        )
        assert {n: v.nbytes for n, v in mask.items()} == {"mask": 8 * 9}
        assert process.poll() is None


@pytest.mark.slow
def test_many_callers_at_once_get_the_values_of_the_network():
    found = load(callers=32, seconds=60)
    assert found["alive"]
    assert found["calls"] > 32
    assert (found["failed"], found["wrong"]) == ([], [])


@pytest.mark.slow
def test_ten_thousand_requests_of_all_kinds():
    found = fuzz(10_000)
    early, *_, late = found["resident_bytes"].values()
    assert found["requests"] >= 10_000
    assert late < 1.1 * early

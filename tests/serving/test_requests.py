"""What a request must be: refused in the graph in one sentence, on every way to it."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import saved_models, serving
from landslide_tf.errors import ModelError

from .conftest import toy_metadata, toy_model

SHAPES = r"must be \(batch, height, width, [23]\) with at least one of each, received "
# shapes of image and factors, and what is said
REFUSED = [
    ((6, 7, 3), (6, 7, 2), SHAPES + "6 x 7 x [23]"),
    ((1, 1, 6, 7, 3), (1, 6, 7, 2), SHAPES + "1 x 1 x 6 x 7 x 3"),
    ((), (1, 6, 7, 2), SHAPES + "a single value"),
    ((1, 6, 7, 1), (1, 6, 7, 2), SHAPES + "1 x 6 x 7 x 1"),
    ((1, 6, 7, 3), (1, 6, 7, 3), SHAPES + "1 x 6 x 7 x 3"),
    ((0, 6, 7, 3), (0, 6, 7, 2), SHAPES + "0 x 6 x 7 x [23]"),
    ((1, 0, 7, 3), (1, 0, 7, 2), SHAPES + "1 x 0 x 7 x [23]"),
    ((1, 6, 7, 3), (1, 6, 5, 2), "`factors` must have the size of `image`, received"),
    ((2, 6, 7, 3), (1, 6, 7, 2), "received 1 x 6 x 7 beside 2 x 6 x 7"),
    ((3, 40, 40, 3), (3, 40, 40, 2), "at most 4000 pixels .* received 3 x 40 x 40"),
]


@pytest.fixture(scope="module")
def limited(model, metadata, tmp_path_factory):
    folder = tmp_path_factory.mktemp("limited")
    return serving.export(
        model, folder, metadata=metadata, warm_up=None, max_pixels=4000
    )


@pytest.fixture(scope="module")
def served(limited):
    return serving.load(limited)


@pytest.fixture(scope="module")
def loaded(limited):
    return tf.saved_model.load(limited)


def request(image, factors):
    return {"image": np.ones(image, "f4"), "factors": np.ones(factors, "f4")}


@pytest.mark.parametrize(("image", "factors", "words"), REFUSED)
def test_a_request_that_does_not_fit_is_refused_in_one_sentence(
    served, image, factors, words
):
    with pytest.raises(ModelError, match=words) as caught:
        served(request(image, factors))
    assert "\n" not in str(caught.value)
    assert "node" not in str(caught.value)
    assert served(request((1, 6, 7, 3), (1, 6, 7, 2)))["probabilities"].size == 126


@pytest.mark.parametrize(("image", "factors", "words"), REFUSED)
def test_tensorflow_alone_refuses_it_as_invalid(loaded, image, factors, words):
    signature = loaded.signatures["serving_default"]
    inputs = {k: tf.constant(v) for k, v in request(image, factors).items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        signature(**inputs)


def test_every_signature_refuses(loaded):
    """Their names and types as the file says them, and images of five axes."""
    assert len(loaded.signatures) == 4
    for name, signature in loaded.signatures.items():
        specs = signature.structured_input_signature[1]
        inputs = {
            key: tf.zeros((1, 1, 4, 4, 3), spec.dtype)
            if spec.dtype != tf.string
            else tf.fill((1, 1), "x")
            for key, spec in specs.items()
        }
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be"):
            signature(**inputs)
            pytest.fail(f"{name} answers")


SESSION = """
import json, sys
sys.modules["landslide_tf"] = sys.modules["keras"] = None  # not installed
import numpy as np, tensorflow as tf
v1 = tf.compat.v1
with v1.Session(graph=tf.Graph()) as session:
    graph = v1.saved_model.load(session, ["serve"], sys.argv[1])
    signature = graph.signature_def["serving_default"]
    fetched = signature.outputs["probabilities"].name
    def ask(image, factors):
        given = {"image": np.ones(image, "f4"), "factors": np.ones(factors, "f4")}
        feed = {signature.inputs[k].name: v for k, v in given.items()}
        return session.run(fetched, feed)
    good = ask((1, 8, 9, 3), (1, 8, 9, 3))
    for shapes in json.loads(sys.argv[2]):
        try:
            ask(*shapes)
            print("answered", shapes)
        except tf.errors.InvalidArgumentError as error:
            print("refused", shapes, error.message.count("must"))
        assert np.array_equal(ask((1, 8, 9, 3), (1, 8, 9, 3)), good)
print("alive")
"""


def test_no_request_ends_the_process_of_the_shipped_model():
    """In TensorFlow's C++ session, as a server runs it: rank 3 ended the process."""
    shapes = [
        ((8, 9, 3), (8, 9, 3)),
        ((1, 1, 8, 9, 3), (1, 8, 9, 3)),
        ((1, 8, 9, 1), (1, 8, 9, 3)),
        ((1, 64, 64, 3), (1, 60, 60, 3)),
        ((0, 8, 9, 3), (0, 8, 9, 3)),
        ((2, 1024, 1024, 3), (2, 1024, 1024, 3)),
    ]
    folder = saved_models.path("fstf_net_synthetic") / "1"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(SESSION),
            str(folder),
            json.dumps(shapes),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert lines[-1] == "alive"
    assert [line.split()[0] for line in lines[:-1]] == ["refused"] * len(shapes)
    assert "0" not in [line.split()[-1] for line in lines[:-1]]


def holed(values):
    """An image with pixels that have no value, and the same with 0 there."""
    random = np.random.default_rng(3)
    image = random.uniform(0, 255, (2, 9, 11, 3)).astype("f4")
    factors = random.uniform(0, 1, (2, 9, 11, 2)).astype("f4")
    holes, filled = image.copy(), image.copy()
    for value, (row, column) in zip(values, ((0, 0), (4, 5), (8, 10)), strict=True):
        holes[:, row, column, row % 3] = value
        filled[:, row, column] = 0
    holes[1, 3:6] = np.nan
    filled[1, 3:6] = 0
    return holes, filled, factors


def test_pixels_without_a_value_count_as_0(served):
    holes, filled, factors = holed((np.nan, np.inf, -3.4e38))
    np.testing.assert_array_equal(
        served({"image": holes, "factors": factors})["probabilities"],
        served({"image": filled, "factors": factors})["probabilities"],
    )


def test_factors_without_a_value_are_0_for_a_network_that_does_not_know_them(served):
    _, image, factors = holed((np.nan,) * 3)
    without, zero = factors.copy(), factors.copy()
    without[0, 2, 3] = np.nan, np.inf
    zero[0, 2, 3] = 0
    np.testing.assert_array_equal(
        served({"image": image, "factors": without})["probabilities"],
        served({"image": image, "factors": zero})["probabilities"],
    )


def test_the_shipped_model_gives_finite_answers_whatever_lacks():
    served = serving.load(saved_models.path("fstf_net_synthetic"))
    random = np.random.default_rng(0)
    image = random.uniform(0, 255, (1, 20, 24, 3)).astype("f4")
    factors = random.uniform(0, 1, (1, 20, 24, 3)).astype("f4")
    lacking = factors.copy()
    lacking[0, :4] = np.nan
    image[0, 10], other = np.inf, lacking.copy()
    other[0, :4] = -3.4e38
    found = [
        served({"image": image, "factors": f})["probabilities"]
        for f in (lacking, other)
    ]
    assert np.isfinite(found[0]).all()
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "whole number"),
        (2.5, "whole number"),
        (True, "whole number"),
        (512**2 - 1, "at least 262144"),
    ],
)
def test_max_pixels_is_a_whole_number_that_lets_our_requests_pass(
    tmp_path, value, words
):
    with pytest.raises(ModelError, match=f"`max_pixels` must be .*{words}"):
        serving.export(
            toy_model(), tmp_path / "a", metadata=toy_metadata(), max_pixels=value
        )


def test_a_model_of_one_size_refuses_others(tmp_path):
    import keras

    image = keras.Input((16, 20, 3), name="image")
    x = keras.layers.Conv2D(3, 1, activation="softmax")(image)
    metadata = toy_metadata(factors=[])
    path = serving.export(keras.Model(image, x), tmp_path / "a", metadata=metadata)
    served = serving.load(path)
    assert served({"image": np.ones((2, 16, 20, 3))})["probabilities"].shape[1] == 16
    with pytest.raises(ModelError, match=r"\(batch, 16, 20, 3\).*received 1 x 16 x 16"):
        served({"image": np.ones((1, 16, 16, 3))})

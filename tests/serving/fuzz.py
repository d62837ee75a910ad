"""Requests of all kinds to the shipped model: a right answer or `INVALID_ARGUMENT`.

    python -m tests.serving.fuzz --requests 10000

Whether a request fits is decided here, by NumPy and Pillow, and not by asking. Prints
what was answered, and the server's memory after a tenth of the requests and after all.
"""

import argparse
import collections
import io
import json
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.serving.server import asked, running
from tests.serving.shipped import MAX_PIXELS, VERSION, keras_prediction

TOLERANCE = 1e-4  # another library of convolutions in a process of its own
COMPARED = 64 * 64  # pixels up to which an answer is compared with the network's
# Axes and type of each input; sizes None are those of the image.
MAP = (None, None, None, 3)
SIGNATURES = {
    "serving_default": {"image": (MAP, "f4"), "factors": (MAP, "f4")},
    "predict_uint8": {"image": (MAP, "u1"), "factors": (MAP, "f4")},
    "predict_image_bytes": {"image_bytes": ((None,), "O"), "factors": (MAP, "f4")},
    "predict_dem": {
        "image": (MAP, "f4"),
        "elevation": ((None, None, None, 1), "f4"),
        "cell_size": ((None, 2), "f4"),
        "latitude": ((None,), "f4"),
        "factors": ((None, None, None, 1), "f4"),
    },
}
EXTREMES = (np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e30, 9e29, -9999.0, 0.0, 1e20)


@dataclass
class Request:
    """A request, and whether the model can answer it."""

    signature: str
    inputs: dict = field(default_factory=dict)
    fits: bool = True
    size: tuple = ()  # batch, height, width


def sides():
    """Mostly small, so that thousands of requests take minutes."""
    return st.one_of(*[st.integers(1, 40)] * 12, st.integers(41, 300), st.just(1024))


def broken_shapes():
    """Shapes of 0 to 6 axes; what is large is one value said once."""
    size = st.one_of(st.integers(0, 12), st.sampled_from([60, 64, 1024, 2049, 4096]))
    return st.lists(size, max_size=6).map(tuple).filter(lambda s: np.prod(s) < 3e8)


def dtypes():
    """Types of numbers that a client may send by mistake, and the right one."""
    return st.sampled_from(["f4"] * 30 + ["f8", "f2", "i4", "i8", "?"])


def filled(data, shape, dtype, limits, extremes):
    """An array in a protocol buffer: drawn numbers, or one number for all."""
    elements = int(np.prod(shape))
    if elements > 30_000 or (elements and data.draw(st.integers(0, 9)) == 0):
        extremes = extremes and dtype.startswith("f")
        value = data.draw(st.sampled_from(EXTREMES)) if extremes else 1
        with np.errstate(over="ignore"):
            one = np.array(value).astype(dtype)
        proto = tf.make_tensor_proto(one, shape=shape)
        return proto, np.broadcast_to(one, shape)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    array = random.uniform(*limits, shape).astype(dtype)
    if extremes and dtype.startswith("f") and array.size:
        for value in data.draw(st.lists(st.sampled_from(EXTREMES), max_size=3)):
            flat = array.reshape(-1)
            with np.errstate(over="ignore"):
                flat[random.integers(0, array.size)] = value
    return tf.make_tensor_proto(array), array


def picture(data, height, width):
    """Bytes of a file, and its pixels; None where no decoder takes it."""
    kind = data.draw(st.sampled_from(["png"] * 6 + ["jpeg"] * 3 + list(BROKEN)))
    if kind in BROKEN:
        return BROKEN[kind](data), None
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
    stream = io.BytesIO()
    image.save(stream, format=kind)
    content = stream.getvalue()
    if data.draw(st.integers(0, 9)) == 0:  # cut within header or pixels
        return content[: data.draw(st.integers(0, len(content) * 3 // 4))], None
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    return content, pixels


def bomb(side):
    """The header of a PNG file of `side` x `side` pixels, and no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13)
    return start + body + struct.pack(">I", zlib.crc32(body)) + bytes(16)


BROKEN = {
    "bomb": lambda data: bomb(data.draw(st.sampled_from([50_000, 2**31 - 1, 1025]))),
    "noise": lambda data: data.draw(st.binary(max_size=64)),
}


@st.composite
def requests(draw):
    """Requests that fit, and such with one or more things wrong."""
    data = draw(st.data())
    request = Request(draw(st.sampled_from(sorted(SIGNATURES))))
    batch = draw(st.sampled_from([1, 1, 1, 2, 3]))
    height, width = draw(sides()), draw(sides())
    request.size = batch, height, width
    request.fits = batch * height * width <= MAX_PIXELS
    if request.signature == "predict_dem":
        request.fits &= min(height, width) >= 2
    intact = draw(st.booleans())  # of its shapes and types
    for name, (shape, dtype) in SIGNATURES[request.signature].items():
        if dtype == "O":
            _add_files(data, request, name)
            continue
        right = tuple(
            (batch, height, width)[axis] if size is None else size
            for axis, size in enumerate(shape)
        )
        broken = not intact and draw(st.integers(0, 3)) == 0
        found = draw(broken_shapes()) if broken else right
        kind = dtype if intact else draw(dtypes())
        if dtype == "u1" and kind == "f4":
            kind = dtype
        request.fits &= found == right and kind == dtype
        limits = (-89, 89) if name == "latitude" else (0.1, 255)
        # A single one in a place or a size is refused: half of them without.
        extremes = not intact or name not in ("cell_size", "latitude")
        proto, array = filled(data, found, kind, limits, extremes)
        request.inputs[name] = (proto, array)
        if name == "cell_size" and request.fits:
            request.fits &= bool(((array > 1e-6) & (array < 1e6)).all())
        if name == "latitude" and request.fits:
            request.fits &= bool((np.isnan(array) | (np.abs(array) < 90)).all())
    return request


def _add_files(data, request, name):
    batch, height, width = request.size
    if batch * height * width > MAX_PIXELS:  # small files are enough to be refused
        height = width = 5
        request.fits = False
    files, images = zip(
        *(picture(data, height, width) for _ in range(batch)), strict=True
    )
    request.fits &= all(image is not None for image in images)
    proto = tf.make_tensor_proto(np.array(files, object), tf.string)
    request.inputs[name] = (proto, np.stack(images) if request.fits else None)


def check(request, found, predict):
    """Raises unless an answer is right."""
    shape = (*request.size, 6 if request.signature == "serving_default" else 1)
    for name, values in found.items():
        assert values.shape == shape, (name, values.shape, shape)
        assert np.isfinite(values).all(), name
    if request.signature == "serving_default":
        assert found["probabilities"].min() >= 0
        np.testing.assert_allclose(found["probabilities"].sum(-1), 1, atol=1e-4)
    if np.prod(request.size) > COMPARED or request.signature == "predict_dem":
        return
    arrays = {name: array for name, (_, array) in request.inputs.items()}
    image = np.float32(arrays.get("image_bytes", arrays.get("image")))
    valid = (np.abs(image) < 1e30).all(-1, keepdims=True)
    image = np.where(valid, image, np.float32(0))
    factors = np.float32(arrays["factors"])
    factors = np.where(np.abs(factors) < 1e30, factors, np.float32(np.nan))
    wanted = predict({"image": image, "factors": factors})
    if request.signature == "serving_default":
        np.testing.assert_allclose(found["probabilities"], wanted, atol=TOLERANCE)
        return
    best = np.sort(wanted, axis=-1)
    sure = best[..., -1] - best[..., -2] > 2 * TOLERANCE
    classes = found["mask"][..., 0]
    assert (classes == wanted.argmax(-1))[sure].all()
    np.testing.assert_allclose(
        found["landslide"][..., 0] / 250, wanted[..., 0], atol=1 / 250
    )


def resident(process):
    """Bytes of memory of a process."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def fuzz(count):
    """Sends requests.

    Args:
        count: How many.

    Returns:
        How many were answered and refused by signature, and the server's memory.

    Raises:
        AssertionError: If an answer is wrong, or none came.
    """
    predict, counted = keras_prediction(), collections.Counter()
    memory = {}

    # TensorFlow's oneDNN kernels keep what they planned for each size of a thousand.
    with running(VERSION, TF_ENABLE_ONEDNN_OPTS="0") as (process, stub, _):

        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(requests())
        def send(request):
            protos = {name: proto for name, (proto, _) in request.inputs.items()}
            try:
                found = asked(stub, request.signature, protos)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
                assert not request.fits, error.details()
                counted[f"{request.signature} refused"] += 1
            else:
                assert request.fits, (request.signature, request.size)
                check(request, found, predict)
                counted[f"{request.signature} answered"] += 1
            if counted.total() in (count // 10, count):
                memory[counted.total()] = resident(process)

        send()
        assert process.poll() is None, "the server has ended"
        memory[counted.total()] = resident(process)
    return {"requests": counted.total(), **counted, "resident_bytes": memory}


def main():
    """Sends requests and says what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = json.dumps(fuzz(arguments.requests), indent=1)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()

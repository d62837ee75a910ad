"""The requests that TensorFlow Serving runs before it takes traffic."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landslide_tf.errors import ModelError
from landslide_tf.evidence.channels import CHANNELS
from landslide_tf.files import atomic_path
from landslide_tf.serving.elevations import DERIVED
from landslide_tf.serving.network import REGION, Network, concrete_shape
from landslide_tf.serving.prediction_log import prediction_log
from landslide_tf.serving.served_model import EXTRA, SIGNATURE, ServedModel

if TYPE_CHECKING:
    import tensorflow as tf

REGION_NAMES = "regions.json"
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
        writer.write(prediction_log(network.metadata.name, SIGNATURE, inputs))


def write_requests(
    model: ServedModel, size: tuple[int, int], batches: Sequence[int]
) -> None:
    """Replaces the warm-up file of a version by requests for all that it answers.

    The version has answered the largest of each signature.

    Args:
        model: The version.
        size: Height and width of the images in pixels.
        batches: Sizes of the batches, ascending.

    Raises:
        ModelError: If a signature takes what is not known, or refuses a request.
    """
    import tensorflow as tf

    records = []
    for signature in model.signatures:
        for batch in batches:
            inputs = _request(model, signature, batch, size)
            if batch == batches[-1]:  # a server whose warm-up fails does not start
                model(inputs, signature)
            tensors = dict(_tensors(inputs))
            records.append(prediction_log(model.metadata.name, signature, tensors))
    with (
        atomic_path(model.folder / EXTRA / WARM_UP) as temporary,
        tf.io.TFRecordWriter(str(temporary)) as writer,
    ):
        for record in records:
            writer.write(record)


def _request(
    model: ServedModel, signature: str, batch: int, size: tuple[int, int]
) -> dict[str, NDArray[Any]]:
    """Returns inputs of a signature: black images on flat ground."""
    specs, metadata = model.specs(signature), model.metadata
    made = DERIVED if "elevation" in specs else ()
    shapes: dict[str, tuple[int, ...]] = {
        "image": (*size, len(metadata.inputs)),
        "factors": (*size, sum(f.name not in made for f in metadata.factors)),
        "elevation": (*size, 1),
        "pre": (*size, 3),
        "post": (*size, 3),
        "probs": (len(CHANNELS), 2),
        "cell_size": (2,),
        "latitude": (),
    }
    return {
        name: _value(model, name, spec, batch, shapes.get(name), size)
        for name, spec in specs.items()
    }


def _value(
    model: ServedModel,
    name: str,
    spec: tf.TensorSpec,
    batch: int,
    shape: tuple[int, ...] | None,
    size: tuple[int, int],
) -> NDArray[Any]:
    """Returns an input of a batch; `shape` is of an example, None = not known."""
    kind = spec.dtype.as_numpy_dtype
    if name == "image_bytes":
        return np.full(batch, _png(size, len(model.metadata.inputs)), object)
    if name == "region":
        index, region = _newest_region(model)
        return np.full(batch, region.encode() if kind is object else index, kind)
    if spec.shape.rank is not None:
        sizes = iter(size)
        known = spec.shape.as_list()[1:]
        shape = tuple(next(sizes, 1) if s is None else s for s in known)
    if shape is None:
        raise ModelError(
            f"`{model.folder}` takes `{name}`, of which no request is known: export it "
            "with `landslide-tf export`."
        )
    value = {"cell_size": 1.0, "probs": 0.5}.get(name, 0)
    return np.full((batch, *shape), value, kind)


def _newest_region(model: ServedModel) -> tuple[int, str]:
    names = json.loads((model.folder / EXTRA / REGION_NAMES).read_text("utf-8"))
    index = max(map(int, names))
    return index, names[str(index)]


def _png(size: tuple[int, int], bands: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L" if bands == 1 else "RGB", size[::-1]).save(stream, "PNG")
    return stream.getvalue()


def _tensors(inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, bytes]]:
    """Yields names and `TensorProto`s, of one value where all are the same."""
    import tensorflow as tf

    for name, values in inputs.items():
        same = values.dtype != object and values.size
        content = values.reshape(-1)[:1] if same else values
        proto = tf.make_tensor_proto(
            content.item() if same else content,
            dtype=tf.as_dtype(values.dtype),
            shape=values.shape,
        )
        yield name, proto.SerializeToString()

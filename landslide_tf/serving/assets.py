"""The files beside an export's graph: metadata, model card, regions, warm-up.

Apart from `saved_model`, which writes and checks the graph.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslide_tf.array_types import Shape
from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.serving.served_model import SIGNATURE
from landslide_tf.serving.signatures import REGION, has_regions, names, some_indices

if TYPE_CHECKING:
    import keras

MODEL_CARD = "README.md"
REGION_NAMES = "regions.json"
WARM_UP = "tf_serving_warmup_requests"


def write_assets(
    metadata: ModelMetadata, model: keras.Model, folder: Path, warm_up: int | None
) -> None:
    """Writes everything that lies in an export's `assets.extra`.

    Args:
        metadata: What is known of the model; what it leaves open the card says.
        model: Its inputs and the number of its parameters are described.
        folder: The export's `assets.extra`.
        warm_up: Height and width of the warm-up request in pixels, for a model of any
            size; None for no request.
    """
    # The graph applies the temperature; nobody is to apply it again.
    metadata.model_copy(update={"temperature": None}).write(folder)
    (folder / MODEL_CARD).write_text(_text(metadata, model.count_params()))
    if has_regions(model):
        text = json.dumps(names(model), indent=1)
        (folder / REGION_NAMES).write_text(text + "\n")
    if warm_up is not None:
        _write_warm_up(metadata, model, warm_up, folder / WARM_UP)


def _text(metadata: ModelMetadata, parameters: int) -> str:
    lines = [
        f"# {metadata.name}",
        "",
        f"A {metadata.task} model for landslides: `{metadata.builder}`, "
        f"{parameters:,} parameters. `model.json` beside this page says the same for "
        "programs.",
        "",
        *_inputs(metadata),
        *_outputs(metadata),
        *_use(metadata),
        *_origin(metadata),
    ]
    if metadata.metrics:
        lines += ["## Measured", "", "| metric | value |", "|---|---|"]
        lines += [f"| {key} | {value} |" for key, value in _flat(metadata.metrics)]
        lines += [""]
    return "\n".join(lines)


def _inputs(metadata: ModelMetadata) -> list[str]:
    size = "any height and width" if metadata.task == "segmentation" else "its size"
    lines = [
        "## Takes",
        "",
        f"Signature `{SIGNATURE}`, float32 arrays (batch, height, width, channels) of "
        f"{size}, raw values: scaling and encoding are inside.",
        "",
        *_channel_table("image", metadata.inputs),
        *_channel_table("factors", metadata.factors),
    ]
    known = metadata.arguments.get("regions")
    if known:
        table = ", ".join(f"{index} {name}" for index, name in enumerate(known) if name)
        lines += [
            f"`region`, int32 (batch,), is the region of each image: {table}; -1 takes "
            "the mean of all decoders. The signatures `by_name` and `pair_uint8` take "
            "names, `*` for none.",
            "",
        ]
    branches: dict[str, list[str]] = {}
    for factor in metadata.factors:
        branches.setdefault(factor.branch, []).append(factor.name)
    if len(branches) > 1:
        named = "; ".join(f"{b}: {', '.join(own)}" for b, own in branches.items())
        lines += [f"Factors have branches of their own ({named}).", ""]
    if metadata.factors:
        lines += ["A factor may be NaN where it has no value.", ""]
    if metadata.terrain:
        how = ", ".join(f"{k} {v}" for k, v in metadata.terrain.model_dump().items())
        lines += [f"Slope and aspect were made from elevations so: {how}.", ""]
    if metadata.cell_size:
        low, high = metadata.cell_size
        lines += [f"Trained on cells of {low:g} to {high:g} m.", ""]
    return lines


def _channel_table(name: str, channels: Sequence[Band | Factor]) -> list[str]:
    if not channels:
        return []
    lines = [f"| `{name}` channel | name | unit | range |", "|---|---|---|---|"]
    for index, channel in enumerate(channels):
        span = "not stated"
        if channel.range:
            span = f"{channel.range[0]:g} to {channel.range[1]:g}"
        unit = channel.unit or "none"
        if isinstance(channel, Band) and channel.scale != 1:
            unit += f", times {channel.scale:g}"
        lines.append(f"| {index} | {channel.name} | {unit} | {span} |")
    return [*lines, ""]


def _outputs(metadata: ModelMetadata) -> list[str]:
    if metadata.landslide_class == "sigmoid":
        what = "one channel, the probability of landslide"
    else:
        names = ", ".join(f"{i} {name}" for i, name in enumerate(metadata.classes))
        what = f"one channel a class ({names}); landslide is {metadata.landslide_class}"
    rule = "the most probable class"
    if metadata.landslide_class == "sigmoid" or metadata.threshold is not None:
        threshold = 0.5 if metadata.threshold is None else metadata.threshold
        rule = f"landslide where its probability is at least {threshold:g}"
    return [
        "## Gives",
        "",
        f"`probabilities`, float32 in [0, 1]: {what}. Decision: {rule}.",
        "",
        *_further(metadata),
    ]


def _further(metadata: ModelMetadata) -> list[str]:
    if metadata.builder != "evidential_net":
        return []
    return [
        "`label`, 1 for landslide; `branch_probabilities` (batch, branches, 2), "
        "calibrated; `weights` of the branches, `conflict`, `vacuity`; `saliency` "
        "(batch, height, width). Images of one batch are of one size, at least 24 x 24 "
        "pixels. The signature `fuse` takes `probs` (batch, branches, 2) alone.",
        "",
    ]


def _use(metadata: ModelMetadata) -> list[str]:
    arguments = '{"image": image, "factors": factors}'
    if metadata.arguments.get("regions"):
        arguments = '{"image": image, "region": region}'
    elif not metadata.factors:
        arguments = '{"image": image}'
    return [
        "## Use",
        "",
        "```python",
        "from landslide_tf import serving  # needs no Keras",
        "",
        f'probabilities = serving.load("…")({arguments})["probabilities"]',
        "```",
        "",
        "Or TensorFlow Serving, or `tf.saved_model.load`, without this package.",
        "",
    ]


def _origin(metadata: ModelMetadata) -> list[str]:
    versions = ", ".join(f"{k} {v}" for k, v in sorted(metadata.versions.items()))
    facts = {
        "arguments": f"`{json.dumps(metadata.arguments)}`",
        "data set": metadata.dataset,
        "split": metadata.split,
        "licence": metadata.licence,
        "made by": metadata.command and f"`{metadata.command}`",
        "versions": versions,
    }
    lines = ["## Origin", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value or 'not stated'} |" for key, value in facts.items()]
    return [*lines, ""]


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested tables of numbers as (path, text) rows."""
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key} / ")
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            rows.append((f"{prefix}{key}", text))
    return rows


def _write_warm_up(
    metadata: ModelMetadata, model: keras.Model, size: int, path: Path
) -> None:
    """Writes a TFRecord file with one `PredictionLog`: one example of zeros.

    Args:
        metadata: Gives the model's name.
        model: Its inputs give names, types and channels.
        size: Height and width in pixels, for a model of any size.
        path: The file.
    """
    import tensorflow as tf

    region = some_indices(model, 1)[0] if has_regions(model) else 0
    inputs = {
        tensor.name: tf.make_tensor_proto(  # one value and the shape: a few bytes
            region if tensor.name == REGION else 0,
            dtype=tensor.dtype,
            shape=concrete_shape(tensor.shape, 1, (size, size)),
        ).SerializeToString()
        for tensor in model.inputs
    }
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(_prediction_log(metadata.name, inputs))


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

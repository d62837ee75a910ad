"""The files beside an export's graph: metadata, model card, regions, warm-up.

Apart from `saved_model`, which writes the graph.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.serving import signatures
from landslide_tf.serving.decisions import NODATA, UNITS
from landslide_tf.serving.elevations import DERIVED
from landslide_tf.serving.licences import OTHER, licence_id
from landslide_tf.serving.network import Network
from landslide_tf.serving.served_model import SIGNATURE
from landslide_tf.serving.stac_item import ARTIFACTS, write_stac_item
from landslide_tf.serving.versions import STAC_ITEM
from landslide_tf.serving.warm_up import REGION_NAMES, WARM_UP, write_warm_up

MODEL_CARD = "README.md"


def write_assets(
    network: Network, names: Sequence[str], folder: Path, warm_up: int | None
) -> None:
    """Writes everything that lies in an export's `assets.extra`.

    Args:
        network: What is served; what its metadata leave open the card says.
        names: The signatures.
        folder: The export's `assets.extra`.
        warm_up: Height and width of the warm-up request in pixels, for a model of any
            size; None for no request.
    """
    metadata = network.metadata
    # The graph applies the temperature; nobody is to apply it again.
    metadata.model_copy(update={"temperature": None}).write(folder)
    write_descriptions(network, "saved_model", folder, names)
    if network.regions:
        text = json.dumps(network.regions, indent=1)
        (folder / REGION_NAMES).write_text(text + "\n", encoding="utf-8")
    if warm_up is not None:
        write_warm_up(network, warm_up, folder / WARM_UP)


def write_descriptions(
    network: Network, format: str, folder: Path, names: Sequence[str] = ()
) -> None:
    """Writes the model card and the STAC item beside `model.json`.

    Args:
        network: What is exported.
        format: The export's format.
        folder: An existing folder.
        names: The signatures of a SavedModel.
    """
    text = model_card(network, format, names)
    (folder / MODEL_CARD).write_text(text, encoding="utf-8")
    write_stac_item(network, format, folder)


def model_card(network: Network, format: str, names: Sequence[str] = ()) -> str:
    """Returns the page about an export, as Markdown in the form of Hugging Face.

    Args:
        network: What is exported.
        format: The export's format.
        names: The signatures of a SavedModel.
    """
    metadata, parameters = network.metadata, network.model.count_params()
    lines = [
        *_front_matter(metadata, format),
        f"# {metadata.name}",
        "",
        f"A {metadata.task} model for landslides: `{metadata.builder}`, "
        f"{parameters:,} parameters. `model.json` beside this page says the same for "
        f"programs, and `{STAC_ITEM}` for catalogues.",
        "",
        *_inputs(network, f"Signature `{SIGNATURE}`, float32" if names else "Float32"),
        *_outputs(metadata),
        *_signatures(metadata, names),
        *_use(metadata, format),
        *_limits(metadata),
        *_origin(metadata),
    ]
    if metadata.metrics:
        lines += ["## Measured", "", "| metric | value |", "|---|---|"]
        lines += [f"| {key} | {value} |" for key, value in _flat(metadata.metrics)]
        lines += [""]
    return "\n".join(lines)


def _front_matter(metadata: ModelMetadata, format: str) -> list[str]:
    """Returns what the hub's search reads, between lines of dashes."""
    licence = licence_id(metadata.licence)
    fields: dict[str, object] = {"license": licence.lower()}
    if licence == OTHER:
        fields["license_name"] = metadata.licence or "not stated"
    kinds = {"segmentation": "image-segmentation"}
    fields |= {
        "library_name": ARTIFACTS[format].framework.lower(),
        "pipeline_tag": kinds.get(metadata.task, "image-classification"),
        "tags": ["landslide", "remote-sensing", metadata.builder],
    }
    text = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    return ["---", *text.splitlines(), "---", ""]


def _limits(metadata: ModelMetadata) -> list[str]:
    """Says what the model was not made for."""
    data = f"`{metadata.dataset}`" if metadata.dataset else "its training data"
    lines = [
        "## Limits",
        "",
        f"- It has seen {data} alone: on other ground, sensors and seasons score it on "
        "labels of your own before you rely on it.",
    ]
    if metadata.cell_size:
        low, high = metadata.cell_size
        lines.append(
            f"- Scenes of other cells than {low:g} to {high:g} m are unlike it."
        )
    if metadata.threshold is not None:
        lines.append("- The threshold is that of its validation data.")
    lines.append("- A map is no hazard assessment, and no proof that a slope is safe.")
    return [*lines, ""]


def _inputs(network: Network, begin: str) -> list[str]:
    metadata = network.metadata
    sizes = next(iter(network.inputs.values())).shape[1:3]
    size = f"{sizes[0]} x {sizes[1]} pixels"
    if None in sizes:
        size = "any height and width"
    lines = [
        "## Takes",
        "",
        f"{begin} arrays (batch, height, width, channels) of {size}, raw values: "
        "scaling and encoding are inside.",
        "",
        *_channel_table("image", metadata.inputs),
        *_channel_table("factors", metadata.factors),
    ]
    known = metadata.arguments.get("regions")
    if known:
        table = ", ".join(f"{index} {name}" for index, name in enumerate(known) if name)
        lines += [
            f"`region`, int32 (batch,), is the region of each image: {table}; -1 takes "
            "the mean of all decoders, as `*` does where a name is taken.",
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
        "pixels.",
        "",
    ]


def _signatures(metadata: ModelMetadata, names: Sequence[str]) -> list[str]:
    """Describes the signatures beside `serving_default`."""
    if len(names) <= 1:
        return []
    derived = [f.name for f in metadata.factors if f.name in DERIVED]
    rest = [f.name for f in metadata.factors if f.name not in DERIVED]
    further = " and the others as " + "`factors` " + ", ".join(rest) if rest else ""
    takes = {
        signatures.UINT8: "`image` as uint8",
        signatures.BYTES: "`image_bytes` in place of `image`: one PNG or JPEG file, or "
        "(batch) of them, of one size",
        signatures.DEM: "`elevation` (batch, height, width, 1), metres, `cell_size` "
        "(batch, 2), metres east-west and north-south, and `latitude` (batch) of the "
        f"middle, NaN where the grid is in metres, in place of {', '.join(derived)}"
        f"{further}",
        signatures.BY_NAME: "`region` as text; gives `probabilities`, too",
        signatures.PAIR: "`pre` and `post` as uint8, `region` as text",
        signatures.FUSE: "`probs` (batch, branches, 2) alone; gives what "
        f"`{SIGNATURE}` does of them",
    }
    maps = metadata.task == "segmentation"
    decision = "`mask`, the class of each pixel" if maps else "`label`, the class"
    if maps:
        decision += f" ({metadata.ignore_value} where not valid)"
    lines = ["| signature | takes |", "|---|---|"]
    lines += [f"| `{name}` | {takes[name]} |" for name in names if name in takes]
    return [
        *lines,
        "",
        f"They give {decision}; `landslide`, its probability times {UNITS} as uint8"
        f"{f' ({NODATA} where not valid)' if maps else ''}; and `valid`, 0 where a "
        "pixel has no value (NaN, infinite, beyond 1e30, transparent, or without "
        "elevations).",
        "",
    ]


def _use(metadata: ModelMetadata, format: str) -> list[str]:
    arguments = '{"image": image, "factors": factors}'
    if metadata.arguments.get("regions"):
        arguments = '{"image": image, "region": region}'
    elif not metadata.factors:
        arguments = '{"image": image}'
    if format == "weights":
        return [
            "## Use",
            "",
            "`landslide-tf map` and `evaluate` take this folder. In Python:",
            "",
            "```python",
            "from landslide_tf.metadata import ModelMetadata",
            "from landslide_tf.models import build_described",
            "",
            'model = build_described(ModelMetadata.read("…"), "…/model.weights.h5")',
            f"probabilities = model({arguments})",
            "```",
            "",
        ]
    without = f"Or {ARTIFACTS[format].framework}, without this package."
    if format == "saved_model":
        without = "Or TensorFlow Serving, or `tf.saved_model.load`, without it."
    if format == "deepness":
        return [
            "## Use",
            "",
            "The QGIS plug-in Deepness opens `deepness.onnx`, whose input has the "
            "channels of all inputs, divided by 255, and whose sizes are fixed.",
            "",
        ]
    return [
        "## Use",
        "",
        "```python",
        "from landslide_tf import serving  # needs no Keras",
        "",
        f'probabilities = serving.load("…")({arguments})["probabilities"]',
        "```",
        "",
        without,
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

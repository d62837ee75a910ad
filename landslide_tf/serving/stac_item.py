"""A STAC item that describes an export to catalogues and other programs.

It follows the Machine Learning Model extension (MLM). Plain JSON is written, so that
an export needs no library of STAC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from landslide_tf.metadata import FILE_NAME, Band, Factor, ModelMetadata
from landslide_tf.serving.licences import licence_id
from landslide_tf.serving.network import FACTORS, IMAGE, PROBABILITIES, Network
from landslide_tf.serving.versions import STAC_ITEM, WEIGHTS_FILE

STAC_VERSION = "1.1.0"
MLM = "https://stac-extensions.github.io/mlm/v1.5.0/schema.json"

_ANY = -1  # a size that is not fixed
# What the extensions' schemas take.
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]")
_RELEASE = re.compile(r"\d+\.\d+\.\d+")
_TASKS = {"segmentation": "semantic-segmentation", "classification": "classification"}


class Artifact(NamedTuple):
    """The file or folder of a model, as the item names it.

    Attributes:
        href: Where it lies, relative to the item.
        framework: What runs it.
        package: The package whose version is that of the framework.
        made_by: How it was written, the item's `mlm:artifact_type`.
        media_type: Its media type.
    """

    href: str
    framework: str
    package: str
    made_by: str
    media_type: str = "application/octet-stream"


ARTIFACTS = {
    "saved_model": Artifact(
        "..", "TensorFlow", "tensorflow", "tf.saved_model.save", "application/x-tf"
    ),
    "weights": Artifact(WEIGHTS_FILE, "Keras", "keras", "keras.Model.save_weights"),
    "onnx": Artifact("model.onnx", "ONNX", "onnx", "onnx"),
    "deepness": Artifact("deepness.onnx", "ONNX", "onnx", "onnx"),
    "openvino": Artifact("model.xml", "OpenVINO", "openvino", "openvino.save_model"),
    "litert": Artifact("model.tflite", "LiteRT", "ai-edge-litert", "tflite"),
}


def write_stac_item(network: Network, format: str, folder: Path) -> None:
    """Writes `model.stac.json` beside `model.json`.

    Args:
        network: What is exported.
        format: The export's format, one of `ARTIFACTS`.
        folder: An existing folder.
    """
    text = json.dumps(stac_item(network, format), indent=2, ensure_ascii=False)
    (folder / STAC_ITEM).write_text(text + "\n", encoding="utf-8")


def stac_item(network: Network, format: str) -> dict[str, Any]:
    """Returns the item of an export, with everything that `model.json` says of it.

    A model has no place on Earth: geometry and box are left out.

    Args:
        network: What is exported.
        format: The export's format, one of `ARTIFACTS`.

    Example:
        >>> import keras
        >>> from landslide_tf.metadata import describe
        >>> from landslide_tf.serving.network import Network
        >>> from landslide_tf.serving.stac_item import stac_item
        >>> image = keras.Input((None, None, 3), name="image")
        >>> scores = keras.layers.Conv2D(1, 1, activation="sigmoid")(image)
        >>> model = keras.Model(image, scores, name="tiny")
        >>> item = stac_item(Network(model, describe(model)), "onnx")
        >>> item["properties"]["mlm:input"][0]["bands"]
        ['band 1', 'band 2', 'band 3']
    """
    metadata, artifact = network.metadata, ARTIFACTS[format]
    channels: list[Band | Factor] = [*metadata.inputs, *metadata.factors]
    named = _NAME.fullmatch(metadata.name)
    properties = {
        "title": metadata.name,
        "description": f"{metadata.builder}, a network that maps landslides",
        "datetime": datetime.now(UTC).isoformat(timespec="seconds"),
        "license": licence_id(metadata.licence),
        "bands": [_band(channel) for channel in channels],
        "mlm:name": metadata.name if named else f"{metadata.builder} model",
        "mlm:architecture": metadata.builder,
        "mlm:tasks": [_TASKS[metadata.task]],
        "mlm:framework": artifact.framework,
        "mlm:framework_version": _release(artifact.package),
        "mlm:total_parameters": network.model.count_params(),
        "mlm:pretrained": True,
        "mlm:pretrained_source": metadata.dataset,
        "mlm:input": _inputs(network),
        "mlm:output": _outputs(network),
    }
    model = {
        "href": artifact.href,
        "type": artifact.media_type,
        "title": f"{artifact.framework} model",
        "roles": ["mlm:model"],
        "mlm:artifact_type": artifact.made_by,
    }
    described = {
        "href": FILE_NAME,
        "type": "application/json",
        "title": "inputs, outputs and decision",
        "roles": ["metadata"],
    }
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [MLM],
        "id": metadata.name,
        "geometry": None,
        "properties": {k: v for k, v in properties.items() if v is not None},
        "links": [],
        "assets": {"model": model, "metadata": described},
    }


def _release(package: str) -> str | None:
    """Returns the version of an installed package, as the extension takes it."""
    try:
        found = _RELEASE.match(version(package))
    except PackageNotFoundError:
        return None
    return found.group() if found else None


def _band(channel: Band | Factor) -> dict[str, Any]:
    found: dict[str, Any] = {"name": channel.name, "data_type": "float32"}
    if channel.unit:
        found["unit"] = channel.unit
    if channel.range is not None:
        low, high = channel.range
        found["statistics"] = {"minimum": low, "maximum": high}
    return found


def _inputs(network: Network) -> list[dict[str, Any]]:
    """Returns the arrays that the model takes: raw values, scaled inside."""
    metadata = network.metadata
    channels: dict[str, Sequence[Band | Factor]] = {
        IMAGE: metadata.inputs,
        FACTORS: metadata.factors,
    }
    found = []
    for name, tensor in network.inputs.items():
        shape = [_ANY if n is None else int(n) for n in tensor.shape]
        order = ["batch", "height", "width", "bands"][: len(shape)]
        structure = {"shape": shape, "dim_order": order, "data_type": str(tensor.dtype)}
        bands = [channel.name for channel in channels.get(name, ())]
        found.append({"name": name, "bands": bands, "input": structure})
    return found


def _outputs(network: Network) -> list[dict[str, Any]]:
    """Returns the probabilities, and the classes of their last axis."""
    metadata = network.metadata
    order = ["batch", "height", "width", "class"]
    if metadata.task == "classification":
        order = ["batch", "class"]
    count = 1 if metadata.landslide_class == "sigmoid" else len(metadata.classes)
    return [
        {
            "name": PROBABILITIES,
            "tasks": [_TASKS[metadata.task]],
            "result": {
                "shape": [_ANY] * (len(order) - 1) + [count],
                "dim_order": order,
                "data_type": "float32",
            },
            "classification:classes": _classes(metadata),
        }
    ]


def _classes(metadata: ModelMetadata) -> list[dict[str, Any]]:
    return [
        {
            "value": value,
            "name": re.sub(r"[^0-9A-Za-z_-]+", "_", name),
            "description": name,
        }
        for value, name in enumerate(metadata.class_names)
    ]

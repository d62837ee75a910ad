"""What TensorFlow Serving is started with: its configuration, and requests to warm up.

The formats are those of the messages `ModelServerConfig`, `BatchingParameters`,
`MonitoringConfig` and `PredictionLog` of the server.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from landslide_tf.errors import DataError, ModelError, RunError
from landslide_tf.files import write_text
from landslide_tf.outputs import check_apart, check_own_folder
from landslide_tf.serving.served_model import ServedModel
from landslide_tf.serving.versions import GRAPH_FILE, is_remote, versions
from landslide_tf.serving.warm_up import write_requests

IMAGE = "tensorflow/serving:2.19.1"
TILE = 512
BATCH_SIZES = (1, 2, 4)
MODELS, BATCHING, MONITORING = (
    "models.config",
    "batching_parameters.txt",
    "monitoring.config",
)
COMPOSE, KUBERNETES = "compose.yaml", "kubernetes.yaml"
_FILES = (MODELS, BATCHING, MONITORING, COMPOSE, KUBERNETES)
_CONFIG, _METRICS = "/config", "/monitoring/prometheus/metrics"
_GRPC, _REST = 8500, 8501
_LONGEST = 50  # letters of a service's name: 63 are allowed, and some get an ending
_FLAGS = (
    f"--model_config_file={_CONFIG}/{MODELS}",
    # Read anew, so that labels move without a restart.
    "--model_config_file_poll_wait_seconds=30",
    # At the start no version is loaded yet that a label could name.
    "--allow_version_labels_for_unavailable_models=true",
    "--enable_batching=true",
    f"--batching_parameters_file={_CONFIG}/{BATCHING}",
    f"--monitoring_config_file={_CONFIG}/{MONITORING}",
)
_PADDING = """\
# Requests of one batch must be of one height and width: cut scenes into tiles of one
# size. Leave `pad_variable_length_inputs` off. It fills smaller images up with zeros,
# which the network takes for ground: classes near the edges would change.
"""


def check_kit(folder: str | Path, read: Iterable[str | Path | None] = ()) -> None:
    """Checks that a folder for the server's files holds no input and no unrelated file.

    Args:
        folder: The folder.
        read: Files and folders that are read, the model's among them.

    Raises:
        DataError: If it is read, lies in the model's folder or on another file system,
            or holds anything but such files.

    Example:
        >>> from landslide_tf import serving
        >>> serving.check_kit("server", ["model"])
    """
    read = list(read)
    for path in (folder, *read):
        if path is not None and is_remote(path):
            raise DataError(
                f"`{path}` is of another file system: the server's files need a local "
                "folder of versions; export to one, and copy both."
            )
    check_apart([folder], read)
    inside = Path(os.path.realpath(folder))
    for path in (Path(path) for path in read if path is not None):
        holds_versions = not path.exists() or versions(path)
        if holds_versions and inside.is_relative_to(os.path.realpath(path)):
            raise DataError(
                f"`{folder}` lies in `{path}`, which holds versions of a model alone: "
                "name a folder beside it."
            )
    check_own_folder(folder, "files of a server", lambda path: path.name in _FILES)


def write_kit(
    export: str | Path,
    folder: str | Path,
    *,
    tile: int | None = None,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    stable: int | None = None,
) -> list[Path]:
    """Writes the files that start TensorFlow Serving with a model's newest version.

    `models.config` serves the newest version and the one before with the labels
    `stable` and, for the newest, `canary`; `compose.yaml` and `kubernetes.yaml` start
    the server with it, with batches (`batching_parameters.txt`) and with metrics for
    Prometheus (`monitoring.config`). The version's warm-up file is replaced: it holds
    one request for each signature and batch size, of the model's tile.

    Args:
        export: The model's folder, which holds numbered versions.
        folder: Where the files go: a new folder, or one of such files.
        tile: Height and width of the clients' images in pixels, for a model of any
            size; None is the size of the training in `model.json`, or 512.
        batch_sizes: Sizes that a batch may have, ascending; smaller ones are filled up.
        stable: Version with the label `stable`; None is the one before the newest.

    Returns:
        The files.

    Raises:
        DataError: If the folder holds something else.
        ModelError: If a signature takes what is not known, or a number is out of range.
        RunError: If a version is no SavedModel, or not whole.

    Example:
        >>> import shutil
        >>> from landslide_tf import saved_models, serving
        >>> shipped = saved_models.path("fstf_net_synthetic")
        >>> _ = shutil.copytree(shipped, "model")
        >>> files = serving.write_kit("model", "server", tile=64, batch_sizes=[1, 2])
        >>> [path.name for path in files][:3]
        ['models.config', 'batching_parameters.txt', 'monitoring.config']
    """
    check_kit(folder, [export])
    export, folder = Path(export), Path(folder)
    sizes = _checked_sizes(batch_sizes)
    labels = _labels(export, stable)
    for path in (export / str(version) for version in labels.values()):
        if not (path / GRAPH_FILE).is_file():
            raise RunError(
                f"`{path}` is not a SavedModel, which TensorFlow Serving takes: "
                "export the model again, in its own format."
            )
    model = ServedModel(export / str(max(labels.values())))
    write_requests(model, _size(model, tile), sizes)
    # The host's folder is found from the file that names it.
    source = os.path.relpath(export.resolve(), folder.resolve())
    name = _service_name(model.metadata.name)
    config = {
        MODELS: _models(model.metadata.name, labels),
        BATCHING: _batching(sizes),
        MONITORING: f'prometheus_config {{ enable: true path: "{_METRICS}" }}\n',
    }
    texts = {
        **config,
        COMPOSE: _compose(name, model.metadata.name, source),
        KUBERNETES: _kubernetes(name, model.metadata.name, config),
    }
    # In the folder that is there, which a running server has mounted.
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in reversed(texts.items()):
        write_text(folder / file, text)
    return [folder / file for file in texts]


def _service_name(name: str) -> str:
    """Returns a model's name as Kubernetes takes names of services (RFC 1035)."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    plain = plain if plain[:1].isalpha() else f"model-{plain}"
    return plain[:_LONGEST].strip("-")


def _size(model: ServedModel, tile: int | None) -> tuple[int, int]:
    """Returns height and width of the clients' images."""
    if tile is not None and tile < 1:
        raise ModelError(f"Expected `tile` of at least 1 pixel, received {tile}.")
    _, height, width, _ = model.input_shapes.get("image", (None,) * 4)
    tile = tile or model.metadata.tile or TILE
    return height or tile, width or tile


def _checked_sizes(batch_sizes: Sequence[int]) -> list[int]:
    sizes = [int(size) for size in batch_sizes]
    if not sizes or sizes[0] < 1 or sizes != sorted(set(sizes)):
        raise ModelError(
            "Expected `batch_sizes` of at least 1, each larger than the one before, "
            f"received {sizes}."
        )
    return sizes


def _labels(export: Path, stable: int | None) -> dict[str, int]:
    """Returns versions by label."""
    found = sorted(versions(export))
    if not found:
        raise ModelError(
            f"`{export}` holds no version of a model: name the folder that "
            "`landslide-tf export` wrote."
        )
    if stable is None:
        stable = found[-2] if len(found) > 1 else found[-1]
    if stable not in found:
        raise ModelError(
            f"`{export}` has no version {stable} to be stable, only "
            f"{', '.join(map(str, found))}."
        )
    return {"stable": stable} | ({"canary": found[-1]} if found[-1] != stable else {})


def _models(name: str, labels: Mapping[str, int]) -> str:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "model_config_list {",
        "  config {",
        f'    name: "{quoted}"',
        f'    base_path: "/models/{quoted}"',
        '    model_platform: "tensorflow"',
        "    model_version_policy {",
        "      specific {",
        *(f"        versions: {v}" for v in sorted(set(labels.values()))),
        "      }",
        "    }",
        *(
            f'    version_labels {{ key: "{label}" value: {version} }}'
            for label, version in labels.items()
        ),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _batching(sizes: Sequence[int]) -> str:
    lines = [
        f"max_batch_size {{ value: {sizes[-1]} }}",
        "batch_timeout_micros { value: 5000 }",
        "max_enqueued_batches { value: 64 }",
        *(f"allowed_batch_sizes: {size}" for size in sizes),
    ]
    return _PADDING + "\n".join(lines) + "\n"


def _compose(service: str, name: str, source: str) -> str:
    def mounted(host: str, inside: str) -> dict[str, Any]:
        return {"type": "bind", "source": host, "target": inside, "read_only": True}

    here = "" if source.startswith(".") else "./"
    content = {
        "services": {
            service: {
                "image": IMAGE,
                "command": list(_FLAGS),
                "ports": [f"{_GRPC}:{_GRPC}", f"{_REST}:{_REST}"],
                "volumes": [
                    mounted(here + source, f"/models/{name}"),
                    mounted(".", _CONFIG),
                ],
                "restart": "unless-stopped",
            }
        }
    }
    return yaml.safe_dump(content, sort_keys=False)


def _container(name: str) -> dict[str, Any]:
    # The server answers it once the version with the label is loaded and warm.
    ready = {"path": f"/v1/models/{name}/labels/stable/metadata", "port": _REST}
    return {
        "name": "serving",
        "image": IMAGE,
        "args": list(_FLAGS),
        "ports": [
            {"name": "grpc", "containerPort": _GRPC},
            {"name": "rest", "containerPort": _REST},
        ],
        "startupProbe": {"httpGet": ready, "periodSeconds": 5, "failureThreshold": 120},
        "readinessProbe": {"httpGet": ready, "periodSeconds": 10},
        "livenessProbe": {"tcpSocket": {"port": _GRPC}, "periodSeconds": 20},
        "volumeMounts": [
            {"name": "config", "mountPath": _CONFIG, "readOnly": True},
            {"name": "model", "mountPath": f"/models/{name}", "readOnly": True},
        ],
    }


def _kubernetes(app: str, name: str, config: Mapping[str, str]) -> str:
    labels = {"app": app}
    scrape = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(_REST),
        "prometheus.io/path": _METRICS,
    }
    pod = {
        "metadata": {"labels": labels, "annotations": scrape},
        "spec": {
            "containers": [_container(name)],
            "volumes": [
                {"name": "config", "configMap": {"name": f"{app}-config"}},
                {
                    "name": "model",
                    "persistentVolumeClaim": {
                        "claimName": f"{app}-versions",
                        "readOnly": True,
                    },
                },
            ],
        },
    }
    documents = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{app}-config", "labels": labels},
            "data": dict(config),
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": app, "labels": labels},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": pod,
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": app, "labels": labels},
            "spec": {
                "selector": labels,
                "ports": [
                    {"name": "grpc", "port": _GRPC, "targetPort": "grpc"},
                    {"name": "rest", "port": _REST, "targetPort": "rest"},
                ],
            },
        },
    ]
    return yaml.safe_dump_all(documents, sort_keys=False)

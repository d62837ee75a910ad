"""What a command calls MODEL: a run, an export, a shipped name or a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.choices import Runtime
from landslide_tf.errors import ModelError, RunError, did_you_mean

if TYPE_CHECKING:
    from landslide_tf.mapping import Member
    from landslide_tf.metadata import ModelMetadata

_SUFFIXES = (".keras", ".onnx", ".xml", ".tflite")
_HELP = (
    "Run folder, export, shipped name (`mmlsv2`), model file, or address of a server."
)

Model = Annotated[str, typer.Argument(help=_HELP)]
Models = Annotated[list[str], typer.Argument(metavar="MODEL", help=_HELP)]
RuntimeOption = Annotated[
    Runtime | None,
    typer.Option(
        metavar="NAME",
        help="Runtime of an .onnx file: onnxruntime or openvino.",
        show_default="the one that is installed",
        rich_help_panel="Details",
    ),
]
Metadata = Annotated[
    Path | None,
    typer.Option(
        help="Description (model.json) of a model that has none beside it, such as a "
        "server's.",
        rich_help_panel="Details",
    ),
]


def load_member(
    name: str,
    metadata: Path | None = None,
    region: str | None = None,
    runtime: Runtime | None = None,
) -> Member:
    """Loads what a command calls MODEL.

    Args:
        name: Run folder, export, shipped name, `.keras` file, or file of another
            runtime with its `model.json` beside it, or the address of a model on a
            server.
        metadata: `model.json` of a `.keras` file that has none beside it, or of a model
            on a server.
        region: Of a model with a decoder for each of several regions, the one to take.
        runtime: What runs a file that several runtimes can.

    Returns:
        The model, ready to map.

    Raises:
        ModelError: If it has no decoder for the region.
        RunError: If it is none of these or not whole.
    """
    from landslide_tf import saved_models
    from landslide_tf.serving.address import is_address

    if is_address(name):
        check_runtime(name, runtime, by="its server")
        return _remote_member(name, metadata, region)
    path = Path(name)
    if path.suffix == ".keras" and path.is_file():
        check_runtime(name, runtime)
        return _keras_member(path, metadata, region)
    if (path / "model.keras").is_file():
        check_runtime(name, runtime)
        return _keras_member(path / "model.keras", path, region)
    if path.exists():
        return _exported_member(path, region, runtime)
    if path.suffix in _SUFFIXES or "/" in name:
        raise RunError(
            f"`{name}` does not exist: name a run folder, an export, a shipped model or"
            " a file of a model."
        )
    return _exported_member(saved_models.path(name), region, runtime)


def check_runtime(name: str, runtime: Runtime | None, by: str = "Keras") -> None:
    """Refuses a runtime for a model that something else runs."""
    if runtime is not None:
        raise RunError(f"`{name}` is run by {by}: leave out `--runtime`.")


def _exported_member(path: Path, region: str | None, runtime: Runtime | None) -> Member:
    from landslide_tf.metadata import FILE_NAME, ModelMetadata
    from landslide_tf.serving.served_model import version_folder
    from landslide_tf.serving.versions import WEIGHTS_FILE

    weights = version_folder(path) / WEIGHTS_FILE if path.is_dir() else path
    if weights.name != WEIGHTS_FILE or not weights.is_file():
        return _served_member(path, region, runtime)
    check_runtime(str(path), runtime)
    from landslide_tf.mapping import Member
    from landslide_tf.models import build_described
    from landslide_tf.models.prediction import prediction_function

    known = ModelMetadata.read(weights.parent)
    if region is not None:
        _check_regions(known, region)  # networks with regions have no such files
    network = build_described(known, weights)
    identity = _digest([weights, weights.with_name(FILE_NAME)])
    return Member(prediction_function(network), known, identity)


def _keras_member(path: Path, metadata: Path | None, region: str | None) -> Member:
    from landslide_tf.mapping import Member
    from landslide_tf.metadata import ModelMetadata
    from landslide_tf.models.prediction import prediction_function
    from landslide_tf.train.run.folder import load_network

    if metadata is None:
        raise RunError(
            f"`{path}` says nothing of bands and classes: give its model.json with "
            "`--metadata`, or name the run folder."
        )
    known = ModelMetadata.read(metadata)
    network = load_network(path)
    if region is not None:
        from landslide_tf.train import of_region

        _check_regions(known, region)
        known, network = of_region(known, network, region)
    identity = _digest([path]) if region is None else f"{_digest([path])} {region}"
    return Member(prediction_function(network), known, identity)


def _served_member(folder: Path, region: str | None, runtime: Runtime | None) -> Member:
    from landslide_tf import serving
    from landslide_tf.mapping import Member

    served = serving.load(folder, runtime=runtime)
    if region is not None:
        _check_regions(served.metadata, region)
        raise RunError(
            f"`{folder}` serves all regions: name the run, or export one region with "
            f"`landslide-tf export RUN --region {region}`."
        )
    names = list(served.input_shapes)
    if not {"image", "factors", "region"}.issuperset(names):
        raise RunError(
            f"`{folder}` takes {', '.join(f'`{n}`' for n in names)}, not an image and "
            "factors: export the model again, in another format."
        )
    return Member(
        lambda inputs: served({name: inputs[name] for name in names})["probabilities"],
        served.metadata,
        _digest(served.files),
    )


def _remote_member(address: str, metadata: Path | None, region: str | None) -> Member:
    if metadata is None:
        raise RunError(
            f"`{address}` says nothing of bands and classes: give its model.json, or "
            "its export's folder, with `--metadata`."
        )
    from landslide_tf import serving
    from landslide_tf.mapping import Member
    from landslide_tf.serving.served_model import read_metadata

    known = read_metadata(metadata)
    if region is not None:
        _check_regions(known, region)
    client = serving.Client(address, metadata=known).pinned(region)
    assert client.metadata is not None  # `known`, of the region
    return Member(client.probabilities, client.metadata, client.identity)


def _check_regions(metadata: ModelMetadata, region: str) -> None:
    known = metadata.arguments.get("regions")
    if not known:
        raise ModelError(
            f"Model `{metadata.name}` has no decoders of regions: leave out `--region` "
            "and `--regions`."
        )
    if region not in known:
        raise ModelError(
            f"Model `{metadata.name}` has no decoder for the region `{region}`."
            f"{did_you_mean(region, known)}"
        )


def _digest(files: list[Path]) -> str:
    from landslide_tf.files import sha256

    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()

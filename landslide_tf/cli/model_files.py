"""What a command calls MODEL: a run, an export, a shipped name or a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli.startup import start_backend, start_tensorflow
from landslide_tf.errors import ModelError, RunError, did_you_mean

if TYPE_CHECKING:
    from landslide_tf.mapping import Member
    from landslide_tf.metadata import ModelMetadata

Model = Annotated[str, typer.Argument(help="Run, export, shipped name or `.keras`.")]
Models = Annotated[
    list[str], typer.Argument(help="Run, export, shipped name or `.keras`.")
]
Metadata = Annotated[Path | None, typer.Option(help="model.json of a `.keras`.")]


def load_member(
    name: str, metadata: Path | None = None, region: str | None = None
) -> Member:
    """Loads what a command calls MODEL.

    Args:
        name: Run folder, SavedModel folder, shipped name, or `.keras` file.
        metadata: `model.json` of a `.keras` file that has none beside it.
        region: Of a model with a decoder for each of several regions, the one to take.

    Returns:
        The model, ready to map.

    Raises:
        ModelError: If it has no decoder for the region.
        RunError: If it is none of these or not whole.
    """
    from landslide_tf import saved_models

    path = Path(name)
    if path.suffix == ".keras" and path.is_file():
        return _keras_member(path, metadata, region)
    if (path / "model.keras").is_file():
        return _keras_member(path / "model.keras", path, region)
    if path.is_dir():
        return _served_member(path, region)
    if path.suffix == ".keras" or "/" in name:
        raise RunError(
            f"`{name}` does not exist: name a run folder, an export, a shipped model or"
            " a `.keras` file."
        )
    return _served_member(saved_models.path(name), region)


def _keras_member(path: Path, metadata: Path | None, region: str | None) -> Member:
    start_backend()
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


def _served_member(folder: Path, region: str | None) -> Member:
    start_tensorflow()
    from landslide_tf import serving
    from landslide_tf.mapping import Member

    served = serving.load(folder)
    if region is not None:
        _check_regions(served.metadata, region)
        raise RunError(
            f"`{folder}` serves all regions: name the run, or export one region with "
            f"`landslide-tf export RUN --region {region}`."
        )
    files = [p for p in served.folder.rglob("*") if p.is_file()]
    names = list(served.input_shapes)
    return Member(
        lambda inputs: served({name: inputs[name] for name in names})["probabilities"],
        served.metadata,
        _digest(sorted(files)),
    )


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

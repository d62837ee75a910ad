"""Weights that were trained elsewhere, as a run of the backend in use."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from landslide_tf import models
from landslide_tf.errors import LandslideTFError, RunError, first_line
from landslide_tf.files import atomic_folder
from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.models.ada_net import MAIN
from landslide_tf.models.assembly import functional
from landslide_tf.models.weight_files import UNREADABLE, check_weight_file
from landslide_tf.models.weights import (
    WeightFile,
    load_weights,
    read_weights,
    shipped_names,
)
from landslide_tf.models.weights.names import read_names
from landslide_tf.outputs import check_apart, check_own_folder
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.recipe.yaml_files import apply_change
from landslide_tf.train.run.folder import RunFolder, load_network, versions
from landslide_tf.words import counted

KERAS_SUFFIXES = (".keras", ".weights.h5")
_COLOURS = ("red", "green", "blue")
# Bands of an image, by their number.
BANDS = {
    3: _COLOURS,
    6: tuple(f"{time}_{colour}" for time in ("pre", "post") for colour in _COLOURS),
}
CLASSES = {
    "segmentation": ["background", "landslide"],
    "classification": ["non-landslide", "landslide"],
}


@dataclass
class _Template:
    """A network to fill, and what is known of it."""

    network: keras.Model
    builder: str
    metadata: ModelMetadata | None
    recipe: Recipe | None = None

    def kept(self) -> keras.Model:
        """Returns the network that a run keeps: without ADANet's second output."""
        if isinstance(self.network.output, dict):
            main = self.network.output[MAIN]
            return functional(self.network.inputs, main, self.network.name)
        return self.network


def import_weights(
    source: str | Path,
    folder: str | Path,
    *,
    like: str | Path | None = None,
    model: str | None = None,
    arguments: Sequence[str] = (),
    names: str | Path | None = None,
    command: str | None = None,
    overwrite: bool = False,
) -> RunFolder:
    """Makes a run from trained weights, on any backend of Keras.

    The run can be evaluated and exported; without checkpoints, it cannot be resumed.
    Of a `model` without a run it is like, there is no recipe, so that it can be
    exported and mapped with alone.

    Args:
        source: A finished run folder of any backend; a `.keras` or `.weights.h5` file
            that Keras has written; or a file of PyTorch's weights, as
            `models.weights.read_weights` reads them.
        folder: The new run folder; missing, empty, or made by the same command, and
            then replaced. It appears complete or not at all.
        like: A finished run with the same network, for a file: it gives recipe and
            metadata. Its threshold, temperature and scores belong to its own weights
            and are left out.
        model: In its place the name of the network, built for images of red, green
            and blue and for background and landslide. Of `"ada_net"` the main output
            is kept; `"output_space_discriminator"` gives `model.keras` alone.
        arguments: Arguments of the network, each as `name=value` with a YAML value.
        names: File of the names of layers in a file of PyTorch's, or one of
            `models.weights.shipped_names()`; None for those of the network.
        command: The command line, kept in `model.json`.
        overwrite: Also replaces another imported run.

    Returns:
        The new run.

    Raises:
        RunError: If a run has not ended, or the file is damaged or of another network.
        ModelError: If a file of PyTorch's, its names or an argument does not fit.
        DataError: If the folder is read, in use or cannot be written.
    """
    source = Path(source)
    read = [
        source,
        like,
        names if names is not None and Path(names).is_file() else None,
    ]
    check_apart([folder], read)
    check_own_folder(
        folder,
        "an imported run",
        _is_own,
        lambda folder: (
            command is not None and ModelMetadata.read(folder).command == command
        ),
        overwrite=overwrite,
    )
    given = [value for value in (like, model) if value is not None]
    if source.is_dir() == bool(given) or len(given) > 1:
        raise RunError(
            "Expected a run folder, or a file with the run it is `like` or the name of "
            f"its `model`; received `{source}` with {len(given)} of these."
        )
    if model is None and arguments:
        raise RunError(f"`{arguments[0]}` needs `model`: a run has its arguments.")
    if names is not None and (source.is_dir() or source.name.endswith(KERAS_SUFFIXES)):
        raise RunError(f"`names` are for files of PyTorch's, received `{source}`.")
    with atomic_folder(folder, replace=True) as temporary:
        weights = None
        # What is wrong with the files is said before a network is built.
        if names is not None:
            read_names(names)
        if given and not source.name.endswith(KERAS_SUFFIXES):
            weights = read_weights(source)
        if model is None:
            template = _of_run(RunFolder(source if like is None else Path(like)))
        else:
            template = _of_name(model, arguments)
        if given:
            _load(template, weights or source, names)
        name = Path(folder).name
        run = RunFolder(temporary)
        template.kept().save(run.model)
        _describe(template, run, name, command)
        metrics = RunFolder(source).metrics
        if not given and metrics.is_file():
            shutil.copyfile(metrics, run.metrics)
    return RunFolder(Path(folder))


def _of_run(run: RunFolder) -> _Template:
    """Returns network, recipe and metadata of a finished run."""
    recipe, metadata = run.read_recipe(), run.read_metadata()
    recipe.data.arrays = None  # a folder of the machine that trained
    return _Template(run.load_model(), metadata.builder, metadata, recipe)


def _of_name(name: str, changes: Sequence[str]) -> _Template:
    """Builds a network and describes it as that of a data set of two classes."""
    builder = getattr(models, name) if name in shipped_names() else models.get(name)
    arguments: dict[str, Any] = {}
    for change in changes:
        apply_change(arguments, change)
    try:
        network = builder(**arguments)
    except LandslideTFError:
        raise
    except (TypeError, ValueError) as error:
        line = first_line(error)
        raise RunError(f"Model `{name}`: {line}") from error
    template = _Template(network, name, None)
    inputs = {tensor.name: tensor for tensor in network.inputs}
    if "image" not in inputs:
        return template
    if "region" in inputs:
        arguments["regions"] = list(models.tsmu.regions(network))
    final = template.kept()
    bands, outputs = inputs["image"].shape[-1], final.output.shape[-1]
    if bands not in BANDS or outputs > 2 or "factors" in inputs:
        raise RunError(
            f"`{name}` with {counted(bands, 'band')} and "
            f"{counted(outputs, 'output')} needs the names of what it takes and gives: "
            "import it `like` a run of that network."
        )
    classifies = name in models.list_models(task="classification")
    kind = "classification" if classifies else "segmentation"
    template.metadata = ModelMetadata(
        name=name,
        builder="mffe_net" if name == "ada_net" else name,
        arguments=arguments,
        task=kind,
        inputs=[Band(name=band, range=(0.0, 255.0)) for band in BANDS[bands]],
        stride=1 if classifies else models.total_stride(final),
        classes=CLASSES[kind],
        landslide_class="sigmoid" if outputs == 1 else 1,
    )
    return template


def _is_own(entry: Path) -> bool:
    """Whether an entry is one of a run that was imported and not used since."""
    run = RunFolder(entry.parent)
    own = [run.recipe, run.model, run.path / "model.json", run.environment, run.metrics]
    return entry in own and run.model.is_file()


def _load(
    template: _Template, source: WeightFile | Path, names: str | Path | None
) -> None:
    """Puts the weights of a file into a network."""
    if isinstance(source, WeightFile):
        load_weights(template.network, source, names=names or template.builder)
    else:
        _load_keras(template.network, source)
    if template.metadata is not None:
        template.metadata.threshold = template.metadata.temperature = None
        template.metadata.metrics = {}


def _load_keras(model: keras.Model, path: Path) -> None:
    """Puts the weights of a file that Keras has written into a network."""
    if not path.is_file():
        raise RunError(f"`{path}` does not exist: expected a run folder or a file.")
    other = load_network(path) if path.suffix == ".keras" else None
    check_weight_file(path)
    try:
        if other is not None:
            model.set_weights(other.get_weights())
            return
        # Keras only warns of layers that the file does not have.
        with warnings.catch_warnings(action="error", category=UserWarning):
            model.load_weights(path)
    except (*UNREADABLE, UserWarning) as error:
        raise RunError(
            f"`{path}` does not fit the network of `{model.name}`: {first_line(error)}"
        ) from error


def _describe(
    template: _Template, run: RunFolder, name: str, command: str | None
) -> None:
    """Writes the recipe and `model.json` of a new run, as far as they are known."""
    if template.recipe is not None:
        template.recipe.write(run.recipe)
    if template.metadata is not None:
        template.metadata.name = name
        template.metadata.versions, template.metadata.command = versions(), command
        template.metadata.write(run.path)
    run.write_environment()

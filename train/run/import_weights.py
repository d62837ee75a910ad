"""Weights that were trained elsewhere, as a run of the backend in use."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import keras

from landslide_tf.errors import RunError
from landslide_tf.files import atomic_folder
from landslide_tf.train.run.folder import RunFolder, load_network, versions


def import_weights(
    source: str | Path,
    folder: str | Path,
    *,
    like: str | Path | None = None,
    command: str | None = None,
) -> RunFolder:
    """Makes a run that predicts as trained weights do, on any backend of Keras.

    The run can be evaluated and exported; without checkpoints, it cannot be resumed.

    Args:
        source: A finished run folder of any backend, or a `.keras` or `.weights.h5`
            file that Keras has written.
        folder: The new run folder; missing or empty. It appears complete or not at
            all.
        like: A finished run with the same network, for a file: it gives recipe and
            metadata. Its threshold, temperature and scores belong to its own weights
            and are left out.
        command: The command line, kept in `model.json`.

    Returns:
        The new run.

    Raises:
        RunError: If a run has not ended, or the file is damaged or of another network.
        DataError: If the folder is in use or cannot be written.
    """
    source = Path(source)
    if source.is_dir() == (like is not None):
        raise RunError(
            "Expected a run folder, or a file with the run it is `like`; received "
            f"`{source}` {'and' if like else 'without'} `like`."
        )
    template = RunFolder(source if like is None else Path(like))
    recipe, metadata = template.read_recipe(), template.read_metadata()
    model = template.load_model()
    if like is not None:
        _load_file(model, source)
        metadata.threshold, metadata.temperature, metadata.metrics = None, None, {}
    recipe.data.arrays = None  # a folder of the machine that trained
    metadata.name = Path(folder).name
    metadata.versions, metadata.command = versions(), command
    with atomic_folder(folder) as temporary:
        run = RunFolder(temporary)
        recipe.write(run.recipe)
        model.save(run.model)
        metadata.write(run.path)
        run.write_environment()
        if like is None and template.metrics.is_file():
            shutil.copyfile(template.metrics, run.metrics)
    return RunFolder(Path(folder))


def _load_file(model: keras.Model, path: Path) -> None:
    """Puts the weights of a file into a network."""
    if not path.is_file():
        raise RunError(f"`{path}` does not exist: expected a run folder or a file.")
    if path.suffix == ".keras":
        weights = load_network(path).get_weights()
    elif path.name.endswith(".weights.h5"):
        weights = None
    else:
        raise RunError(f"Expected a `.keras` or `.weights.h5` file, received `{path}`.")
    try:
        if weights is not None:
            model.set_weights(weights)
            return
        with warnings.catch_warnings():
            # Keras only warns of layers that the file does not have.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError, UserWarning) as error:
        line = str(error).strip().splitlines()[0]
        raise RunError(
            f"`{path}` does not fit the network of `{model.name}`: {line}"
        ) from error

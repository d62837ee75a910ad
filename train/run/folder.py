"""A run folder: where training writes and every later command reads."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata as distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslide_tf.errors import RunError, first_line
from landslide_tf.files import remove_leftovers, write_text
from landslide_tf.metadata import ModelMetadata
from landslide_tf.train.recipe.schema import Recipe, load_recipe

# Keras loads with the first model: what is no run is refused before.
if TYPE_CHECKING:
    import keras

PACKAGES = ("landslide_tf", "keras", "tensorflow-datasets", "numpy")


@dataclass(frozen=True)
class RunFolder:
    """The files of one training run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def model(self) -> Path:
        """The best model, giving probabilities."""
        return self.path / "model.keras"

    @property
    def metrics(self) -> Path:
        """One row an epoch."""
        return self.path / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of training states."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """Folder of event files."""
        return self.path / "tensorboard"

    @property
    def environment(self) -> Path:
        """Versions, backend, threads and precision of the run."""
        return self.path / "environment.json"

    @property
    def report(self) -> Path:
        """Folder of evaluations."""
        return self.path / "report"

    @property
    def page(self) -> Path:
        """The page about the run."""
        return self.path / "report.html"

    @property
    def inputs(self) -> list[Path]:
        """What later commands read of the run."""
        description = self.path / "model.json"
        return [self.recipe, self.model, description, self.metrics, self.environment,
                self.checkpoints]  # fmt: skip

    def check_recipe(self) -> None:
        """Refuses a folder without a recipe, and needs no Keras for it.

        Raises:
            RunError: If this is not a run folder.
        """
        if self.recipe.is_file():
            return
        if self.model.is_file():
            raise RunError(
                f"`{self.path}` was imported without a recipe: import its weights "
                "`--like` a run with the data to evaluate them on."
            )
        raise RunError(f"`{self.path}` is not a run folder: no `recipe.yaml`.")

    def read_recipe(self) -> Recipe:
        """Returns the resolved recipe.

        Raises:
            RunError: If this is not a run folder.
        """
        self.check_recipe()
        return load_recipe(self.recipe)

    def read_metadata(self) -> ModelMetadata:
        """Returns `model.json`.

        Raises:
            RunError: If training has not ended or this is not a run folder.
        """
        return ModelMetadata.read(self.path)

    def load_model(self) -> keras.Model:
        """Loads the best model.

        Returns:
            The network with probabilities as output.

        Raises:
            RunError: If there is no model yet or the file is damaged.
        """
        if not self.model.is_file():
            resumed = shlex.quote(str(self.path))
            raise RunError(
                f"`{self.model}` does not exist: not a run folder, or training has "
                f"not ended (`landslide-tf train --resume {resumed}`)."
            )
        return load_network(self.model)

    def check_resumable(self) -> None:
        """Refuses to resume where the end could not be that of one training.

        Raises:
            RunError: If the run was imported, or trained on another backend of Keras.
        """
        if self.model.is_file() and not self.checkpoints.is_dir():
            raise RunError(
                f"`{self.path}` was imported and has no checkpoints: there is nothing "
                "to resume; train its recipe into another folder."
            )
        import keras

        backend = keras.backend.backend()
        try:
            trained = json.loads(self.environment.read_text("utf-8"))["backend"]
        except (OSError, ValueError, KeyError, TypeError):
            return  # killed before it was written, so nothing is trained
        if trained != backend:
            raise RunError(
                f"`{self.path}` was trained on Keras's `{trained}` backend and this is "
                f"`{backend}`: set `KERAS_BACKEND={trained}`, or take a finished run "
                "over with `landslide-tf import-weights`."
            )

    def begin(self, recipe: Recipe) -> None:
        """Makes the folder, with a resolved recipe and the environment."""
        self.path.mkdir(parents=True, exist_ok=True)
        recipe.write(self.recipe)
        self.write_environment()

    def write_metrics(self, rows: Sequence[dict[str, Any]]) -> None:
        """Writes `metrics.csv`, whole, from its rows."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.metrics, text.getvalue())

    def write_environment(self) -> None:
        """Writes what the numbers of a run depend on besides its recipe."""
        write_text(self.environment, json.dumps(environment(), indent=2) + "\n")


def load_network(path: Path) -> keras.Model:
    """Loads a `.keras` file, on any backend of Keras.

    Raises:
        ModelError: If the file holds code, or what else no network needs.
        RunError: If the file is damaged.
    """
    import keras

    from landslide_tf.models.weight_files import UNREADABLE, check_weight_file

    check_weight_file(path)
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (*UNREADABLE, TypeError) as error:
        # Keras tells within a model's error that of its layer.
        inner: BaseException = error
        while isinstance(inner, TypeError) and isinstance(inner.__context__, TypeError):
            inner = inner.__context__
        raise RunError(f"`{path}` cannot be loaded: {first_line(inner)}") from error


def require_unused(folder: Path, otherwise: str = "") -> None:
    """Refuses a folder that is in use.

    What a process left that was killed before its first file was there is removed.

    Args:
        folder: Should be missing or empty.
        otherwise: What else a user can do than choose another folder, for the message.

    Raises:
        RunError: If it holds anything, or is a file.
    """
    remove_leftovers(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"`{folder}` exists and is not an empty folder: choose another `--out`"
            f"{otherwise}."
        )


def versions() -> dict[str, str]:
    """Returns the versions of the packages a run depends on."""
    import keras

    found = {"python": platform.python_version()}
    for name in (*PACKAGES, keras.backend.backend()):
        try:
            found[name] = distributions.version(name)
        except distributions.PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, Any]:
    """Returns versions, backend, devices, threads and precision as JSON values."""
    import keras

    facts: dict[str, Any] = {
        "versions": versions(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "backend": keras.backend.backend(),
        "precision": keras.config.dtype_policy().name,
    }
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        threading = tf.config.threading
        facts["threads"] = threading.get_intra_op_parallelism_threads()
        facts["onednn"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"
        facts["gpus"] = [d.name for d in tf.config.list_physical_devices("GPU")]
    if keras.backend.backend() == "jax":
        import jax

        facts["devices"] = [str(device) for device in jax.devices()]
    return facts

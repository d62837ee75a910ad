"""A sequence of regions with its state on disk, from which it is resumed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from landslide_tf import models
from landslide_tf.errors import RecipeError, RunError
from landslide_tf.files import atomic_path, remove_leftovers
from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.models import tsmu
from landslide_tf.train.continual.evaluation import (
    THRESHOLD,
    read_matrix,
    write_step,
)
from landslide_tf.train.continual.methods import stage_names
from landslide_tf.train.continual.recipe import (
    ContinualRecipe,
    load_continual_recipe,
)
from landslide_tf.train.continual.regions import Regions
from landslide_tf.train.continual.training import RegionSequence
from landslide_tf.train.run.devices import prepare_backend
from landslide_tf.train.run.folder import RunFolder, require_unused, versions
from landslide_tf.train.run.session import Session

# Called with (step, network) when a step is evaluated, before it counts as done.
StepDone = Callable[[int, keras.Model], None]
STAGES = "stages"


@dataclass(frozen=True)
class ContinualFolder:
    """The files of one continual training.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def run(self) -> RunFolder:
        """Its recipe, `model.keras`, `model.json` and `environment.json`."""
        return RunFolder(self.path)

    @property
    def state(self) -> Path:
        """Folder of the network's state, `matrix.json` and `history/`."""
        return self.path / "state"

    def stage(self, name: str) -> Path:
        """Returns the folder of a stage's checkpoints."""
        return self.path / STAGES / name

    def history(self, stage: str) -> Path:
        """Returns the file with the epochs of a stage that is done."""
        return self.state / "history" / f"{stage}.csv"

    def read_recipe(self) -> ContinualRecipe:
        """Returns the recipe.

        Raises:
            RunError: If this is not the folder of a continual training.
        """
        if not self.run.recipe.is_file():
            raise RunError(
                f"`{self.path}` is not the folder of a continual training: no "
                "`recipe.yaml`."
            )
        return load_continual_recipe(self.run.recipe)

    def done(self) -> list[str]:
        """Returns the stages that are done."""
        if not (self.state / "state.json").is_file():
            return []
        return tsmu.read_state(self.state).done


def train_continual(
    recipe: ContinualRecipe,
    folder: str | Path,
    session: Session | None = None,
    done: StepDone | None = None,
) -> ContinualFolder:
    """Trains a sequence of regions into a folder.

    Args:
        recipe: What to train.
        folder: Missing or empty.
        session: Folders and output.
        done: Called after every step.

    Returns:
        The finished folder.

    Raises:
        RunError: If the folder is in use.
        DataError: If a region's data are missing or corrupt.
    """
    place = ContinualFolder(Path(folder))
    require_unused(place.path, ", or resume it with `--resume`")
    recipe.arrivals()
    place.path.mkdir(parents=True, exist_ok=True)
    recipe.write(place.run.recipe)
    return _run(recipe, place, session or Session(), done)


def resume_continual(
    folder: str | Path, session: Session | None = None, done: StepDone | None = None
) -> ContinualFolder:
    """Resumes an interrupted continual training with the same result.

    More regions may have been added to the end of the folder's `recipe.yaml`: a
    finished training is then resumed with them.

    Args:
        folder: The folder.
        session: Folders and output.
        done: Called after every step that is not yet done.

    Returns:
        The finished folder.

    Raises:
        RunError: If this is not such a folder, or its state is damaged.
        DataError: If a region's data are missing or corrupt.
    """
    place = ContinualFolder(Path(folder))
    recipe = place.read_recipe()
    if not place.run.model.is_file():
        place.run.check_resumable()
    return _run(recipe, place, session or Session(), done)


def _run(
    recipe: ContinualRecipe,
    place: ContinualFolder,
    session: Session,
    done: StepDone | None,
) -> ContinualFolder:
    prepare_backend(recipe.training)
    place.run.write_environment()
    remove_leftovers(place.path)
    finished = place.done()
    training = RegionSequence(Regions(recipe, session), place.stage, state=place.state)
    if finished:
        training.network = tsmu.load_state(place.state)
        _check_same(recipe, training.network)
    for name in stage_names(recipe):
        if name not in finished:
            training.run(name)
            if name.endswith("_evaluate"):
                step = int(name.split("_")[0])
                cells = training.evaluated[step]
                write_step(place.state, training.regions.names, step, cells)
                if done is not None:
                    done(step, training.network)
            finished.append(name)
            _keep(training, place, finished)
    shutil.rmtree(place.path / STAGES, ignore_errors=True)
    _write_result(training, place)
    return place


def _check_same(recipe: ContinualRecipe, network: keras.Model) -> None:
    trained = [name for name in tsmu.regions(network) if name is not None]
    names = [section.name for section in recipe.arrivals()]
    if trained != names[: len(trained)] or tsmu.network(network) != recipe.network:
        raise RecipeError(
            "A recipe that is resumed must keep the regions that are trained "
            f"({', '.join(trained)}) and the model's arguments: change only what comes "
            "after them."
        )


def _keep(
    training: RegionSequence, place: ContinualFolder, finished: list[str]
) -> None:
    """Keeps what the last stage has made, and that it is done."""
    name = finished[-1]
    metrics = place.stage(name) / "metrics.csv"
    if metrics.is_file():
        with atomic_path(place.history(name)) as temporary:
            temporary.write_bytes(metrics.read_bytes())
    config = training.recipe.model_dump(mode="json")
    tsmu.save_state(training.network, place.state, done=finished, config=config)
    shutil.rmtree(place.stage(name), ignore_errors=True)
    if name.endswith("_joint") and not training.recipe.joint.keep_responses:
        shutil.rmtree(place.state / "responses", ignore_errors=True)


def describe_network(
    recipe: ContinualRecipe, network: keras.Model, name: str
) -> ModelMetadata:
    """Returns the metadata of a network of several regions.

    Args:
        recipe: The recipe it was trained by.
        network: The network.
        name: Name of the model.

    Returns:
        What `model.json` says.
    """
    regions = [r for r in tsmu.regions(network) if r is not None]
    return ModelMetadata(
        name=name,
        builder="tsmu_net",
        arguments={
            "regions": regions,
            **recipe.model.model_dump(mode="json"),
            "seed": recipe.training.seed,
        },
        inputs=[Band(name=band, range=(0.0, 255.0)) for band in recipe.data.image],
        stride=models.total_stride(network),
        classes=["background", "landslide"],
        landslide_class="sigmoid",
        threshold=THRESHOLD,
        tile=recipe.data.size,
        dataset=", ".join(dict.fromkeys(s.data for s in recipe.arrivals())),
        split="train",
        versions=versions(),
    )


def of_region(
    metadata: ModelMetadata, network: keras.Model, region: str
) -> tuple[ModelMetadata, keras.Model]:
    """Returns metadata and network of one region.

    Args:
        metadata: Of the whole network.
        network: A model of `tsmu_net`.
        region: The region.

    Returns:
        What is exported and mapped with as any other network.

    Raises:
        ModelError: If the network has no such region.
    """
    model = tsmu.for_region(network, region)
    name = model.name.removeprefix(f"{network.name}_")
    arguments = {k: v for k, v in metadata.arguments.items() if k != "regions"}
    update = {
        "name": f"{metadata.name}-{name}",
        "arguments": {"region": name, **arguments},
    }
    return metadata.model_copy(update=update), model


def _write_result(training: RegionSequence, place: ContinualFolder) -> None:
    """Writes `model.keras`, giving float32, and `model.json`."""
    keras.config.set_dtype_policy("float32")
    final = tsmu.copy(training.network)
    with atomic_path(place.run.model) as temporary:
        final.save(temporary)
    metadata = describe_network(training.recipe, final, place.path.name)
    metadata.command = training.regions.session.command
    rows = read_matrix(place.state).get("R") or [[]]
    scores = dict(zip(training.regions.names, rows[-1], strict=False))
    metadata.metrics = {
        "test": {f"{n}_iou": v for n, v in scores.items() if v is not None}
    }
    metadata.write(place.path)

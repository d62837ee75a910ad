"""A sequence of regions with its state on disk, from which a killed process goes on."""

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
from landslide_tf.pipelines import RegionExamples
from landslide_tf.train.continual.data import RegionData, load_examples, load_step
from landslide_tf.train.continual.evaluation import (
    THRESHOLD,
    evaluate_step,
    read_matrix,
    write_step,
)
from landslide_tf.train.continual.recipe import (
    ContinualRecipe,
    RegionSection,
    load_continual_recipe,
)
from landslide_tf.train.continual.responses import (
    old_regions,
    read_responses,
    responses_path,
    write_responses,
)
from landslide_tf.train.continual.stage import StageResult
from landslide_tf.train.continual.training import (
    fit_base,
    fit_joint,
    record_region,
    warm_up,
)
from landslide_tf.train.engine import Session, prepare_backend
from landslide_tf.train.run.folder import RunFolder, require_unused, versions

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


def stage_names(recipe: ContinualRecipe) -> list[str]:
    """Returns every stage of a recipe in order, such as `1_warmup`."""
    names = ["0_base", "0_evaluate"]
    for step in range(1, len(recipe.regions)):
        names += [f"{step}_warmup"] if "warmup" in recipe.stages else []
        if "joint" in recipe.stages:
            recorded = recipe.joint.responses == "recorded"
            names += [f"{step}_record"] if recorded else []
            names += [f"{step}_joint"]
        names += [f"{step}_evaluate"]
    return names


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
    require_unused(place.path, ", or go on with `--resume`")
    recipe.arrivals()
    place.path.mkdir(parents=True, exist_ok=True)
    recipe.write(place.run.recipe)
    return _run(recipe, place, session or Session(), done)


def resume_continual(
    folder: str | Path, session: Session | None = None, done: StepDone | None = None
) -> ContinualFolder:
    """Goes on with a continual training, to the end that it would have had.

    More regions may have been added to the end of the folder's `recipe.yaml`: a
    finished training then goes on with them.

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
    prepare_backend(recipe)
    place.run.write_environment()
    remove_leftovers(place.path)
    finished = place.done()
    arrivals = recipe.arrivals()
    if finished:
        network = tsmu.load_state(place.state)
        _check_same(recipe, network)
    else:
        network = models.tsmu_net(
            [arrivals[0].name],
            **recipe.model.model_dump(),
            seed=recipe.training.seed,
        )
    sequence = _Sequence(recipe, place, session, network, list(finished), done)
    for name in stage_names(recipe):
        if name not in finished:
            keras.utils.set_random_seed(recipe.training.seed)
            sequence.run(name)
    shutil.rmtree(place.path / STAGES, ignore_errors=True)
    _write_result(sequence)
    return place


def _check_same(recipe: ContinualRecipe, network: keras.Model) -> None:
    trained = [name for name in tsmu.regions(network) if name is not None]
    names = [section.name for section in recipe.arrivals()]
    if trained != names[: len(trained)] or tsmu.network(network) != recipe.network:
        raise RecipeError(
            "A recipe that goes on must keep the regions that are trained "
            f"({', '.join(trained)}) and the model's arguments: change only what comes "
            "after them."
        )


@dataclass
class _Sequence:
    """A training on its way through its stages."""

    recipe: ContinualRecipe
    place: ContinualFolder
    session: Session
    network: keras.Model
    finished: list[str]
    done: StepDone | None
    _data: tuple[int, RegionData] | None = None

    def run(self, name: str) -> None:
        """Runs one stage and keeps what it made."""
        text, kind = name.split("_")
        step = int(text)
        section = self.recipe.arrivals()[step]
        if section.name not in tsmu.regions(self.network):
            self.network = tsmu.add_region(self.network, section.name)
        stage = self.place.stage(name)
        history = getattr(self, f"_{kind}")(step, section, stage)
        if history is not None:
            place = self.place.state / "history" / f"{name}.csv"
            place.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(place) as temporary:
                temporary.write_bytes((stage / "metrics.csv").read_bytes())
        self.finished.append(name)
        tsmu.save_state(
            self.network,
            self.place.state,
            done=self.finished,
            config=self.recipe.model_dump(mode="json"),
        )
        shutil.rmtree(stage, ignore_errors=True)
        if kind == "joint" and not self.recipe.joint.keep_responses:
            shutil.rmtree(self.place.state / "responses", ignore_errors=True)

    def _step_data(self, step: int, section: RegionSection) -> RegionData:
        if self._data is None or self._data[0] != step:
            self._data = step, load_step(self.recipe, section, self.session)
        return self._data[1]

    def _base(self, step: int, section: RegionSection, stage: Path) -> StageResult:
        data = self._step_data(step, section)
        verbose = self.session.verbose
        return fit_base(self.network, data, self.recipe, stage, verbose=verbose)

    def _warmup(self, step: int, section: RegionSection, stage: Path) -> StageResult:
        data = self._step_data(step, section)
        verbose = self.session.verbose
        return warm_up(self.network, data, self.recipe, stage, verbose=verbose)

    def _record(self, step: int, section: RegionSection, stage: Path) -> None:
        data = self._step_data(step, section)
        old = old_regions(self.network, section.name)
        recorded = record_region(self.network, old, data, self.recipe)
        for name, values in zip(old, recorded, strict=True):
            path = responses_path(self.place.state, section.name, name)
            write_responses(path, data.training, data.validation, values)

    def _joint(self, step: int, section: RegionSection, stage: Path) -> StageResult:
        data = self._step_data(step, section)
        recorded = teacher = None
        if self.recipe.joint.responses == "recorded":
            recorded = [
                read_responses(
                    responses_path(self.place.state, section.name, name),
                    data.training,
                    data.validation,
                )
                for name in old_regions(self.network, section.name)
            ]
        else:
            teacher = tsmu.copy(self.network)
        return fit_joint(
            self.network,
            data,
            self.recipe,
            stage,
            recorded=recorded,
            teacher=teacher,
            verbose=self.session.verbose,
        )

    def _evaluate(self, step: int, section: RegionSection, stage: Path) -> None:
        arrivals = {s.name: s for s in self.recipe.arrivals()}

        def load(name: str) -> RegionExamples:
            return load_examples(self.recipe, arrivals[name], "test", self.session)

        cells = evaluate_step(
            self.network,
            list(arrivals),
            load,
            batch_size=self.recipe.training.validation_batch_size,
        )
        write_step(self.place.state, list(arrivals), step, cells)
        if self.done is not None:
            self.done(step, self.network)


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
    """Returns metadata and network of one region alone.

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


def _write_result(sequence: _Sequence) -> None:
    """Writes `model.keras`, giving float32, and `model.json`."""
    run, recipe = sequence.place.run, sequence.recipe
    keras.config.set_dtype_policy("float32")
    final = tsmu.copy(sequence.network)
    with atomic_path(run.model) as temporary:
        final.save(temporary)
    metadata = describe_network(recipe, final, run.path.name)
    metadata.command = sequence.session.command
    rows = read_matrix(sequence.place.state).get("R") or [[]]
    regions = [section.name for section in recipe.arrivals()]
    scores = {n: v for n, v in zip(regions, rows[-1], strict=False) if v is not None}
    metadata.metrics = {"test": {f"{name}_iou": v for name, v in scores.items()}}
    metadata.write(run.path)

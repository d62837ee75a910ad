"""Training: Keras's `fit` around a recipe, with a run folder that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.files import atomic_path
from landslide_tf.pipelines.batches import data_errors
from landslide_tf.pipelines.sequences import training_input
from landslide_tf.train.decision import fit_decision
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.agreement import check_data
from landslide_tf.train.run.devices import (
    computed_together,
    prepare_backend,
    replicated,
    settle_devices,
)
from landslide_tf.train.run.folder import RunFolder, require_unused
from landslide_tf.train.run.loop import run_fits
from landslide_tf.train.run.processes import ALONE, Processes
from landslide_tf.train.run.session import Session
from landslide_tf.train.run.validation import Part, own_share, validation_parts
from landslide_tf.train.tasks import Task, task_of
from landslide_tf.train.tasks.data import RunData


def train(
    recipe: Recipe, folder: str | Path, session: Session | None = None
) -> RunFolder:
    """Trains a recipe into a run folder.

    The same recipe and seed give the same numbers on one machine with one number of
    threads.

    Args:
        recipe: What to train.
        folder: The run folder; missing or empty.
        session: Folders and output.

    Returns:
        The finished run.

    Raises:
        RunError: If the folder is in use.
        RecipeError: If recipe and data do not fit.
        DataError: If data are missing or corrupt.
    """
    run = RunFolder(Path(folder))
    require_unused(run.path, ", or resume it with `--resume`")
    return _run(recipe, run, session or Session(), resumed=False)


def resume(folder: str | Path, session: Session | None = None) -> RunFolder:
    """Resumes a run that was interrupted, with its own recipe.

    The end result is that of an uninterrupted run. A finished run stays as it is.

    Args:
        folder: The run folder.
        session: Folders and output.

    Returns:
        The finished run.

    Raises:
        RunError: If this is not a run folder, its checkpoints are damaged, or it was
            trained on another backend of Keras.
        DataError: If data are missing or corrupt.
    """
    run = RunFolder(Path(folder))
    recipe = run.read_recipe()
    run.check_resumable()
    return _run(recipe, run, session or Session(), resumed=True)


def train_or_resume(
    recipe: Recipe, folder: str | Path, session: Session | None = None
) -> RunFolder:
    """Trains a recipe, or resumes the run of it in the folder; arguments as `train`."""
    if RunFolder(Path(folder)).recipe.is_file():
        return resume(folder, session)
    return train(recipe, folder, session)


@dataclass(frozen=True)
class Prepared:
    """Data and network of a run, ready for training.

    Attributes:
        task: The task, with every value that comes from data and machine in its recipe.
        data: Training and validation data.
        arguments: Keyword arguments of the model's builder.
        model: The compiled network, giving logits.
    """

    task: Task
    data: RunData
    arguments: dict[str, Any]
    model: keras.Model


def prepare(
    recipe: Recipe,
    session: Session,
    *,
    resumed: bool = False,
    processes: Processes = ALONE,
) -> Prepared:
    """Loads the data of a recipe and builds its network, ready for the first step.

    Args:
        recipe: What to train.
        session: Folders of data.
        resumed: Whether the recipe is that of a run, whose values from data are in it.
        processes: Those that train it together.

    Raises:
        RecipeError: If recipe and data do not fit.
        DataError: If data are missing or corrupt.
        RunError: If another process cannot, or its data are others.
    """

    def loaded() -> tuple[Task, RunData]:
        prepare_backend(recipe.training)
        settled = settle_devices(recipe, processes)
        return task_of(session.with_arrays(settled)).load(session, resumed=resumed)

    task, data = processes.each(loaded)
    if processes.count > 1:
        check_data(task.recipe, data, processes)
    devices = task.recipe.training.devices
    with computed_together(devices, processes), replicated(devices):
        # After the data and the strategy: building a data set draws from Python's
        # random numbers, and Keras seeds its initialisers from them.
        keras.utils.set_random_seed(task.recipe.training.seed)
        arguments, model = task.build(data)
    return Prepared(task, data, arguments, model)


def _run(recipe: Recipe, run: RunFolder, session: Session, resumed: bool) -> RunFolder:
    prepared = prepare(recipe, session, resumed=resumed)
    row = fit(prepared, run, session, resumed=resumed)
    write_result(prepared, run, row, session.command)
    return run


def fit(
    prepared: Prepared,
    run: RunFolder,
    session: Session,
    *,
    resumed: bool,
    processes: Processes = ALONE,
) -> Mapping[str, Any]:
    """Trains from the run's last checkpoint, or from the beginning, to the end.

    Args:
        prepared: What to train; its model gets the best weights.
        run: The run folder.
        session: Output.
        resumed: Whether the run folder holds the run already.
        processes: Those that train together.

    Returns:
        The line of `metrics.csv` of the best weights.

    Raises:
        RunError: If a checkpoint is damaged, or no best weights were saved.
        RecipeError: If the monitored value is none that training logs.
        DataError: If data are corrupt.
    """
    task, data, model = prepared.task, prepared.data, prepared.model
    with computed_together(task.recipe.training.devices, processes):
        validation = validation_parts(data.validation)
        _build_metrics(model, task.recipe, validation[0])
        if processes.first:
            run.begin(task.recipe)
        recorder = task.recorder(run, processes)
        if resumed:
            recorder.resume(model)
        run_fits(
            model,
            partial(training_input, data.training, share=own_share()),
            recorder,
            task.callbacks(run, data),
            steps=data.training.steps_per_epoch,
            validation=validation,
            verbose=session.verbosity,
        )
        return recorder.rows[recorder.restore_best(model)]


def _build_metrics(model: keras.Model, recipe: Recipe, validation: Part) -> None:
    """Makes the metric variables, which a checkpoint holds too.

    Raises:
        RecipeError: If the monitored value is none that training will log.
    """
    with data_errors(), validation.layout():
        logs = model.evaluate(validation.batches, steps=1, verbose=0, return_dict=True)
    model.reset_metrics()
    known = [*logs, *(f"val_{name}" for name in logs)]
    monitor = recipe.training.monitor
    if monitor not in known:
        hint = did_you_mean(monitor, known)
        raise RecipeError(f"`training.monitor`: there is no `{monitor}`.{hint}")


def write_result(
    prepared: Prepared, run: RunFolder, row: Mapping[str, Any], command: str | None
) -> None:
    """Writes `model.keras` and `model.json` of a run that has ended.

    Args:
        prepared: What was trained; its model has the best weights.
        run: The run folder.
        row: The line of `metrics.csv` of these weights.
        command: The command line.
    """
    task, data, model = prepared.task, prepared.data, prepared.model
    # Trained as logits in the run's precision, kept as probabilities in float32.
    keras.config.set_dtype_policy("float32")
    final, metadata = task.finish(model, prepared.arguments, data, run.path.name)
    with atomic_path(run.model) as temporary:
        final.save(temporary)
    decision = fit_decision(
        final, data.labelled, task.recipe.decision, metadata.landslide_class
    )
    metadata.threshold = decision.threshold
    metadata.temperature = decision.temperature
    metadata.command = command
    scores = {k.removeprefix("val_"): v for k, v in row.items() if "val_" in k}
    validation = {**scores, **decision.metrics}
    metadata.metrics = {"validation": validation, **metadata.metrics}
    metadata.write(run.path)

"""Training: Keras's `fit` around a recipe, with a run folder that can be resumed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras

from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.pipelines import evaluation_input, training_input
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.devices import replicated, settle_devices
from landslide_tf.train.run.finish import write_result
from landslide_tf.train.run.folder import RunFolder, require_unused
from landslide_tf.train.run.loop import Stream, run_fits
from landslide_tf.train.run.recorder import RunRecorder
from landslide_tf.train.run.starting_weights import prepare_weights
from landslide_tf.train.run.tensorboard import ValidationPictures
from landslide_tf.train.tasks.setup import (
    RunData,
    build_model,
    builder_arguments,
    compile_model,
    load_stores,
    make_batches,
    resolve,
)
from landslide_tf.train.transfer.adaptation import (
    AdaptationRecorder,
    adversarial_model,
    callbacks_of,
    paired_batches,
    settle_adaptation,
)

Verbosity = Literal[0, 1, 2]


@dataclass(frozen=True)
class Session:
    """What a run depends on besides its recipe; none of it changes its numbers.

    Attributes:
        data_dir: Folder of built data sets; None = TFDS's own.
        manual_dir: Folder with files the user has to provide.
        command: The command line, kept in `model.json`.
        verbose: Keras's verbosity; None shows a bar on a terminal, else a line an
            epoch.
        arrays: Folder of exported arrays to read the splits from; None takes the
            recipe's, which the run keeps.
    """

    data_dir: str | Path | None = None
    manual_dir: str | Path | None = None
    command: str | None = None
    verbose: Verbosity | None = None
    arrays: str | Path | None = None


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
    require_unused(run.path, ", or go on with `--resume`")
    return _run(recipe, run, session or Session(), resumed=False)


def resume(folder: str | Path, session: Session | None = None) -> RunFolder:
    """Goes on with a run that was interrupted, with its own recipe.

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
    """Trains a recipe, or goes on with the folder's run of it; arguments as `train`."""
    if RunFolder(Path(folder)).recipe.is_file():
        return resume(folder, session)
    return train(recipe, folder, session)


@dataclass(frozen=True)
class Prepared:
    """What a run trains.

    Attributes:
        recipe: The recipe with every value that comes from data and machine.
        batches: Training and validation batches.
        arguments: Keyword arguments of the model's builder.
        model: The compiled network, giving logits.
    """

    recipe: Recipe
    batches: RunData
    arguments: dict[str, Any]
    model: keras.Model


def prepare(recipe: Recipe, session: Session, *, resumed: bool = False) -> Prepared:
    """Loads the data of a recipe and builds its network, ready for the first step.

    Args:
        recipe: What to train.
        session: Folders of data.
        resumed: Whether the recipe is that of a run, whose values from data are in it.

    Raises:
        RecipeError: If recipe and data do not fit.
        DataError: If data are missing or corrupt.
    """
    prepare_backend(recipe)
    recipe = settle_devices(recipe)
    arrays = session.arrays or recipe.data.arrays
    if arrays is not None:
        recipe = recipe.model_copy(deep=True)
        recipe.data.arrays = str(Path(arrays).resolve())
    training, validation = load_stores(
        recipe, data_dir=session.data_dir, manual_dir=session.manual_dir
    )
    if not resumed:
        recipe = resolve(recipe, training)
    batches = make_batches(recipe, training, validation)
    if recipe.adaptation is not None:
        recipe = settle_adaptation(recipe)
        batches = paired_batches(
            recipe, batches, data_dir=session.data_dir, manual_dir=session.manual_dir
        )
    arguments = builder_arguments(recipe, len(training.description.classes))
    with replicated(recipe.training.devices):
        # After the data and the strategy: building a data set draws from Python's
        # random numbers, and Keras seeds its initialisers from them.
        keras.utils.set_random_seed(recipe.training.seed)
        model = build_model(recipe.model.name, arguments, activation=None)
        prepare_weights(model, recipe, training)
        steps = batches.training.steps_per_epoch
        if recipe.adaptation is None:
            compile_model(model, recipe, training, steps)
        else:
            model = adversarial_model(model, recipe, training.description, steps)
    return Prepared(recipe, batches, arguments, model)


def _run(recipe: Recipe, run: RunFolder, session: Session, resumed: bool) -> RunFolder:
    prepared = prepare(recipe, session, resumed=resumed)
    recipe, batches, model = prepared.recipe, prepared.batches, prepared.model
    validation = evaluation_input(batches.validation)
    _build_metrics(model, recipe, validation)
    run.path.mkdir(parents=True, exist_ok=True)
    recipe.write(run.recipe)
    run.write_environment()
    adaptation = recipe.adaptation
    recorder = (
        RunRecorder(run, recipe.training)
        if adaptation is None
        else AdaptationRecorder(run, recipe)
    )
    if resumed:
        recorder.resume(model)
    steps = batches.training.steps_per_epoch
    callbacks = _tensorboard(run, recipe, batches)
    if adaptation is not None:
        callbacks += callbacks_of(adaptation)
    stream = partial(training_input, batches.training)
    _fit(model, stream, validation, recorder, callbacks, steps, session.verbose)
    command = session.command
    write_result(recorder, recipe, model, prepared.arguments, batches, command)
    return run


def prepare_backend(recipe: Recipe) -> None:
    """Sets threads, determinism and precision, before anything is built.

    Raises:
        RecipeError: If TensorFlow has started with another number of threads.
    """
    section = recipe.training
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if section.threads is not None:
            threading = tf.config.threading
            try:
                threading.set_intra_op_parallelism_threads(section.threads)
                threading.set_inter_op_parallelism_threads(section.threads)
            except RuntimeError as error:
                raise RecipeError(
                    "`training.threads` cannot change once TensorFlow has started; "
                    "train in a new process."
                ) from error
        if section.deterministic:
            tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(section.precision)


def _build_metrics(
    model: keras.Model,
    recipe: Recipe,
    validation: Any,  # noqa: ANN401 - tf.data.Dataset or keras.utils.PyDataset
) -> None:
    """Makes the metric variables, which a checkpoint holds too.

    Raises:
        RecipeError: If the monitored value is none that training will log.
    """
    logs = model.evaluate(validation, steps=1, verbose=0, return_dict=True)
    model.reset_metrics()
    known = [*logs, *(f"val_{name}" for name in logs)]
    monitor = recipe.training.monitor
    if monitor not in known:
        hint = did_you_mean(monitor, known)
        raise RecipeError(f"`training.monitor`: there is no `{monitor}`.{hint}")


def _tensorboard(
    run: RunFolder, recipe: Recipe, batches: RunData
) -> list[keras.callbacks.Callback]:
    """Returns what writes event files, which needs TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        return []
    callbacks = [keras.callbacks.TensorBoard(run.tensorboard, write_graph=False)]
    every = recipe.training.pictures
    if every is not None:
        folder = run.tensorboard / "pictures"
        callbacks.append(ValidationPictures(folder, batches.validation, every))
    return callbacks


def _fit(
    model: keras.Model,
    stream: Stream,
    validation: Any,  # noqa: ANN401 - as above
    recorder: RunRecorder,
    callbacks: list[keras.callbacks.Callback],
    steps: int,
    verbose: Verbosity | None,
) -> None:
    if verbose is None:
        verbose = 1 if sys.stdout.isatty() else 2
    run_fits(
        model,
        stream,
        recorder,
        callbacks,
        steps=steps,
        validation=validation,
        verbose=verbose,
    )

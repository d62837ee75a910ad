"""Training: Keras's `fit` around a recipe, with a run folder that can be resumed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import keras

from landslide_tf.errors import RecipeError, RunError
from landslide_tf.files import atomic_path
from landslide_tf.pipelines import ExampleStore
from landslide_tf.train.checkpoint import assign_variables
from landslide_tf.train.recipe import Recipe
from landslide_tf.train.recorder import RunRecorder
from landslide_tf.train.run import RunFolder, versions
from landslide_tf.train.setup import (
    RunData,
    build_model,
    builder_arguments,
    compile_model,
    describe_model,
    load_stores,
    make_batches,
    resolve,
)

Verbosity = Literal[0, 1, 2]


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = False,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
    command: str | None = None,
    verbose: Verbosity | None = None,
) -> RunFolder:
    """Trains a recipe into a run folder.

    The same recipe and seed give the same numbers on one machine with one number of
    threads; a run that was killed and resumed gives those of an uninterrupted one.

    Args:
        recipe: What to train. With `resume`, the run's own recipe.
        folder: The run folder; must be missing or empty unless `resume`.
        resume: Go on from the newest checkpoint.
        data_dir: Folder of built data sets.
        manual_dir: Folder with files the user has to provide.
        command: The command line, kept in `model.json`.
        verbose: Keras's verbosity; None shows a bar on a terminal, else a line an
            epoch.

    Returns:
        The finished run.

    Raises:
        RunError: If the folder is in use or there is nothing to resume.
        RecipeError: If recipe and data do not fit.
        DataError: If data are missing or corrupt.
    """
    run = RunFolder(Path(folder))
    _check_folder(run, resume)
    prepare_backend(recipe)
    training, validation = load_stores(recipe, data_dir=data_dir, manual_dir=manual_dir)
    if not resume:
        recipe = resolve(recipe, training)
    batches = make_batches(recipe, training, validation)
    arguments = builder_arguments(recipe, len(training.description.classes))
    model = build_model(recipe.model.name, arguments, activation=None)
    compile_model(model, recipe, training, batches.training.steps_per_epoch)
    run.path.mkdir(parents=True, exist_ok=True)
    recipe.write(run.recipe)
    run.write_environment()
    recorder = RunRecorder(run, recipe.training)
    _fit(model, recipe, batches, recorder, resume, verbose)
    _write_model(run, recipe, recorder, model, arguments, training, command)
    return run


def prepare_backend(recipe: Recipe) -> None:
    """Sets threads, determinism, seeds and precision, before anything is built.

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
    keras.utils.set_random_seed(section.seed)
    keras.config.set_dtype_policy(section.precision)


def _check_folder(run: RunFolder, resume: bool) -> None:
    if resume:
        if not run.recipe.is_file():
            raise RunError(f"`{run.path}` holds no run to resume: no `recipe.yaml`.")
    elif run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
        raise RunError(
            f"`{run.path}` exists and is not an empty folder: choose another `--out`, "
            "or go on with `--resume`."
        )


def _fit(
    model: keras.Model,
    recipe: Recipe,
    batches: RunData,
    recorder: RunRecorder,
    resume: bool,
    verbose: Verbosity | None,
) -> None:
    section = recipe.training
    # Metric variables exist once a batch was seen; a checkpoint holds them too.
    model.evaluate(batches.validation.dataset().take(1), verbose=0)
    model.reset_metrics()
    if resume:
        recorder.resume(model)
    if recorder.stopped or recorder.epoch >= section.epochs:
        return
    if verbose is None:
        verbose = 1 if sys.stdout.isatty() else 2
    model.fit(
        batches.training.dataset(epoch=recorder.epoch),
        initial_epoch=recorder.epoch,
        epochs=section.epochs,
        steps_per_epoch=batches.training.steps_per_epoch,
        validation_data=batches.validation.dataset(),
        callbacks=[_tensorboard(recorder.run), recorder],
        shuffle=False,
        verbose=verbose,
    )


def _tensorboard(run: RunFolder) -> keras.callbacks.Callback:
    return keras.callbacks.TensorBoard(run.tensorboard, write_graph=False)


def _write_model(
    run: RunFolder,
    recipe: Recipe,
    recorder: RunRecorder,
    model: keras.Model,
    arguments: dict[str, Any],
    store: ExampleStore,
    command: str | None,
) -> None:
    best = recorder.best_weights()
    if best is None:
        raise RunError(f"`{run.checkpoints}` holds no best weights.")
    assign_variables({"model": list(model.variables)}, best)
    # Trained as logits in the run's precision, kept as probabilities in float32.
    keras.config.set_dtype_policy("float32")
    served = build_model(recipe.model.name, arguments, activation="softmax")
    served.set_weights(model.get_weights())
    with atomic_path(run.model) as temporary:
        served.save(temporary)
    described = describe_model(recipe, served, store, arguments, run.path.name)
    described.versions = versions()
    described.command = command
    row = recorder.rows[recorder.best_epoch or 0]
    described.metrics = {
        "validation": {k.removeprefix("val_"): v for k, v in row.items() if "val_" in k}
    }
    described.write(run.path)

"""Keras's `fit`, started at any step of any epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from landslide_tf.pipelines.batches import data_errors
from landslide_tf.train.run.checkpoint import averages, put
from landslide_tf.train.run.recorder import RunRecorder
from landslide_tf.train.run.validation import Part

# A training stream from (epoch, step) on, in any form `fit` takes.
Stream = Callable[[int, int], Any]


class RunCallbacks(keras.callbacks.CallbackList):
    """The callbacks of a run, which may take more than one call of `fit`.

    A run that is resumed within an epoch is two fits: one ends the broken epoch, one
    does the rest. To its callbacks it is one training: it begins and ends once, and
    the steps of the broken epoch keep their numbers. So is a validation one whose
    batches are evaluated in several parts.

    Args:
        callbacks: Callbacks without a state of their own.
        recorder: Keeps the run; called after every callback.
        validation: The parts of the validation.
        steps: Steps of a whole epoch.
        model: The model in training.
        epochs: Epochs of the whole run.
        verbose: Keras's verbosity.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        recorder: RunRecorder,
        *,
        validation: Sequence[Part],
        steps: int,
        model: keras.Model,
        epochs: int,
        verbose: int,
    ) -> None:
        super().__init__(
            list(callbacks),
            add_history=True,
            add_progbar=verbose != 0,
            model=model,
            epochs=epochs,
            steps=steps,
            verbose=verbose,
        )
        self._recorder = recorder
        self._validation = validation
        self._sums: list[NDArray[Any]] = []
        self._evaluated = self._batches = 0
        self._steps = steps
        self._done = recorder.step
        self._begun = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Passes on the first beginning only."""
        if not self._begun:
            super().on_train_begin(logs)
            self._begun = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Holds the end back until `finish`."""

    def finish(self) -> None:
        """Ends the training of which the fits were parts."""
        if self._begun:
            super().on_train_end()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on, then restores the metric sums of a broken epoch."""
        self._recorder.start_epoch()
        super().on_epoch_begin(epoch, logs)
        if self._done:
            self._recorder.restore_metrics(self.model)

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Passes on with the step's number in the whole epoch."""
        super().on_train_batch_begin(batch + self._done, logs)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Passes on with the step's number in the whole epoch, then saves if due."""
        super().on_train_batch_end(batch + self._done, logs)
        _synchronize(self.model)
        self._recorder.end_step(self.model, batch + self._done, self._steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validates, passes on, then records the epoch."""
        logs = {**(logs or {}), **self._validated()}
        super().on_epoch_end(epoch, logs)
        self._done = 0
        _synchronize(self.model)
        values = _flat(logs)
        values.update(_skipped_steps(self.model, (epoch + 1) * self._steps))
        self._recorder.end_epoch(self.model, epoch, values)

    def _validated(self) -> dict[str, Any]:
        """Returns what the validation gives, the sums of a part going on in the next.

        Not by `fit`, which knows of one part.
        """
        logs: dict[str, Any] = {}
        super().on_test_begin()
        for number, part in enumerate(self._validation):
            self._sums, self._evaluated = [], self._batches if number else 0
            if number:
                variables = self.model.metrics_variables
                self._sums = [np.array(v.numpy()) for v in variables]
            with part.layout():
                logs = self.model.evaluate(
                    part.batches, callbacks=self, verbose=0, return_dict=True
                )
        super().on_test_end(logs)
        return {f"val_{name}": value for name, value in logs.items()}

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Holds the beginning of a part back."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Holds the end of a part back."""

    def on_test_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Goes on with the sums of the parts before, which Keras has just reset."""
        if self._sums and batch == 0:
            for variable, value in zip(
                self.model.metrics_variables, self._sums, strict=True
            ):
                put(variable, value)
        super().on_test_batch_begin(batch + self._evaluated, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on with the batch's number in the whole validation."""
        super().on_test_batch_end(batch + self._evaluated, logs)
        self._batches = batch + self._evaluated + 1


class ValidateAverages(keras.callbacks.Callback):
    """Validates with the averaged weights and puts the trained ones back exactly.

    Keras's `SwapEMAWeights` swaps by adding and subtracting, which rounds: validation
    would change the training.
    """

    def __init__(self) -> None:
        super().__init__()
        self._trained: list[NDArray[Any]] = []

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Puts the averages into the model."""
        found = averages(self.model)
        variables = self.model.trainable_variables
        self._trained = [np.array(v.numpy()) for v in variables]
        for variable in variables:
            put(variable, found[variable.path])

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Puts the trained weights back."""
        for variable, value in zip(
            self.model.trainable_variables, self._trained, strict=True
        ):
            put(variable, value)


def _flat(logs: dict[str, Any]) -> dict[str, float]:
    """Lists the scores of metrics that give several, sorted as Keras logs them."""
    flat: dict[str, float] = {}
    for name, value in sorted(logs.items()):
        flat.update(_flat(value) if isinstance(value, dict) else {name: float(value)})
    return flat


def _skipped_steps(model: keras.Model, steps: int) -> dict[str, float]:
    """Counts the steps that loss scaling has left out since the run began."""
    inner = getattr(model.optimizer, "inner_optimizer", None)
    if inner is None or inner.gradient_accumulation_steps:
        return {}
    return {"skipped_steps": steps - int(inner.iterations.numpy())}


def _synchronize(model: keras.Model) -> None:
    """Writes what a compiled JAX step holds back into the model's variables."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def run_fits(
    model: keras.Model,
    stream: Stream,
    recorder: RunRecorder,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    steps: int,
    validation: Sequence[Part],
    verbose: int,
) -> None:
    """Trains from the recorder's position to the end of the run.

    Args:
        model: Compiled model, its state restored.
        stream: Gives the training batches from (epoch, step) on, endless.
        recorder: Position and rows.
        callbacks: Callbacks without a state of their own.
        steps: Steps of a whole epoch.
        validation: The parts of the validation.
        verbose: Keras's verbosity.
    """
    epochs = recorder.section.epochs
    averaged = bool(averages(model))
    if averaged:
        callbacks = [*callbacks, ValidateAverages()]
    listed = RunCallbacks(
        callbacks,
        recorder,
        validation=validation,
        steps=steps,
        model=model,
        epochs=epochs,
        verbose=verbose,
    )
    while not recorder.finished:
        epoch, done = recorder.epoch, recorder.step
        with data_errors():
            model.fit(
                stream(epoch, done),
                initial_epoch=epoch,
                epochs=epoch + 1 if done else epochs,
                steps_per_epoch=steps - done,
                callbacks=listed,
                shuffle=False,
                verbose=verbose,
            )
        if averaged and not recorder.finished:
            recorder.restore_weights(model)
    listed.finish()

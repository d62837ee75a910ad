"""What every task does with a recipe: its data, its network, its run and its result."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras

from landslide_tf.choices import TaskKind
from landslide_tf.metadata import ModelMetadata
from landslide_tf.models.backbones.pretrained import effective_normalization
from landslide_tf.pipelines import ExampleStore
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.processes import ALONE, Processes
from landslide_tf.train.run.recorder import RunRecorder
from landslide_tf.train.run.session import Session
from landslide_tf.train.tasks.compilation import (
    LOSSES,
    compile_model,
    confusion_matrix,
    make_loss,
    make_optimizer,
)
from landslide_tf.train.tasks.data import RunData, load_stores, resolve
from landslide_tf.train.tasks.network import (
    build_model,
    builder_arguments,
    describe_model,
    prepare_weights,
    without_start,
)

Row = Mapping[str, Any]  # a line of metrics.csv: numbers


@dataclass(frozen=True)
class Task(ABC):
    """A recipe and what it is trained for.

    Training asks a task for its data, then for the network, then for what watches the
    run, then for the result; each step takes what the one before gave.

    Attributes:
        recipe: The recipe; after `load` with every value that comes from the data.
    """

    recipe: Recipe

    kind: ClassVar[TaskKind] = "segmentation"
    losses: ClassVar[tuple[str, ...]] = tuple(LOSSES)

    def load(self, session: Session, *, resumed: bool) -> tuple[Self, RunData]:
        """Loads the data.

        Args:
            session: Folders of data.
            resumed: Whether the recipe is that of a run, whose values from data are in
                it.

        Returns:
            The task with the resolved recipe, and its batches.

        Raises:
            RecipeError: If recipe and data do not fit.
            DataError: If data are missing or corrupt.
        """
        recipe = self.settled()
        training, validation = load_stores(recipe, session)
        if not resumed:
            recipe = resolve(recipe, training)
        task = replace(self, recipe=recipe)
        return task, task.batches(training, validation, session)

    def settled(self) -> Recipe:
        """Returns the recipe with the values that follow from the task.

        Raises:
            RecipeError: If an option has no meaning for it.
        """
        return self.recipe

    @abstractmethod
    def batches(
        self, training: ExampleStore, validation: ExampleStore, session: Session
    ) -> RunData:
        """Returns the batches of the examples.

        Raises:
            RecipeError: If recipe and data do not fit.
            DataError: If further data are missing or corrupt.
        """

    def build(self, data: RunData) -> tuple[dict[str, Any], keras.Model]:
        """Builds the network with its first weights.

        Args:
            data: What `load` gave.

        Returns:
            The keyword arguments of its builder, and what is trained: a compiled model
            that gives logits.

        Raises:
            RecipeError: If an argument or option does not fit the network.
        """
        classes = data.store.description.classes
        arguments = builder_arguments(self.recipe, len(classes))
        network = build_model(self.recipe.model.name, arguments, activation=None)
        prepare_weights(network, self.recipe, data.store)
        return arguments, self.compiled(network, data)

    def compiled(self, network: keras.Model, data: RunData) -> keras.Model:
        """Returns what is trained, compiled and its optimiser built."""
        steps = data.training.steps_per_epoch
        compile_model(
            network,
            self.recipe,
            make_optimizer(self.recipe, steps),
            steps,
            loss=make_loss(self.recipe),
            metrics=[confusion_matrix(data.store.description)],
        )
        return network

    def recorder(self, run: RunFolder, processes: Processes = ALONE) -> RunRecorder:
        """Returns what keeps the run, which the first of several processes writes."""
        return RunRecorder(run, self.recipe.training, processes)

    def callbacks(
        self, run: RunFolder, data: RunData
    ) -> list[keras.callbacks.Callback]:
        """Returns what else watches the run: event files, which need TensorFlow."""
        if keras.backend.backend() != "tensorflow":
            return []
        return [keras.callbacks.TensorBoard(run.tensorboard, write_graph=False)]

    def finish(
        self,
        model: keras.Model,
        arguments: Mapping[str, Any],
        data: RunData,
        name: str,
    ) -> tuple[keras.Model, ModelMetadata]:
        """Makes the network that others use from what was trained.

        Args:
            model: What `build` gave, with the weights to keep.
            arguments: As `build` gave them.
            data: What it was trained on.
            name: Name of the model.

        Returns:
            The network, giving probabilities, and what `model.json` says, but for
            scores and decision.
        """
        arguments = self.trained_arguments(arguments)
        final = build_model(self.recipe.model.name, arguments, activation="softmax")
        final.set_weights(self.trained_network(model).get_weights())
        metadata = describe_model(self.recipe, final, data.store, arguments, name)
        metadata.task = self.kind
        return final, metadata

    def trained_network(self, model: keras.Model) -> keras.Model:
        """Returns the part of what was trained that is kept."""
        return model

    def trained_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments that build the network without its first weights.

        Encoder weights bring their own normalisation, which stays.
        """
        result = without_start(arguments)
        start = arguments.get("backbone_weights")
        if start is not None:
            result["normalization"] = effective_normalization(
                arguments.get("normalization", "imagenet"),
                arguments.get("backbone"),
                start,
            )
        return result

    def facts(self) -> dict[str, Any]:
        """Returns what the page of a run says of its task besides, by name."""
        return {}

    def best_epoch(self, rows: Sequence[Row]) -> str | None:
        """Returns the epoch whose weights a run keeps, counted from 1, as text.

        Args:
            rows: Lines of `metrics.csv`.
        """
        section = self.recipe.training
        values = [(float(row.get(section.monitor) or math.nan), row) for row in rows]
        values = [(value, row) for value, row in values if not math.isnan(value)]
        if not values:
            return None
        choose = max if section.mode == "max" else min
        value, row = choose(values, key=lambda pair: pair[0])  # the first of equals
        return f"{int(row['epoch']) + 1}, {section.monitor} {value:.6g}"

"""Maps of pixels: every pixel of a tile has a class."""

from __future__ import annotations

import keras

from landslide_tf.errors import RecipeError
from landslide_tf.pipelines import (
    Augmentation,
    EvaluationBatches,
    ExampleStore,
    TrainingBatches,
    holds_labels,
)
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.pictures import ValidationPictures
from landslide_tf.train.run.session import Session
from landslide_tf.train.tasks.data import RunData, input_selection
from landslide_tf.train.tasks.task import Task


class Segmentation(Task):
    """Maps pixels, from labelled tiles."""

    def batches(
        self, training: ExampleStore, validation: ExampleStore, session: Session
    ) -> RunData:
        """Returns the batches of patches and of whole tiles."""
        found, tiles = self.labelled(training, validation)
        return RunData(training, found, tiles, tiles)

    def labelled(
        self, training: ExampleStore, validation: ExampleStore
    ) -> tuple[TrainingBatches, EvaluationBatches]:
        """Returns batches of patches and of whole tiles, with the labels of pixels.

        Raises:
            RecipeError: If the data set has classes of whole images.
        """
        if holds_labels(training):
            raise RecipeError(
                f"Data set `{self.recipe.data.name}` has classes of whole images: add "
                "the section `classification`."
            )
        section = self.recipe.training
        selection = input_selection(self.recipe)
        patches = TrainingBatches(
            training,
            selection,
            batch_size=section.batch_size,
            seed=section.seed,
            augmentation=Augmentation(**self.recipe.augmentation.model_dump()),
            patch=section.patch,
            draws=section.draws,
            positive_fraction=section.positive_fraction,
            steps=section.steps,
        )
        tiles = EvaluationBatches(validation, selection, section.batch_size)
        return patches, tiles

    def callbacks(
        self, run: RunFolder, data: RunData
    ) -> list[keras.callbacks.Callback]:
        """Returns those of every task, and pictures where the recipe asks for them."""
        found = super().callbacks(run, data)
        every = self.recipe.training.pictures
        if found and every is not None:
            folder = run.tensorboard / "pictures"
            found.append(ValidationPictures(folder, data.labelled, every))
        return found

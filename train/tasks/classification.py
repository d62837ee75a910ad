"""Classes of whole images, with or without saliency in a colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from landslide_tf.errors import RecipeError
from landslide_tf.pipelines import (
    Augmentation,
    ExampleStore,
    ImageEvaluationBatches,
    ImageTrainingBatches,
    branch_stores,
    hold_out,
    holds_labels,
)
from landslide_tf.train.recipe.classification import ClassificationSection
from landslide_tf.train.run.session import Session
from landslide_tf.train.tasks.data import RunData, input_selection
from landslide_tf.train.tasks.network import without_start
from landslide_tf.train.tasks.task import Task

_COLOURS = ["red", "green", "blue"]


class Classification(Task):
    """Gives whole images a class: a recipe with a section `classification`."""

    kind = "classification"
    losses = ("cross_entropy", "focal")  # a single label has no overlap or boundary

    @property
    def section(self) -> ClassificationSection:
        """The section that makes a recipe this task's."""
        assert self.recipe.classification is not None
        return self.recipe.classification

    def batches(
        self, training: ExampleStore, validation: ExampleStore, session: Session
    ) -> RunData:
        """Returns the batches of the images that the recipe's branch sees.

        Args:
            training: Training split.
            validation: Validation split; the training split itself where the recipe
                holds a part of it out.
            session: Not looked at.

        Raises:
            RecipeError: If the recipe asks for what belongs to maps of pixels, or
                changes colours that carry saliency.
            DataError: If an image is too small for saliency.
        """
        recipe, section = self.recipe, self.section
        if not holds_labels(training):
            raise RecipeError(
                f"Data set `{recipe.data.name}` has classes of pixels: leave out the "
                "section `classification`."
            )
        self._check()
        if section.holdout is not None:
            training, validation = hold_out(training, section.holdout)
        stream = ImageTrainingBatches(
            self._branch(training),
            input_selection(recipe),
            batch_size=recipe.training.batch_size,
            seed=recipe.training.seed,
            augmentation=Augmentation(**recipe.augmentation.model_dump()),
            draws=recipe.training.draws,
            positive_fraction=recipe.training.positive_fraction,
            steps=recipe.training.steps,
            size=section.size,
            crop_area=section.crop_area,
        )
        seen = self.evaluation(self._branch(validation), recipe.training.batch_size)
        return RunData(stream.store, stream, seen, seen)

    def _branch(self, store: ExampleStore) -> ExampleStore:
        """Returns a store with the images of the section's branch."""
        section = self.section
        if section.branch == "original":
            return store
        made = branch_stores(
            store, [section.branch], mode=section.mode, border=section.border
        )
        return made[section.branch]

    def evaluation(
        self, store: ExampleStore, batch_size: int
    ) -> ImageEvaluationBatches:
        """Returns every image of a branch's store once, as the recipe evaluates it."""
        section = self.section
        return ImageEvaluationBatches(
            store,
            input_selection(self.recipe),
            batch_size,
            size=section.size,
            view=section.view,
        )

    def _check(self) -> None:
        """Refuses options that have no meaning here."""
        recipe, section, data = self.recipe, self.section, self.recipe.data
        pixels = {
            "training.patch": recipe.training.patch is not None,
            "training.pictures": recipe.training.pictures is not None,
            "model.prior_bias": recipe.model.prior_bias,
            "data.factors": bool(data.factors),
        }
        for key, given in pixels.items():
            if given:
                raise RecipeError(
                    f"`{key}` belongs to maps of pixels; leave it out of a recipe with "
                    "`classification`."
                )
        if recipe.loss.name not in self.losses:
            raise RecipeError(
                f"`loss.name` must be one of {self.losses} for whole images, received "
                f"`{recipe.loss.name}`."
            )
        if section.holdout is not None and data.train != data.validation:
            raise RecipeError(
                "`classification.holdout` cuts validation off `data.train`: expected "
                f"`data.validation: {data.train}`, received `{data.validation}`."
            )
        if section.branch == "original":
            return
        if data.image != _COLOURS or data.image_scale != 1:
            raise RecipeError(
                f"`classification.branch: {section.branch}` takes saliency from 8-bit "
                f"colours: expected `data.image: {_COLOURS}` with `image_scale: 1`, "
                f"received {data.image} with {data.image_scale:g}."
            )
        if recipe.augmentation.brightness or recipe.augmentation.contrast:
            raise RecipeError(
                "`augmentation.brightness` and `contrast` would change the saliency "
                f"that `classification.branch: {section.branch}` puts into a colour; "
                "leave them at 0."
            )

    def trained_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments that build the network without its first weights.

        A classifier has the normalisation of its encoder with and without them.
        """
        return without_start(arguments)

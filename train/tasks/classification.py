"""What a recipe with a section `classification` trains on."""

from __future__ import annotations

from landslide_tf.errors import RecipeError
from landslide_tf.pipelines import (
    Augmentation,
    ExampleStore,
    ImageEvaluationBatches,
    ImageTrainingBatches,
    InputSelection,
    branch_stores,
    hold_out,
)
from landslide_tf.train.recipe.classification import ClassificationSection
from landslide_tf.train.recipe.schema import Recipe

# Losses that a single label has a meaning for.
LOSSES = ("cross_entropy", "focal")
_COLOURS = ["red", "green", "blue"]


def image_batches(
    recipe: Recipe,
    selection: InputSelection,
    training: ExampleStore,
    validation: ExampleStore,
) -> tuple[ImageTrainingBatches, ImageEvaluationBatches]:
    """Returns the streams of a recipe that gives whole images a class.

    Args:
        recipe: The recipe, with a section `classification`.
        selection: Channels that become the network's input.
        training: Training split.
        validation: Validation split; the training split itself where the recipe holds
            a part of it out.

    Returns:
        Training and validation batches, of the images of the recipe's branch.

    Raises:
        RecipeError: If the recipe asks for what belongs to maps of pixels, or changes
            colours that carry saliency.
        DataError: If an image is too small for saliency.
    """
    section = recipe.classification
    _check(recipe, section)
    if section.holdout is not None:
        training, validation = hold_out(training, section.holdout)
    parts = (branch_store(part, section) for part in (training, validation))
    training, validation = parts
    stream = ImageTrainingBatches(
        training,
        selection,
        batch_size=recipe.training.batch_size,
        seed=recipe.training.seed,
        augmentation=Augmentation(**recipe.augmentation.model_dump()),
        draws=recipe.training.draws,
        positive_fraction=recipe.training.positive_fraction,
        size=section.size,
        crop_area=section.crop_area,
    )
    return stream, evaluation_batches(
        validation, selection, section, recipe.training.batch_size
    )


def branch_store(store: ExampleStore, section: ClassificationSection) -> ExampleStore:
    """Returns a store with the images of the section's branch."""
    if section.branch == "original":
        return store
    made = branch_stores(
        store, [section.branch], mode=section.mode, border=section.border
    )
    return made[section.branch]


def evaluation_batches(
    store: ExampleStore,
    selection: InputSelection,
    section: ClassificationSection,
    batch_size: int,
) -> ImageEvaluationBatches:
    """Returns every image of a branch's store once, as the recipe evaluates it."""
    return ImageEvaluationBatches(
        store, selection, batch_size, size=section.size, view=section.view
    )


def _check(recipe: Recipe, section: ClassificationSection) -> None:
    pixels = {
        "training.patch": recipe.training.patch is not None,
        "training.pictures": recipe.training.pictures is not None,
        "model.prior_bias": recipe.model.prior_bias,
        "data.factors": bool(recipe.data.factors),
    }
    for key, given in pixels.items():
        if given:
            raise RecipeError(
                f"`{key}` belongs to maps of pixels; leave it out of a recipe with "
                "`classification`."
            )
    if recipe.loss.name not in LOSSES:
        raise RecipeError(
            f"`loss.name` must be one of {LOSSES} for whole images, received "
            f"`{recipe.loss.name}`."
        )
    data = recipe.data
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
            "`augmentation.brightness` and `contrast` would change the saliency that "
            f"`classification.branch: {section.branch}` puts into a colour; leave them "
            "at 0."
        )

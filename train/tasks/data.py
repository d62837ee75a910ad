"""The data of a recipe: its splits, its channels, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from landslide_tf.errors import DataError, RecipeError, did_you_mean
from landslide_tf.metrics import class_weights
from landslide_tf.pipelines import (
    Channel,
    EvaluationBatches,
    EvaluationData,
    ExampleStore,
    InputSelection,
    TrainingData,
    channel_statistics,
    class_shares,
    load,
    load_arrays,
    sample_examples,
)
from landslide_tf.pipelines.batches import AnyBatch
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.session import Session
from landslide_tf.words import counted


@dataclass(frozen=True)
class RunData:
    """What a run trains on.

    Attributes:
        store: The labelled training examples.
        training: Training batches.
        validation: Validation batches.
        labelled: Those of them that have labels, which a decision is fitted on.
    """

    store: ExampleStore
    training: TrainingData[AnyBatch]
    validation: EvaluationData[AnyBatch]
    labelled: EvaluationBatches


def load_split(
    name: str, split: str, session: Session, arrays: str | Path | None = None
) -> ExampleStore:
    """Loads a split, building its data set first where it is missing.

    Args:
        name: `name[/config]` of the data set.
        split: Its split.
        session: Folders of data; its `arrays` are not looked at.
        arrays: Folder of exported arrays to read from; None reads the TFDS folder.

    Returns:
        The examples.

    Raises:
        DataError: If data are missing or corrupt.
    """
    if arrays is not None:
        return load_arrays(arrays, name, split)
    return load(
        name, split=split, data_dir=session.data_dir, manual_dir=session.manual_dir
    )


def load_stores(recipe: Recipe, session: Session) -> tuple[ExampleStore, ExampleStore]:
    """Loads the training and the validation split of a recipe.

    Args:
        recipe: Names data set, splits, arrays and how many examples to draw.
        session: Folders of data.

    Returns:
        Training and validation examples.

    Raises:
        DataError: If data are missing or corrupt, or there is no landslide to train on.
    """
    data, seed = recipe.data, recipe.training.seed
    training = load_split(data.name, data.train, session, data.arrays)
    if reason := lack_of_landslides(training):
        raise DataError(reason)
    validation = load_split(data.name, data.validation, session, data.arrays)
    if data.samples is not None:
        training = sample_examples(training, data.samples, seed)
    if data.validation_samples is not None:
        validation = sample_examples(validation, data.validation_samples, seed)
    return training, validation


def lack_of_landslides(store: ExampleStore) -> str | None:
    """Says that no example shows a landslide, and why perhaps; None where some do."""
    if store.positive.any():
        return None
    description, found = store.description, store.overview
    reason = (
        f"`{description.name}:{description.split}` must show a "
        f"`{description.class_names[description.landslide_class]}`, received none in "
        f"its {counted(len(store), 'example')}"
    )
    pixels = sum(height * width for height, width in found.shapes)
    background = int(found.labels[:, 0].sum())
    alone = background == found.labels.sum() and description.landslide_class != 0
    if alone and background < pixels:
        reason += (
            ": masks hold 0 and 255 alone, and 255 means no label; where it is the "
            "landslide, write 1 for it (`prepare --positive 255`)"
        )
    return f"{reason}."


def input_selection(recipe: Recipe) -> InputSelection:
    """Returns the channels a resolved recipe chooses."""
    data = recipe.data
    return InputSelection(
        image=tuple(data.image),
        factors=tuple(data.factors),
        image_scale=data.image_scale,
        fill={k: v for k, v in data.fill.items() if v != "median"},
    )


def resolve(recipe: Recipe, store: ExampleStore) -> Recipe:
    """Returns a recipe in which everything that comes from the data is a number.

    Args:
        recipe: The recipe as written.
        store: The training split.

    Returns:
        A copy with `data.fill`, the model's `factors` and the class weights filled
        in, and `data.factors` in the order of the model's branches.

    Raises:
        RecipeError: If the class weights or a fill do not fit the data set.
    """
    resolved = recipe.model_copy(deep=True)
    channels = store.description.channels
    InputSelection(tuple(recipe.data.image), tuple(recipe.data.factors)).check(store)
    _check_scale(recipe, channels)
    for name in recipe.data.fill:
        if name not in channels:
            raise RecipeError(
                f"`data.fill` names `{name}`, which `{store.description.name}` does "
                f"not have.{did_you_mean(name, channels)}"
            )
    # A grid's rows share `fill` and take different channels.
    taken = {*recipe.data.image, *recipe.data.factors}
    fill = {k: v for k, v in recipe.data.fill.items() if k in taken}
    weights = recipe.loss.class_weights
    classes = store.description.classes
    if isinstance(weights, str):
        made = class_weights(class_shares(store), rule=weights)
        resolved.loss.class_weights = [float(weight) for weight in made]
    elif weights is not None and len(weights) != len(classes):
        raise RecipeError(
            f"`loss.class_weights`: expected {len(classes)} weights ("
            f"{', '.join(classes)}), received {len(weights)}."
        )
    measured = [*recipe.data.factors, *fill]
    statistics = channel_statistics(store, list(dict.fromkeys(measured)))
    resolved.data.fill = {
        name: statistics[name].median if value == "median" else value
        for name, value in fill.items()
    }
    branches = recipe.model.branches
    if branches:
        resolved.data.factors = [name for names in branches.values() for name in names]
    if recipe.data.factors and "factors" not in recipe.model.arguments:
        kinds = input_selection(resolved).factor_kinds(channels, statistics)
        plain = [k if isinstance(k, str) else list(k) for k in kinds]
        own = dict(zip(resolved.data.factors, plain, strict=True))
        grouped = {b: [own[name] for name in names] for b, names in branches.items()}
        resolved.model.arguments["factors"] = grouped or plain
    return resolved


def _check_scale(recipe: Recipe, channels: Mapping[str, Channel]) -> None:
    """Refuses a scale that takes bands far above the 8 bits a network expects."""
    form = recipe.model.arguments.get("normalization", "imagenet")
    scale = recipe.data.image_scale
    for name in recipe.data.image:
        limits = channels[name].range
        if form in ("imagenet", "caffe") and limits and limits[1] * scale > 2 * 255:
            raise RecipeError(
                f"`data.image_scale`: `{name}` of up to {limits[1]:g} times "
                f"{scale:g} is {limits[1] * scale:g}; the `{form}` normalisation "
                "expects 0 to 255."
            )

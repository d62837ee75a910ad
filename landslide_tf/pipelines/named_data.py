"""Batches of a data set by its name: the package's pipelines in one's own training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from landslide_tf.pipelines.augment import Augmentation
from landslide_tf.pipelines.batches import evaluation_stream, training_stream
from landslide_tf.pipelines.built_sets import load
from landslide_tf.pipelines.classification import (
    ImageEvaluationBatches,
    ImageTrainingBatches,
    holds_labels,
)
from landslide_tf.pipelines.inputs import COLOURS, InputSelection
from landslide_tf.pipelines.segmentation import EvaluationBatches, TrainingBatches
from landslide_tf.pipelines.store import DataDescription

if TYPE_CHECKING:
    import tensorflow as tf

    from landslide_tf.pipelines.segmentation import Batch
    from landslide_tf.pipelines.sequences import EvaluationSequence, TrainingSequence

_SIZE = 224  # of images with one class each


def default_selection(description: DataDescription) -> InputSelection:
    """Returns the default channels of a network.

    Args:
        description: What the data set says about itself.

    Returns:
        Red, green and blue as `image` where there are all three, else every band; every
        factor of the data set as `factors`.
    """
    channels = description.channels
    bands = tuple(n for n, c in channels.items() if c.feature == "image")
    factors = tuple(n for n, c in channels.items() if c.feature == "factors")
    return InputSelection(COLOURS if set(COLOURS) <= set(bands) else bands, factors)


def training_data(
    data: str,
    *,
    batch_size: int,
    patch: int | None = None,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    selection: InputSelection | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> TrainingBatches:
    """Opens the training batches of a data set, which know their `steps_per_epoch`.

    Args:
        data: `name[/config][:split]`, or the folder of a built set such as `prepare`
            makes, perhaps with `:split`; without a split `train`.
        batch_size: Examples a batch, >= 1; an epoch's smaller rest is left out.
        patch: Side of a random patch in pixels; None takes whole examples. Of images
            with one class each, the side they are brought to, 224 by default.
        seed: Seed of order, places and augmentation.
        augmentation: Changes the examples undergo; None leaves them as they are.
        selection: Channels; None takes those of `default_selection`.
        data_dir: Folder of built data sets; None = TFDS's own (`TFDS_DATA_DIR`).
        manual_dir: Folder with files the user has to provide.

    Returns:
        The batches; each depends on (seed, epoch, step) alone.

    Raises:
        DataError: If the data set or a channel is unknown, the set cannot be built, or
            a batch would be larger than the set.
    """
    store = load(data, split="train", data_dir=data_dir, manual_dir=manual_dir)
    selection = selection or default_selection(store.description)
    change = augmentation or Augmentation()
    if holds_labels(store):
        return ImageTrainingBatches(
            store, selection, batch_size, seed, change, size=patch or _SIZE
        )
    return TrainingBatches(store, selection, batch_size, seed, change, patch)


def evaluation_data(
    data: str,
    *,
    batch_size: int = 8,
    patch: int | None = None,
    selection: InputSelection | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> EvaluationBatches:
    """Opens the evaluation batches of a data set: every example whole, once, in order.

    Args:
        data: As for `training_data`; without a split `validation`.
        batch_size: Most examples a batch, >= 1; those of one batch have one size.
        patch: Side that images with one class each are brought to, 224 by default; of
            no meaning for masks.
        selection: As for `training_data`.
        data_dir: As for `training_data`.
        manual_dir: As for `training_data`.

    Returns:
        The batches.

    Raises:
        DataError: If the data set or a channel is unknown, or the set cannot be built.
    """
    store = load(data, split="validation", data_dir=data_dir, manual_dir=manual_dir)
    selection = selection or default_selection(store.description)
    if holds_labels(store):
        return ImageEvaluationBatches(store, selection, batch_size, patch or _SIZE)
    return EvaluationBatches(store, selection, batch_size)


def training_dataset(
    data: str,
    *,
    batch_size: int,
    patch: int | None = None,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    selection: InputSelection | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> tf.data.Dataset:
    """Returns the training batches of a data set as an endless `tf.data.Dataset`.

    Args:
        data: As for `training_data`, as all other arguments.
        batch_size: Examples a batch.
        patch: Side of a random patch in pixels.
        seed: Seed of order, places and augmentation.
        augmentation: Changes the examples undergo.
        selection: Channels.
        data_dir: Folder of built data sets.
        manual_dir: Folder with files the user has to provide.

    Returns:
        `({"image": float32 (B, H, W, C)[, "factors": float32 (B, H, W, F)]}, labels)`
        with labels uint8 (B, H, W), 255 = ignore, or (B,). Raw values; NaN = no value
        in factors. Use it with `steps_per_epoch`; `prefetch` behind it is not needed.

    Raises:
        DataError: As `training_data`.

    Example:
        >>> from landslide_tf.pipelines import training_dataset
        >>> data = training_dataset("synthetic_landslides/tiny", batch_size=4, patch=64)
        >>> inputs, labels = next(iter(data))
        >>> inputs["image"].shape, inputs["factors"].shape, labels.shape
        (TensorShape([4, 64, 64, 3]), TensorShape([4, 64, 64, 3]), TensorShape([4, 64, 64]))
    """  # noqa: E501 - what Python prints
    return training_stream(
        training_data(
            data,
            batch_size=batch_size,
            patch=patch,
            seed=seed,
            augmentation=augmentation,
            selection=selection,
            data_dir=data_dir,
            manual_dir=manual_dir,
        )
    )


def evaluation_dataset(
    data: str,
    *,
    batch_size: int = 8,
    patch: int | None = None,
    selection: InputSelection | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> tf.data.Dataset:
    """Returns the evaluation batches of a data set as a finite `tf.data.Dataset`.

    Args:
        data: As for `evaluation_data`, as all other arguments.
        batch_size: Most examples a batch.
        patch: Side of images with one class each.
        selection: Channels.
        data_dir: Folder of built data sets.
        manual_dir: Folder with files the user has to provide.

    Returns:
        Inputs and labels as those of `training_dataset`.

    Raises:
        DataError: As `evaluation_data`.
    """
    return evaluation_stream(
        evaluation_data(
            data,
            batch_size=batch_size,
            patch=patch,
            selection=selection,
            data_dir=data_dir,
            manual_dir=manual_dir,
        )
    )


def training_sequence(
    data: str,
    *,
    batch_size: int,
    patch: int | None = None,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    selection: InputSelection | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> TrainingSequence[Batch]:
    """Returns the batches of `training_dataset` as an endless `keras.utils.PyDataset`.

    Args:
        data: As for `training_data`, as all other arguments.
        batch_size: Examples a batch.
        patch: Side of a random patch in pixels.
        seed: Seed of order, places and augmentation.
        augmentation: Changes the examples undergo.
        selection: Channels.
        data_dir: Folder of built data sets.
        manual_dir: Folder with files the user has to provide.

    Returns:
        NumPy arrays, for every backend of Keras; use it with `steps_per_epoch`.

    Raises:
        DataError: As `training_data`.
    """
    from landslide_tf.pipelines.sequences import TrainingSequence

    return TrainingSequence(
        training_data(
            data,
            batch_size=batch_size,
            patch=patch,
            seed=seed,
            augmentation=augmentation,
            selection=selection,
            data_dir=data_dir,
            manual_dir=manual_dir,
        )
    )


def evaluation_sequence(
    data: str,
    *,
    batch_size: int = 8,
    patch: int | None = None,
    selection: InputSelection | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> EvaluationSequence[Batch]:
    """Returns the batches of `evaluation_dataset` as a `keras.utils.PyDataset`.

    Args:
        data: As for `evaluation_data`, as all other arguments.
        batch_size: Most examples a batch.
        patch: Side of images with one class each.
        selection: Channels.
        data_dir: Folder of built data sets.
        manual_dir: Folder with files the user has to provide.

    Returns:
        NumPy arrays, for every backend of Keras.

    Raises:
        DataError: As `evaluation_data`.
    """
    from landslide_tf.pipelines.sequences import EvaluationSequence

    return EvaluationSequence(
        evaluation_data(
            data,
            batch_size=batch_size,
            patch=patch,
            selection=selection,
            data_dir=data_dir,
            manual_dir=manual_dir,
        )
    )

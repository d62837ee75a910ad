"""A trained network on another data set: what has to agree, and what is converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.metadata import ModelMetadata
from landslide_tf.metrics import landslide_index
from landslide_tf.pipelines import (
    DataDescription,
    ExampleStore,
    InputSelection,
    describe,
    find_builder,
)
from landslide_tf.train.recipe.model import DERIVED
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder

# Fractions and bytes; a data set may name the largest value that occurs in it.
FULL_RANGES = (1.0, 255.0)
BINARY = ("background", "landslide")


@dataclass(frozen=True)
class SharedClasses:
    """The classes in which a model is scored on a data set.

    Attributes:
        names: Their names in order, as the labels of the data set say.
        landslide: Index of the landslide class among them.
        of_model: Class of each value that the model predicts, uint8 (256,).
        of_data: Class of each value of the data set's masks, uint8 (256,); 255 =
            ignore.
    """

    names: tuple[str, ...]
    landslide: int
    of_model: NDArray[np.uint8]
    of_data: NDArray[np.uint8]

    @property
    def merged(self) -> bool:
        """Whether classes of the model or of the data set count as one."""
        values = np.arange(len(self.of_model))
        return bool((self.of_model != values).any() or (self.of_data != values).any())


def shared_classes(
    metadata: ModelMetadata, description: DataDescription
) -> SharedClasses:
    """Finds the classes in which a model can be scored on a data set.

    Where one of the two tells landslide from everything else only, the classes of the
    other that are no landslide count as background: polygons of landslides score a
    model of land cover.

    Args:
        metadata: The model's metadata.
        description: The data set.

    Returns:
        The classes, and how those of both become them.

    Raises:
        DataError: If both have several classes and these are not the same.
    """
    own, other = tuple(metadata.classes), tuple(description.classes)
    landslide = landslide_index(metadata.landslide_class)
    values = np.arange(256, dtype=np.uint8)
    if own == other and landslide == description.landslide_class:
        return SharedClasses(description.class_names, landslide, values, values)
    if min(len(own), len(other)) > len(BINARY):
        raise _other_classes(metadata, description)
    of_model, of_data = (
        (values == index).astype(np.uint8)
        for index in (landslide, description.landslide_class)
    )
    of_data[IGNORE_VALUE] = IGNORE_VALUE
    background, name = BINARY
    names = background, description.landslide_name or name
    return SharedClasses(names, BINARY.index(name), of_model, of_data)


def _other_classes(metadata: ModelMetadata, description: DataDescription) -> DataError:
    return DataError(
        f"Data set `{description.name}` has the classes {list(description.classes)}, "
        f"expected the model's {metadata.classes}."
    )


def check_classes(metadata: ModelMetadata, description: DataDescription) -> None:
    """Refuses a data set that a model cannot be trained on as it is.

    Args:
        metadata: The model's metadata.
        description: The data set.

    Raises:
        DataError: If its classes are not those of the model.
    """
    if list(description.classes) != metadata.classes:
        raise _other_classes(metadata, description)


def recipe_for(
    recipe: Recipe, metadata: ModelMetadata, description: DataDescription
) -> Recipe:
    """Returns a run's recipe with `data.image_scale` for another data set.

    The bands are scaled together so that their full range is the one the network was
    trained with: a network of 8-bit values sees fractions times 255.

    Args:
        recipe: The run's recipe.
        metadata: The run's metadata.
        description: The other data set.

    Returns:
        The recipe, or a copy with another scale.

    Raises:
        DataError: If bands or the units of factors are not those of the run.
    """
    name = description.name
    bands = [band.name for band in metadata.inputs]
    units = {factor.name: factor.unit for factor in metadata.factors}
    _check_channels(description, bands, units, "model")
    if (metadata.dataset or "").partition(":")[0] == name:
        return recipe
    ranges = {band.name: band.range for band in metadata.inputs}
    scale = _scale(ranges, description)
    if scale is None:
        return recipe
    changed = recipe.model_copy(deep=True)
    changed.data.image_scale = scale
    return changed


def selection_for(
    metadata: ModelMetadata, description: DataDescription
) -> InputSelection:
    """Returns what a model takes of a data set, where only its metadata are known.

    Args:
        metadata: The model's metadata.
        description: The data set.

    Returns:
        The selection, with the scale of `recipe_for`.

    Raises:
        DataError: If bands or the units of factors are not the model's, or its bands
            have scales of their own.
    """
    bands = {band.name: band for band in metadata.inputs}
    units = {factor.name: factor.unit for factor in metadata.factors}
    _check_channels(description, list(bands), units, "model")
    scales = {band.scale for band in metadata.inputs}
    if len(scales) > 1:
        raise DataError(
            f"The bands of `{metadata.name}` have a scale each ({sorted(scales)}): "
            "evaluate the run."
        )
    scale = scales.pop()
    if (metadata.dataset or "").partition(":")[0] != description.name:
        ranges = {name: band.range for name, band in bands.items()}
        scale = _scale(ranges, description) or scale
    return InputSelection(tuple(bands), tuple(units), scale)


def start_values(source: RunFolder, metadata: ModelMetadata) -> dict[str, Any]:
    """Returns the values of a recipe that begins with the network of a finished run.

    Args:
        source: The run.
        metadata: Its metadata.

    Returns:
        Values by key, as `change_recipe` takes them.
    """
    arguments = {k: v for k, v in metadata.arguments.items() if k not in DERIVED}
    return {
        "model.name": metadata.builder,
        "model.arguments": arguments,
        "model.stem": None,
        "model.prior_bias": False,
        "model.start": str(source.path.resolve()),
    }


def target_selection(
    selection: InputSelection, source: DataDescription, target: DataDescription
) -> InputSelection:
    """Returns the selection that gives the target's channels the source's range.

    Raises:
        DataError: If a factor has another unit, or the bands need a scale each.
    """
    units = {name: source.channels[name].unit for name in selection.factors}
    _check_channels(target, selection.image, units, "source")
    scales = set()
    for name in selection.image:
        own, other = source.channels[name].range, target.channels[name].range
        if own and other and other[1] > 0:
            scales.add(round(own[1] / other[1], 6))
    if len(scales) > 1:
        raise DataError(
            f"The bands of `{target.name}` need a scale each to have the ranges of "
            f"`{source.name}` ({sorted(scales)}): scale them first."
        )
    scale = scales.pop() if scales else 1.0
    return replace(selection, image_scale=selection.image_scale * scale)


def _check_channels(
    other: DataDescription, bands: Sequence[str], units: Mapping[str, str], whose: str
) -> None:
    """Refuses a data set that lacks a band, or has a factor in another unit."""
    for name in (*bands, *units):
        if name not in other.channels:
            raise DataError(
                f"Data set `{other.name}` has no band or factor `{name}`, which the "
                f"network takes.{did_you_mean(name, other.channels)}"
            )
    for name, unit in units.items():
        found = other.channels[name].unit
        if found != unit:
            raise DataError(
                f"Data set `{other.name}` has `{name}` in `{found}`, expected the "
                f"{whose}'s `{unit}`."
            )


def image_scale_for(recipe: Recipe, name: str) -> float:
    """Returns the `data.image_scale` that fits a recipe to another data set.

    Args:
        recipe: A recipe with the scale of its own data set.
        name: `name[/config]` of the other one; it need not be built.

    Returns:
        The scale at which both reach the same values; the recipe's own where a range
        is not known.

    Raises:
        DataError: If there is no such data set, or it lacks a band.
    """
    own, other = (_described(data) for data in (recipe.data.name, name))
    InputSelection(tuple(recipe.data.image), tuple(recipe.data.factors)).check(
        ExampleStore(other, [], [])
    )
    scale = recipe.data.image_scale
    ranges = {}
    for band in recipe.data.image:
        limits = own.channels[band].range
        ranges[band] = limits and (limits[0] * scale, limits[1] * scale)
    return _scale(ranges, other) or scale


def _described(name: str) -> DataDescription:
    return describe(find_builder(name).info.metadata or {}, name, "")


def _scale(
    ranges: Mapping[str, tuple[float, float] | None], other: DataDescription
) -> float | None:
    """Returns the factor from a data set's bands to given ranges; None = unknown."""
    pairs = [
        (wanted[1], found[1])
        for name, wanted in ranges.items()
        if wanted is not None and (found := other.channels[name].range) is not None
    ]
    if not pairs:
        return None
    ends = [_full(max(values)) for values in zip(*pairs, strict=True)]
    return ends[0] / ends[1] if min(ends) > 0 else None


def _full(largest: float) -> float:
    """Returns the end of the full range that a largest value belongs to."""
    return next((full for full in FULL_RANGES if 0 < largest <= full), largest)

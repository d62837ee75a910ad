"""A trained network on another data set: what has to agree, and what is converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.metadata import ModelMetadata
from landslide_tf.pipelines import (
    DataDescription,
    ExampleStore,
    InputSelection,
    describe,
    find_builder,
)
from landslide_tf.train.recipe.schema import DERIVED, Recipe
from landslide_tf.train.run.folder import RunFolder

# Fractions and bytes; a data set may name the largest value that occurs in it.
FULL_RANGES = (1.0, 255.0)


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
        DataError: If classes, bands or the units of factors are not those of the run.
    """
    name = description.name
    if list(description.classes) != metadata.classes:
        raise DataError(
            f"Data set `{name}` has the classes {list(description.classes)}, "
            f"expected the model's {metadata.classes}."
        )
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

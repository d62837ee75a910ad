"""A trained network on another data set: what has to agree, and what is converted."""

from __future__ import annotations

import math

from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.metadata import ModelMetadata
from landslide_tf.pipelines import DataDescription
from landslide_tf.train.recipe import Recipe


def recipe_for(
    recipe: Recipe, metadata: ModelMetadata, description: DataDescription
) -> Recipe:
    """Returns a run's recipe with `data.image_scale` for another data set.

    Bands are scaled so that their full range is the one the network was trained with:
    a network of 8-bit values sees values of 0..1 times 255.

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
    channels = description.channels
    for wanted in (*metadata.inputs, *metadata.factors):
        if wanted.name not in channels:
            raise DataError(
                f"Data set `{name}` has no band or factor `{wanted.name}`, which the "
                f"model takes.{did_you_mean(wanted.name, channels)}"
            )
    for factor in metadata.factors:
        unit = channels[factor.name].unit
        if unit != factor.unit:
            raise DataError(
                f"Data set `{name}` has `{factor.name}` in `{unit}`, expected the "
                f"model's `{factor.unit}`."
            )
    if metadata.dataset.partition(":")[0] == name:
        return recipe
    scales = []
    for band in metadata.inputs:
        own = channels[band.name].range
        if band.range is not None and own is not None and own[1] > 0:
            scales.append(band.range[1] / own[1])
    if not scales:
        return recipe
    if not all(math.isclose(scale, scales[0], rel_tol=1e-6) for scale in scales):
        raise DataError(
            f"The bands of data set `{name}` need a scale each to fit the model's "
            f"ranges ({', '.join(f'{scale:g}' for scale in scales)}): scale them first."
        )
    changed = recipe.model_copy(deep=True)
    changed.data.image_scale = scales[0]
    return changed

"""Further signatures of models that choose a decoder by region."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landslide_tf.array_types import IntArray, Tensor
from landslide_tf.ecoregions import ANY, CODES, NO_REGION, REGIONS
from landslide_tf.metadata import ModelMetadata

if TYPE_CHECKING:
    import keras

INPUT = "region"
FILE_NAME = "regions.json"
BY_NAME, PAIR = "by_name", "pair_uint8"
MASK = "mask"
_UNKNOWN = -2
_THRESHOLD = 0.5
_PAIR_BANDS = 6

Serve = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def has_regions(model: keras.Model) -> bool:
    """Says whether a model takes a region with each image."""
    return INPUT in [tensor.name for tensor in model.inputs]


def names(model: keras.Model) -> dict[int, str]:
    """Returns the regions of a model by index; removed ones are left out."""
    from landslide_tf.models import tsmu

    return {k: name for k, name in enumerate(tsmu.regions(model)) if name is not None}


def some_indices(model: keras.Model, count: int) -> IntArray:
    """Returns indices that the model knows, the newest region's first."""
    return np.resize(np.array(list(names(model))[::-1], np.int32), count)


def write_names(model: keras.Model, folder: Path) -> None:
    """Writes `regions.json`: the name of every index."""
    text = json.dumps(names(model), indent=1)
    (folder / FILE_NAME).write_text(text + "\n")


def with_mask(outputs: dict[str, Tensor], metadata: ModelMetadata) -> dict[str, Tensor]:
    """Adds the decision to served probabilities, uint8, 1 = landslide."""
    import tensorflow as tf

    limit = _THRESHOLD if metadata.threshold is None else metadata.threshold
    return {**outputs, MASK: tf.cast(outputs["probabilities"] >= limit, tf.uint8)}


def signatures(
    model: keras.Model,
    serve: Serve,
    module: Any,  # noqa: ANN401 - a tf.Module
) -> dict[str, Any]:
    """Returns the signatures that take regions by name.

    Args:
        model: A model of `tsmu_net`.
        serve: The function of `serving_default`.
        module: What is saved; keeps the table of names.

    Returns:
        Concrete functions: `by_name` (`image`, `region` as text: a name or code in any
        case, `*` for no region) and, where the model takes pairs, `pair_uint8` (`pre`
        and `post`, uint8, and `region`). An unknown name is an `InvalidArgument` error.
    """
    import tensorflow as tf

    known = {name: index for index, name in names(model).items()}
    codes = {c: known[r] for r, c in zip(REGIONS, CODES, strict=True) if r in known}
    known = {**codes, **known, ANY: NO_REGION}
    module.regions = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            list(known), list(known.values()), tf.string, tf.int32
        ),
        _UNKNOWN,
    )
    words = f"`region` must be one of {', '.join(known)}, received:"

    def indices(region: Tensor) -> Tensor:
        plain = tf.strings.upper(tf.strings.strip(region))
        plain = tf.strings.regex_replace(plain, r"[\s\-]+", "_")
        found = module.regions.lookup(plain)
        missing = tf.boolean_mask(region, found == _UNKNOWN)
        check = tf.debugging.Assert(tf.size(missing) == 0, [words, missing])
        with tf.control_dependencies([check]):
            return tf.identity(found)

    bands = next(t.shape[-1] for t in model.inputs if t.name != INPUT)
    text = tf.TensorSpec((None,), tf.string, name=INPUT)
    image = tf.TensorSpec((None, None, None, bands), tf.float32, name="image")

    @tf.function(input_signature=[{"image": image, INPUT: text}], autograph=False)
    def by_name(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return serve({**inputs, INPUT: indices(inputs[INPUT])})

    made = {BY_NAME: by_name.get_concrete_function()}
    if bands == _PAIR_BANDS:
        half = (None, None, None, bands // 2)
        pre, post = (tf.TensorSpec(half, tf.uint8, name=n) for n in ("pre", "post"))
        specs = {"pre": pre, "post": post, INPUT: text}

        @tf.function(input_signature=[specs], autograph=False)
        def pair(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            both = tf.concat([inputs["pre"], inputs["post"]], axis=-1)
            return by_name({"image": tf.cast(both, tf.float32), INPUT: inputs[INPUT]})

        made[PAIR] = pair.get_concrete_function()
    return made

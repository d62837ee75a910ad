"""What an export serves beside `serving_default`: regions by name, the fusion alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from landslide_tf.array_types import IntArray, Tensor
from landslide_tf.ecoregions import ANY, CODES, NO_REGION, REGIONS
from landslide_tf.metadata import ModelMetadata

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from landslide_tf.layers import EvidentialFusion

REGION = "region"  # the input
BY_NAME, PAIR, FUSE = "by_name", "pair_uint8", "fuse"
MASK = "mask"
_UNKNOWN = -2
_THRESHOLD = 0.5
_PAIR_BANDS = 6

Serve = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def has_regions(model: keras.Model) -> bool:
    """Says whether a model takes a region with each image."""
    return REGION in [tensor.name for tensor in model.inputs]


def names(model: keras.Model) -> dict[int, str]:
    """Returns the regions of a model by index; removed ones are left out."""
    from landslide_tf.models import tsmu

    return {k: name for k, name in enumerate(tsmu.regions(model)) if name is not None}


def some_indices(model: keras.Model, count: int) -> IntArray:
    """Returns indices that the model knows, the newest region's first."""
    return np.resize(np.array(list(names(model))[::-1], np.int32), count)


def with_mask(outputs: dict[str, Tensor], metadata: ModelMetadata) -> dict[str, Tensor]:
    """Adds the decision to served probabilities, uint8, 1 = landslide."""
    import tensorflow as tf

    limit = _THRESHOLD if metadata.threshold is None else metadata.threshold
    return {**outputs, MASK: tf.cast(outputs["probabilities"] >= limit, tf.uint8)}


def further_signatures(
    model: keras.Model, serve: Serve, module: tf.Module
) -> dict[str, Callable[..., Tensor]]:
    """Returns the signatures beside `serving_default`.

    Args:
        model: The model.
        serve: The function of `serving_default`.
        module: What is saved; keeps the table of names.

    Returns:
        Concrete functions by name: those of `_by_region` where the model takes a
        region with each image, and that of `_fusion` where it fuses branches.
    """
    from landslide_tf.layers import EvidentialFusion  # Keras is for exporting alone

    found = _by_region(model, serve, module) if has_regions(model) else {}
    for layer in model.layers:
        if isinstance(layer, EvidentialFusion):
            found |= _fusion(layer)
    return found


def _by_region(
    model: keras.Model, serve: Serve, module: tf.Module
) -> dict[str, Callable[..., Tensor]]:
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

    bands = next(t.shape[-1] for t in model.inputs if t.name != REGION)
    text = tf.TensorSpec((None,), tf.string, name=REGION)
    image = tf.TensorSpec((None, None, None, bands), tf.float32, name="image")

    @tf.function(input_signature=[{"image": image, REGION: text}], autograph=False)
    def by_name(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return serve({**inputs, REGION: indices(inputs[REGION])})

    made = {BY_NAME: by_name.get_concrete_function()}
    if bands == _PAIR_BANDS:
        half = (None, None, None, bands // 2)
        pre, post = (tf.TensorSpec(half, tf.uint8, name=n) for n in ("pre", "post"))
        specs = {"pre": pre, "post": post, REGION: text}

        @tf.function(input_signature=[specs], autograph=False)
        def pair(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            both = tf.concat([inputs["pre"], inputs["post"]], axis=-1)
            return by_name({"image": tf.cast(both, tf.float32), REGION: inputs[REGION]})

        made[PAIR] = pair.get_concrete_function()
    return made


def _fusion(layer: EvidentialFusion) -> dict[str, Callable[..., Tensor]]:
    """Returns the signature that fuses probabilities from anywhere.

    Args:
        layer: The model's fusion.

    Returns:
        The concrete function `fuse`: `probs` (batch, branches, 2), calibrated softmax
        values of (non-landslide, landslide) of each branch, to `probabilities`,
        `label`, `weights`, `conflict` and `vacuity`.
    """
    import tensorflow as tf

    branches = layer.input.shape[1]
    spec = tf.TensorSpec((None, branches, 2), tf.float32, name="probs")

    @tf.function(input_signature=[{"probs": spec}], autograph=False)
    def fuse(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return layer(inputs["probs"])

    return {FUSE: fuse.get_concrete_function()}

"""Checks of a request inside the graph, and pixels without a value.

A server runs nothing but the graph: what it does not refuse reaches the kernels, of
which some end the process. The checks hold as long as the placeholders of a signature
have no known rank: of a known one TensorFlow removes them as always true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from landslide_tf.array_types import Shape, Tensor

if TYPE_CHECKING:
    import tensorflow as tf

# No measured value is that large: rasters without a tag hold float32's extremes. Of
# the same size as `terrain` takes for elevations.
NO_VALUE = 1e30

_AXES = {4: ("batch", "height", "width", "channels"), 3: ("batch", "height", "width")}
# Inputs whose height and width are those of the image.
_MAPS = ("image", "factors", "elevation", "pre", "post")


class Limits(NamedTuple):
    """Sizes of a request.

    Attributes:
        smallest: Least height and width, pixels.
        max_pixels: Most pixels, batch x height x width; None = any number.
    """

    smallest: int = 1
    max_pixels: int | None = None


def refuse(unless: Tensor, words: str, *values: Tensor) -> tf.Operation:
    """Returns an operation that fails as `InvalidArgument` unless a condition holds.

    Args:
        unless: The condition, a bool.
        words: One sentence with a `{}` for each value.
        *values: Shapes, sizes or texts of the request.
    """
    import tensorflow as tf

    shown = [_shown(value) for value in values]
    first, *rest = words.split("{}")
    parts = [first]
    for text, then in zip(shown, rest, strict=True):
        parts += [text, then]
    return tf.debugging.Assert(unless, [tf.strings.join(parts)], summarize=1)


def _shown(value: Tensor) -> Tensor:
    import tensorflow as tf

    if value.dtype == tf.string:
        return value
    text = tf.strings.as_string(value)
    return tf.strings.reduce_join(tf.reshape(text, [-1]), separator=" x ")


def placeholder(name: str, dtype: str | tf.DType) -> tf.TensorSpec:
    """Returns the specification of an input whose rank is checked in the graph."""
    import tensorflow as tf

    return tf.TensorSpec(None, dtype, name=name)


def checked(
    inputs: Mapping[str, Tensor], shapes: Mapping[str, Shape], limits: Limits
) -> dict[str, Tensor]:
    """Returns the inputs of a request once they fit the model and each other.

    Args:
        inputs: Tensors of unknown rank, by name.
        shapes: What each must be, the batch first; None = any size >= 1.
        limits: Sizes of the request.

    Returns:
        The same tensors with these static shapes. What uses them waits for the checks.
    """
    ranked = {name: _ranked(name, inputs[name], shapes[name]) for name in shapes}
    return _of_one_size(ranked, limits)


def _ranked(name: str, tensor: Tensor, shape: Shape) -> Tensor:
    import tensorflow as tf

    # `tf.rank` would be folded by TensorFlow, which believes the shape set below.
    found = tf.shape(tensor)
    words = f"`{name}` must be {_described(shape)}, received {{}}."
    scalar = tf.where(tf.size(found) == 0, "a single value", _shown(found))
    right_rank = refuse(tf.size(found) == len(shape), words, scalar)
    with tf.control_dependencies([right_rank]):
        known = tf.identity(found)
    wanted = tf.constant([-1 if size is None else size for size in shape])
    fits = tf.reduce_all((wanted == known) | ((wanted == -1) & (known > 0)))
    with tf.control_dependencies([refuse(fits, words, known)]):
        return tf.ensure_shape(tf.identity(tensor), shape)


def _described(shape: Shape) -> str:
    """Names the axes of a shape, with the sizes that are fixed."""
    if len(shape) == 1:
        return "(batch), one value an image and at least one"
    names = _AXES.get(len(shape), ("batch", *["size"] * (len(shape) - 1)))
    sizes = [
        name if size is None else str(size)
        for name, size in zip(names, shape, strict=True)
    ]
    return f"({', '.join(sizes)}) with at least one of each"


def _of_one_size(tensors: Mapping[str, Tensor], limits: Limits) -> dict[str, Tensor]:
    """Returns tensors once batches, heights and widths are equal and within limits."""
    import tensorflow as tf

    checks = []
    first, *others = sorted(
        tensors, key=lambda name: (name != "image", name not in _MAPS)
    )
    size = tf.shape(tensors[first])
    for name in others:
        axes = 3 if name in _MAPS and first in _MAPS else 1
        words = f"`{name}` must have the {_AXES[3][0] if axes == 1 else 'size'} of "
        words += f"`{first}`, received {{}} beside {{}}."
        mine = tf.shape(tensors[name])[:axes]
        same = tf.reduce_all(mine == size[:axes])
        checks.append(refuse(same, words, mine, size[:axes]))
    if first in _MAPS:
        checks += within(size[:3], first, limits)
    with tf.control_dependencies(checks):
        return {name: tf.identity(tensor) for name, tensor in tensors.items()}


def within(size: Tensor, name: str, limits: Limits) -> Sequence[tf.Operation]:
    """Returns the checks of (batch, height, width) against the limits."""
    import tensorflow as tf

    checks = []
    if limits.smallest > 1:
        words = f"`{name}` must be at least {limits.smallest} pixels high and wide, "
        small = tf.reduce_all(size[1:] >= limits.smallest)
        checks.append(refuse(small, words + "received {}.", size[1:]))
    if limits.max_pixels is not None:
        words = f"`{name}` must have at most {limits.max_pixels} pixels in one request "
        words += "(batch x height x width), received {}: send smaller tiles."
        pixels = tf.reduce_prod(tf.cast(size, tf.int64))
        checks.append(refuse(pixels <= limits.max_pixels, words, size))
    return checks


def filled(image: Tensor) -> tuple[Tensor, Tensor]:
    """Replaces pixels without a value by 0, as `landslide-tf map` does.

    Args:
        image: float32 (batch, height, width, bands).

    Returns:
        The image, 0 in all bands where one is NaN, infinite or beyond 1e30, and bool
        (batch, height, width, 1), true for the other pixels.
    """
    import tensorflow as tf

    valid = tf.reduce_all(tf.abs(image) < NO_VALUE, axis=-1, keepdims=True)
    return tf.where(valid, image, tf.zeros_like(image)), valid


def known_factors(factors: Tensor, missing: float) -> Tensor:
    """Replaces factors without a value by what the network takes for it."""
    import tensorflow as tf

    return tf.where(tf.abs(factors) < NO_VALUE, factors, tf.constant(missing))

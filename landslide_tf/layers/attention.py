"""Self-attention over all tokens of an image, and over windows of its features."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from landslide_tf.array_types import FloatArray, IntArray, Shape, Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers.tokens import dense

# Added to the scores of places that do not see each other (Liu et al. 2021).
APART = -100.0
# Largest factor of a cosine (Liu et al. 2022, section 3.2).
STEEPEST = 100.0
# Hidden units and greatest value of the network of positions; its offsets reach 8.
HIDDEN, HIGHEST, REACH = 512, 16.0, 8.0


def _check_heads(channels: int, heads: int) -> None:
    if channels % heads:
        raise ModelError(
            f"`heads` must divide the channels, received {heads} heads of {channels} "
            "channels."
        )


def _separate(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Splits (batch, tokens, 3 × channels) into three (batch, heads, tokens, depth)."""
    ops = keras.ops
    tokens, channels = ops.shape(qkv)[1], qkv.shape[-1] // 3
    qkv = ops.reshape(qkv, (-1, tokens, 3, heads, channels // heads))
    query, key, value = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), 3, axis=0)
    return query, key, value


def _gathered(scores: Tensor, value: Tensor, channels: int) -> Tensor:
    """Returns the values weighted by softmax(scores), (batch, tokens, channels)."""
    ops = keras.ops
    weights = ops.cast(ops.softmax(scores, axis=-1), value.dtype)
    y = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
    return ops.reshape(y, (-1, ops.shape(y)[1], channels))


def _products(query: Tensor, key: Tensor) -> Tensor:
    """Returns the scores of all pairs, in float32 under every policy."""
    ops = keras.ops
    scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
    return ops.cast(scores, "float32")


@keras.saving.register_keras_serializable(package="landslide_tf")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2) of (b, tokens, c).

    One dense layer `qkv` makes queries, keys and values, as in the published ViT.

    Args:
        heads: Heads, a divisor of the channels.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If the heads do not divide the channels.
    """

    def __init__(self, heads: int, **kwargs: Any) -> None:  # keras.layers.Layer's
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, input_shape: Shape) -> None:
        """Makes the dense layers."""
        channels = int(input_shape[-1] or 0)
        _check_heads(channels, self.heads)
        self.qkv = dense(3 * channels, "qkv", dtype=self.dtype_policy)
        self.proj = dense(channels, "proj", dtype=self.dtype_policy)
        for layer in (self.qkv, self.proj):
            layer.build((*input_shape[:-1], channels))

    def call(self, x: Tensor) -> Tensor:
        """Attends."""
        channels = x.shape[-1]
        query, key, value = _separate(self.qkv(x), self.heads)
        scores = _products(query * (channels // self.heads) ** -0.5, key)
        return self.proj(_gathered(scores, value, channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable(package="landslide_tf")
class WindowAttention(keras.layers.Layer):
    """Self-attention within (shifted) windows of (batch, height, width, channels).

    Liu et al. 2021, section 3.2, or with `cosine` Liu et al. 2022, section 3: cosines
    in place of products, and a bias of positions that a small network makes. Features
    of any size are padded with zeros to whole windows; an axis of a single window is
    not shifted.

    Args:
        heads: Heads, a divisor of the channels.
        window: Side of a window in places.
        shift: Places that the windows are shifted by, below `window`.
        cosine: Whether it is the second version's.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If the heads do not divide the channels.
    """

    def __init__(
        self,
        heads: int,
        window: int,
        shift: int = 0,
        cosine: bool = False,
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.window = window
        self.shift = shift
        self.cosine = cosine

    def build(self, input_shape: Shape) -> None:
        """Makes the dense layers and what the bias of positions comes from."""
        channels = int(input_shape[-1] or 0)
        _check_heads(channels, self.heads)
        options = {"dtype": self.dtype_policy}
        self.qkv = dense(3 * channels, "qkv", use_bias=not self.cosine, **options)
        self.proj = dense(channels, "proj", **options)
        for layer in (self.qkv, self.proj):
            layer.build((*input_shape[:-1], channels))
        if not self.cosine:
            self.table = self.add_weight(
                shape=((2 * self.window - 1) ** 2, self.heads),
                initializer=keras.initializers.TruncatedNormal(stddev=0.02),
                name="relative_position_bias_table",
            )
            return
        self.q_bias, self.v_bias = (
            self.add_weight(shape=(channels,), initializer="zeros", name=name)
            for name in ("q_bias", "v_bias")
        )
        self.logit_scale = self.add_weight(
            shape=(self.heads, 1, 1),
            initializer=keras.initializers.Constant(math.log(10)),
            dtype="float32",
            autocast=False,
            name="logit_scale",
        )
        options = {"dtype": "float32"}
        self.hidden = dense(HIDDEN, "positions", activation="relu", **options)
        self.biases = dense(self.heads, "biases", use_bias=False, **options)
        self.hidden.build((None, 2))
        self.biases.build((None, HIDDEN))

    def call(self, x: Tensor) -> Tensor:
        """Attends within each window."""
        ops = keras.ops
        size, channels = self.window, x.shape[-1]
        height, width = ops.shape(x)[1:3]
        rows, columns = -height % size, -width % size
        tall, wide = height + rows, width + columns
        padded = ops.pad(x, ((0, 0), (0, rows), (0, columns), (0, 0)))
        down, right = self._shift(tall), self._shift(wide)
        if self.shift:
            padded = ops.roll(padded, (-down, -right), axis=(1, 2))
        scores, value = self._scores(windows(padded, size))
        if self.shift:
            apart = _apart(tall, wide, down, right, size)
            count, tokens = ops.shape(apart)[0], size * size
            scores = ops.reshape(scores, (-1, count, self.heads, tokens, tokens))
            scores = ops.reshape(scores + apart[:, None], (-1, *scores.shape[2:]))
        y = self.proj(_gathered(scores, value, channels))
        y = from_windows(y, tall, wide, size)
        if self.shift:
            y = ops.roll(y, (down, right), axis=(1, 2))
        return y[:, :height, :width]

    def _shift(self, length: Tensor | int) -> Tensor | int:
        """Returns by how much an axis is shifted."""
        if isinstance(length, int):
            return self.shift if length > self.window else 0
        return keras.ops.where(length > self.window, self.shift, 0)

    def _scores(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the scores of all pairs of a window in float32, and the values."""
        ops = keras.ops
        qkv = self.qkv(tokens)
        if not self.cosine:
            query, key, value = _separate(qkv, self.heads)
            depth = tokens.shape[-1] // self.heads
            # Reshaped, as the gradient of a variable that is gathered is sparse.
            table = ops.reshape(self.table, (-1, self.heads))
            bias = ops.take(table, relative_positions(self.window), axis=0)
            bias = ops.cast(ops.transpose(bias, (2, 0, 1)), "float32")
            return _products(query * depth**-0.5, key) + bias, value
        query_bias, value_bias = (
            ops.convert_to_tensor(bias) for bias in (self.q_bias, self.v_bias)
        )
        none = ops.zeros_like(query_bias)  # keys have no bias
        qkv = qkv + ops.concatenate([query_bias, none, value_bias])
        query, key, value = _separate(qkv, self.heads)
        query, key = (
            ops.normalize(ops.cast(part, "float32"), axis=-1, epsilon=1e-12)
            for part in (query, key)
        )
        scale = ops.exp(ops.minimum(self.logit_scale, math.log(STEEPEST)))
        found = self.biases(self.hidden(relative_offsets(self.window)))
        found = ops.take(found, relative_positions(self.window), axis=0)
        bias = HIGHEST * ops.sigmoid(ops.transpose(found, (2, 0, 1)))
        return _products(query, key) * scale + bias, value

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "heads": self.heads,
            "window": self.window,
            "shift": self.shift,
            "cosine": self.cosine,
        }


@keras.saving.register_keras_serializable(package="landslide_tf")
class MergePatches(keras.layers.Layer):
    """Concatenates the channels of 2 × 2 places, columns first (Liu et al. 2021)."""

    def call(self, x: Tensor) -> Tensor:
        """Merges (batch, height, width, channels) of even sizes."""
        places = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return keras.ops.concatenate(places, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns half the size and four times the channels."""
        batch, *sizes, channels = input_shape
        halves = [None if n is None else n // 2 for n in sizes]
        return (batch, *halves, None if channels is None else 4 * channels)


def windows(x: Tensor, size: int) -> Tensor:
    """Cuts features into windows.

    Args:
        x: Tensor (batch, height, width, channels), sizes multiples of `size`.
        size: Side of a window.

    Returns:
        Tensor (batch × windows, size × size, channels), windows row by row.
    """
    ops = keras.ops
    height, width = ops.shape(x)[1:3]
    channels = x.shape[-1]
    x = ops.reshape(x, (-1, height // size, size, width // size, size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, size * size, channels))


def from_windows(
    x: Tensor, height: Tensor | int, width: Tensor | int, size: int
) -> Tensor:
    """Joins what `windows` has cut.

    Args:
        x: Tensor (batch × windows, size × size, channels).
        height: Rows of the result, a multiple of `size`.
        width: Columns of the result, a multiple of `size`.
        size: Side of a window.

    Returns:
        Tensor (batch, height, width, channels).
    """
    ops = keras.ops
    channels = x.shape[-1]
    x = ops.reshape(x, (-1, height // size, width // size, size, size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, height, width, channels))


def _apart(
    height: Tensor | int,
    width: Tensor | int,
    down: Tensor | int,
    right: Tensor | int,
    size: int,
) -> Tensor:
    """Returns what keeps places apart that a shift brought into one window.

    The result, (windows, places, places), is 0 for places of one piece and `APART` for
    others.
    """
    ops = keras.ops
    pieces = []
    for length, shift in ((height, down), (width, right)):
        place = ops.arange(length, dtype="int32")
        last = ops.cast(place >= length - size, "int32")
        pieces.append(last + ops.cast(place >= length - shift, "int32"))
    piece = windows((3 * pieces[0][:, None] + pieces[1])[None, :, :, None], size)
    return ops.where(piece == ops.transpose(piece, (0, 2, 1)), 0.0, APART)


def _offsets(size: int) -> IntArray:
    """Returns row and column offset of all pairs of places, (places, places, 2)."""
    place = np.stack(np.divmod(np.arange(size * size), size), axis=-1)
    return place[:, None] - place[None]


def relative_positions(size: int) -> IntArray:
    """Returns the row of a table of offsets for each pair of places of a window."""
    offsets = _offsets(size) + size - 1
    return (offsets[..., 0] * (2 * size - 1) + offsets[..., 1]).astype("int32")


def relative_offsets(size: int) -> FloatArray:
    """Returns the offsets of that table on a logarithmic scale, (rows, 2).

    Liu et al. 2022, section 3.3: sign(d) log2(1 + |d|) / log2(8) for offsets d that
    reach 8 at the far corner of a window.
    """
    steps = np.arange(1 - size, size) * (REACH / max(size - 1, 1))
    steps = np.sign(steps) * np.log2(1 + np.abs(steps)) / np.log2(REACH)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1)
    return grid.reshape(-1, 2).astype("float32")

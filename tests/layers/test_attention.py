"""Attention over all tokens and within windows, against NumPy place by place."""

import keras
import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.layers import ClassToken, SelfAttention, WindowAttention
from landslide_tf.layers.attention import from_windows, relative_offsets, windows


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def varied(layer, x):
    """The layer, built, with a value of its own for every weight."""
    layer(x)
    layer.set_weights(
        [draw(*w.shape, seed=i) * 0.5 for i, w in enumerate(layer.get_weights())]
    )
    return layer


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def test_windows_and_back():
    x = draw(2, 6, 9, 4)
    cut = np.asarray(windows(x, 3))
    assert cut.shape == (12, 9, 4)
    # The second window of the first image begins at row 0, column 3.
    np.testing.assert_array_equal(cut[1].reshape(3, 3, 4), x[0, :3, 3:6])
    np.testing.assert_array_equal(from_windows(cut, 6, 9, 3), x)


def test_self_attention():
    x = draw(2, 5, 8)
    layer = varied(SelfAttention(2), x)
    kernel, bias, out, more = layer.get_weights()
    expected = []
    for tokens in x:
        heads = []
        for head in range(2):
            query, key, value = (
                (tokens @ kernel + bias)[:, 8 * part + 4 * head :][:, :4]
                for part in range(3)
            )
            heads.append(softmax(query @ key.T / 2) @ value)
        expected.append(np.concatenate(heads, 1) @ out + more)
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def window_of(place, length, size, shift):
    """The window that a place belongs to along one axis, and its piece of the axis."""
    padded = -(-length // size) * size
    if padded <= size:
        shift = 0
    rolled = (place - shift) % padded
    return rolled // size, place < shift


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("shape", [(8, 12), (7, 10), (3, 9)])
def test_a_place_sees_its_window_alone(shape, shift, cosine):
    x = draw(1, *shape, 8)
    layer = varied(WindowAttention(2, 4, shift, cosine), x)
    before = np.asarray(layer(x))
    for place in [(0, 0), (shape[0] - 1, shape[1] - 1), (1, 5)]:
        changed = x.copy()
        changed[0][place] += 5
        moved = (np.abs(layer(changed) - before).max(-1) > 1e-6)[0]

        def window(row, column):
            return [
                window_of(row, shape[0], 4, shift),
                window_of(column, shape[1], 4, shift),
            ]

        expected = [
            [window(row, column) == window(*place) for column in range(shape[1])]
            for row in range(shape[0])
        ]
        np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize("cosine", [False, True])
def test_scores_of_a_window(cosine):
    """Two rows of two places, one head: the bias goes by their offset."""
    x = draw(1, 2, 2, 4)
    layer = varied(WindowAttention(1, 2, 0, cosine), x)
    tokens = x.reshape(4, 4)
    qkv = tokens @ np.asarray(layer.qkv.kernel)
    if cosine:
        qkv += np.concatenate([layer.q_bias, np.zeros(4), layer.v_bias])
    else:
        qkv += np.asarray(layer.qkv.bias)
    query, key, value = np.split(qkv, 3, axis=1)
    scores = np.zeros((4, 4))
    for one in range(4):
        for other in range(4):
            down, right = one // 2 - other // 2, one % 2 - other % 2
            if cosine:
                # Liu et al. 2022, equation 4: one place apart is the far corner, 8.
                offset = np.sign([down, right]) * np.log2(1 + 8) / np.log2(8)
                first, shift = layer.hidden.get_weights()
                hidden = np.maximum(offset @ first + shift, 0)
                bias = 16 / (1 + np.exp(-(hidden @ layer.biases.get_weights()[0])[0]))
                lengths = np.linalg.norm(query[one]) * np.linalg.norm(key[other])
                scale = np.exp(min(float(layer.logit_scale[0, 0, 0]), np.log(100)))
                scores[one, other] = query[one] @ key[other] / lengths * scale + bias
            else:
                bias = layer.table[(down + 1) * 3 + right + 1, 0]
                scores[one, other] = query[one] @ key[other] / 2 + bias
    expected = softmax(scores) @ value @ layer.proj.kernel + layer.proj.bias
    np.testing.assert_allclose(np.reshape(layer(x), (4, 4)), expected, atol=1e-5)


def test_offsets_are_logarithmic():
    offsets = relative_offsets(8)
    assert offsets.shape == (225, 2)
    np.testing.assert_allclose(offsets[0], -np.log2(9) / 3)
    np.testing.assert_array_equal(offsets[112], 0)
    np.testing.assert_allclose(offsets[113], [0, np.log2(1 + 8 / 7) / 3], rtol=1e-6)


def test_positions_follow_the_grid():
    layer = ClassToken(2)
    x = np.zeros((3, 2, 2, 4), "float32")
    token, table = (w := varied(layer, x).get_weights())[0], w[1]
    sequence = np.asarray(layer(x))
    assert sequence.shape == layer.compute_output_shape(x.shape) == (3, 5, 4)
    np.testing.assert_allclose(sequence[1, 0], token[0, 0] + table[0, 0], rtol=1e-6)
    np.testing.assert_allclose(sequence[1, 1:], table[0, 1:], rtol=1e-6)
    # Twice as fine: the inner cells lie a quarter of the way to the next ones.
    fine = np.asarray(layer(np.zeros((1, 4, 2, 4), "float32")))[0, 1:].reshape(4, 2, 4)
    rows = table[0, 1:].reshape(2, 2, 4)
    np.testing.assert_allclose(fine[0], rows[0], rtol=1e-6)
    np.testing.assert_allclose(fine[1], 0.75 * rows[0] + 0.25 * rows[1], atol=1e-6)


def test_heads_must_divide_the_channels():
    for layer in (SelfAttention(3), WindowAttention(3, 2)):
        shape = (1, 4, 8) if isinstance(layer, SelfAttention) else (1, 4, 4, 8)
        with pytest.raises(ModelError, match="`heads` must divide the channels"):
            layer(keras.ops.zeros(shape))

"""HorNet, Swin, VAN and ViT in NumPy, from arrays under their authors' names.

Features are (height, width, channels) or (tokens, channels).
"""

import math

import numpy as np
from scipy.special import erf

from tests.models.weights.released_networks import Released


class Network(Released):
    """A state dict that grows as the arithmetic asks for its arrays."""

    def dense(self, name, x, outputs, bias=True):
        y = x @ self.array(f"{name}.weight", (outputs, x.shape[-1])).T
        return y + self.array(f"{name}.bias", (outputs,)) if bias else y

    def point(self, name, x, outputs):
        """A 1 × 1 convolution."""
        y = x @ self.array(f"{name}.weight", (outputs, x.shape[-1], 1, 1))[..., 0, 0].T
        return y + self.array(f"{name}.bias", (outputs,))

    def layer_norm(self, name, x, epsilon):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(
            x.var(-1, keepdims=True) + epsilon
        )
        weight = self.array(f"{name}.weight", x.shape[-1:], low=0.5)
        return x * weight + self.array(f"{name}.bias", x.shape[-1:])

    def batch_norm(self, name, x):
        return self.norm(name, x.transpose(2, 0, 1)).transpose(1, 2, 0)

    def patches(self, name, x, outputs, size, stride=None):
        pad = 0 if stride is None else size // 2
        x = x.transpose(2, 0, 1)
        y = self.conv(name, x, outputs, size, stride=stride or size, pad=pad, bias=1)
        return y.transpose(1, 2, 0)

    def depthwise(self, name, x, size, dilation=1):
        kernel = self.array(f"{name}.weight", (x.shape[-1], 1, size, size))
        pad = dilation * (size // 2)
        padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
        y = np.zeros_like(x)
        for row in range(size):
            for column in range(size):
                part = padded[row * dilation :, column * dilation :]
                y += part[: x.shape[0], : x.shape[1]] * kernel[:, 0, row, column]
        return y + self.array(f"{name}.bias", x.shape[-1:])

    def scale(self, name, x):
        return x * self.array(name, x.shape[-1:])

    def feed_forward(self, name, x, parts=("fc1", "fc2")):
        first, second = (f"{name}.{part}" for part in parts)
        return self.dense(
            second, gelu(self.dense(first, x, 4 * x.shape[-1])), x.shape[-1]
        )


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def attended(query, key, value, heads, score):
    """Concatenated heads; `score` makes a head's scores."""
    depth = query.shape[-1] // heads
    found = []
    for head in range(heads):
        part = slice(head * depth, (head + 1) * depth)
        scores = score(head, query[:, part], key[:, part])
        found.append(softmax(scores) @ value[:, part])
    return np.concatenate(found, axis=1)


def vit(image, channels, heads, classes):
    """DeiT, without distillation, on an image of 14 × 14 patches."""
    net = Network()
    x = net.patches("patch_embed.proj", image, channels, 16).reshape(-1, channels)
    x = np.concatenate([net.array("cls_token", (1, 1, channels))[0], x])
    x = x + net.array("pos_embed", (1, len(x), channels))[0]

    def score(_, query, key):
        return query @ key.T / np.sqrt(channels / heads)

    for block in (f"blocks.{n}" for n in range(12)):
        y = net.layer_norm(f"{block}.norm1", x, 1e-6)
        parts = np.split(net.dense(f"{block}.attn.qkv", y, 3 * channels), 3, axis=1)
        y = attended(*parts, heads, score)
        x = x + net.dense(f"{block}.attn.proj", y, channels)
        y = net.layer_norm(f"{block}.norm2", x, 1e-6)
        x = x + net.feed_forward(f"{block}.mlp", y)
    x = net.layer_norm("norm", x, 1e-6)[0]
    return net.dense("head", x, classes), net.arrays


def window_attention(net, name, tokens, heads, second, pieces):
    """Attention of the tokens of one window, within each piece of it."""
    size, channels = math.isqrt(len(tokens)), tokens.shape[1]
    qkv = net.dense(f"{name}.qkv", tokens, 3 * channels, bias=not second)
    if second:
        query_bias, value_bias = (
            net.array(f"{name}.{part}_bias", (channels,)) for part in "qv"
        )
        qkv = qkv + np.concatenate([query_bias, 0 * query_bias, value_bias])
    bias = position_bias(net, name, size, heads, second)
    y = np.zeros_like(tokens)
    for piece in np.unique(pieces):
        inside = np.flatnonzero(pieces == piece)

        def score(head, query, key, inside=inside):
            own = bias[np.ix_(inside, inside)][..., head]
            if not second:
                return query @ key.T / np.sqrt(channels / heads) + own
            query, key = (
                # A place beyond the feature may have a key of zeros.
                v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12)
                for v in (query, key)
            )
            factor = net.array(f"{name}.logit_scale", (heads, 1, 1))[head, 0, 0]
            return query @ key.T * np.exp(np.minimum(factor, np.log(100))) + own

        y[inside] = attended(*np.split(qkv[inside], 3, axis=1), heads, score)
    return net.dense(f"{name}.proj", y, channels)


def position_bias(net, name, size, heads, second):
    """The bias of all pairs of places of a window, (places, places, heads)."""
    place = np.stack(np.divmod(np.arange(size * size), size), -1)
    offset = place[:, None] - place[None]
    # What the released code keeps beside its weights.
    net.arrays[f"{name}.relative_position_index"] = np.zeros((2, 2), "int64")
    if not second:
        table = f"{name}.relative_position_bias_table"
        table = net.array(table, ((2 * size - 1) ** 2, heads))
        row, column = (offset + size - 1).transpose(2, 0, 1)
        return table[row * (2 * size - 1) + column]
    steps = 8 * offset / (size - 1)
    steps = np.sign(steps) * np.log2(np.abs(steps) + 1) / np.log2(8)
    hidden = np.maximum(net.dense(f"{name}.cpb_mlp.0", steps, 512), 0)
    bias = net.dense(f"{name}.cpb_mlp.2", hidden, heads, bias=False)
    return 16 / (1 + np.exp(-bias))


def swin(image, channels, heads, window, second, classes):
    """Both versions of Swin."""
    net = Network()
    x = net.patches("patch_embed.proj", image, channels[0], 4)
    x = net.layer_norm("patch_embed.norm", x, 1e-5)
    for stage, depth in enumerate((2, 2, 6, 2)):
        if stage:
            name = f"layers.{stage - 1}.downsample"
            x = np.concatenate(
                [x[0::2, 0::2], x[1::2, 0::2], x[0::2, 1::2], x[1::2, 1::2]], axis=-1
            )
            if not second:
                x = net.layer_norm(f"{name}.norm", x, 1e-5)
            x = net.dense(f"{name}.reduction", x, channels[stage], bias=False)
            if second:
                x = net.layer_norm(f"{name}.norm", x, 1e-5)
        for number in range(depth):
            name = f"layers.{stage}.blocks.{number}"
            x = swin_block(
                net, name, x, heads[stage], window, second, shifted=number % 2
            )
    x = net.layer_norm("norm", x, 1e-5).mean((0, 1))
    return net.dense("head", x, classes), net.arrays


def swin_block(net, name, x, heads, window, second, shifted):
    def attend(y):
        return windowed(net, f"{name}.attn", y, heads, window, second, shifted)

    def feed(y):
        return net.feed_forward(f"{name}.mlp", y)

    for part, of in (("norm1", attend), ("norm2", feed)):
        norm = f"{name}.{part}"
        if second:
            x = x + net.layer_norm(norm, of(x), 1e-5)
        else:
            x = x + of(net.layer_norm(norm, x, 1e-5))
    return x


def windowed(net, name, x, heads, window, second, shifted):
    """Attention within windows that begin half a window further in where shifted."""
    height, width, channels = x.shape
    padded = np.pad(x, ((0, -height % window), (0, -width % window), (0, 0)))
    rows, columns = (
        (np.arange(n) + (window // 2 if shifted and n > window else 0)) % n
        for n in padded.shape[:2]
    )
    y = np.zeros_like(padded)
    for top in range(0, len(rows), window):
        for left in range(0, len(columns), window):
            row = rows[top : top + window]
            column = columns[left : left + window]
            # Places from the other end of an axis are a piece of their own.
            pieces = 2 * (row < row[0])[:, None] + (column < column[0])
            place = np.ix_(row, column)
            found = window_attention(
                *(net, name, padded[place].reshape(-1, channels)),
                *(heads, second, pieces.ravel()),
            )
            y[place] = found.reshape(window, window, channels)
    return y[:height, :width]


def van(image, channels, depths, classes):
    net = Network()
    x = image
    for stage, (count, depth, ratio) in enumerate(
        zip(channels, depths, (8, 8, 4, 4), strict=True), start=1
    ):
        size, stride = (7, 4) if stage == 1 else (3, 2)
        x = net.patches(f"patch_embed{stage}.proj", x, count, size, stride)
        x = net.batch_norm(f"patch_embed{stage}.norm", x)
        for number in range(depth):
            block = f"block{stage}.{number}"
            y = gate = net.batch_norm(f"{block}.norm1", x)
            value = gelu(net.point(f"{block}.attn.proj_1", y, count))
            unit = f"{block}.attn.spatial_gating_unit"
            gate = net.depthwise(f"{unit}.conv0", value, 5)
            gate = net.depthwise(f"{unit}.conv_spatial", gate, 7, dilation=3)
            gate = net.point(f"{unit}.conv1", gate, count)
            y = y + net.point(f"{block}.attn.proj_2", value * gate, count)
            x = x + net.scale(f"{block}.layer_scale_1", y)
            y = net.batch_norm(f"{block}.norm2", x)
            y = net.point(f"{block}.mlp.fc1", y, ratio * count)
            y = gelu(net.depthwise(f"{block}.mlp.dwconv.dwconv", y, 3))
            y = net.point(f"{block}.mlp.fc2", y, count)
            x = x + net.scale(f"{block}.layer_scale_2", y)
        x = net.layer_norm(f"norm{stage}", x, 1e-6)
    return net.dense("head", x.mean((0, 1)), classes), net.arrays


def hornet(image, channels, classes):
    net = Network()
    x = image
    for stage, (count, depth) in enumerate(zip(channels, (2, 3, 18, 2), strict=True)):
        name, order = f"downsample_layers.{stage}", stage + 2
        if stage:
            x = net.layer_norm(f"{name}.0", x, 1e-6)
            x = net.patches(f"{name}.1", x, count, 2)
        else:
            x = net.layer_norm(f"{name}.1", net.patches(f"{name}.0", x, count, 4), 1e-6)
        for block in (f"stages.{stage}.{n}" for n in range(depth)):
            y = net.layer_norm(f"{block}.norm1", x, 1e-6)
            y = gnconv(net, f"{block}.gnconv", y, order)
            x = x + net.scale(f"{block}.gamma1", y)
            y = net.layer_norm(f"{block}.norm2", x, 1e-6)
            y = net.feed_forward(block, y, ("pwconv1", "pwconv2"))
            x = x + net.scale(f"{block}.gamma2", y)
    x = net.layer_norm("norm", x.mean((0, 1)), 1e-6)
    return net.dense("head", x, classes), net.arrays


def gnconv(net, name, x, order):
    """Rao et al. 2022, equations 3.3 to 3.5."""
    channels = x.shape[-1]
    sizes = [channels // 2 ** (order - 1 - k) for k in range(order)]
    y = net.point(f"{name}.proj_in", x, 2 * channels)
    p, q = y[..., : sizes[0]], y[..., sizes[0] :]
    q = net.depthwise(f"{name}.dwconv", q, 7) / 3
    parts = np.split(q, np.cumsum(sizes)[:-1], axis=-1)
    p = p * parts[0]
    for step in range(1, order):
        p = net.point(f"{name}.pws.{step - 1}", p, sizes[step]) * parts[step]
    return net.point(f"{name}.proj_out", p, channels)


def widths(channels, width):
    """Multiples of 8, as the package rounds them."""
    return [max(8, 8 * math.floor(c * width / 8 + 0.5)) for c in channels]

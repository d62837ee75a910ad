"""The networks of the release in NumPy, from arrays under their authors' names."""

import zlib

import numpy as np

from landslide_tf.layers import scaled_channels

WIDTH = 0.125
# The arguments that build the same network, in logits.
OPTIONS = {"width": WIDTH, "backbone": "resnet50"}


class Released:
    """A state dict that grows as the arithmetic asks for its arrays."""

    def __init__(self):
        self.arrays = {}

    def array(self, name, shape, low=None):
        if name not in self.arrays:
            random = np.random.default_rng(zlib.crc32(name.encode()))
            if low is not None:
                value = random.uniform(low, 1.5, shape)
            else:
                value = random.normal(size=shape) / np.sqrt(np.prod(shape[1:] or 9))
            self.arrays[name] = value.astype("<f4")
        return self.arrays[name]

    def conv(self, name, x, filters, size=1, *, stride=1, dilation=1, pad=None, bias=0):
        """Convolves (channels, height, width) as `torch.nn.Conv2d` does."""
        kernel = self.array(f"{name}.weight", (filters, len(x), size, size))
        pad = dilation * (size - 1) // 2 if pad is None else pad
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
        reach = dilation * (size - 1) + 1
        windows = np.lib.stride_tricks.sliding_window_view(x, (reach, reach), (1, 2))
        windows = windows[:, ::stride, ::stride, ::dilation, ::dilation]
        y = np.einsum("chwij,fcij->fhw", windows, kernel, optimize=True)
        if bias:
            y = y + self.array(f"{name}.bias", (filters,))[:, None, None]
        return y

    def norm(self, name, x):
        """Normalises as `torch.nn.BatchNorm2d` does in inference."""
        shape = (len(x),)
        gamma, variance = (
            self.array(f"{name}.{part}", shape, low=0.5)[:, None, None]
            for part in ("weight", "running_var")
        )
        beta, mean = (
            self.array(f"{name}.{part}", shape)[:, None, None]
            for part in ("bias", "running_mean")
        )
        self.arrays[f"{name}.num_batches_tracked"] = np.array(7)
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta

    def unit(self, name, x, filters, size=1, **options):
        """`Sequential(Conv2d, BatchNorm2d, ReLU)`."""
        return relu(
            self.norm(f"{name}.1", self.conv(f"{name}.0", x, filters, size, **options))
        )

    def bottleneck(self, name, x, channels, stride, dilation):
        c, first = scaled_channels(channels, WIDTH), name.endswith(".0")
        out = scaled_channels(4 * channels, WIDTH)
        y = relu(self.norm(f"{name}.bn1", self.conv(f"{name}.conv1", x, c)))
        y = self.conv(f"{name}.conv2", y, c, 3, stride=stride, dilation=dilation)
        y = relu(self.norm(f"{name}.bn2", y))
        y = self.norm(f"{name}.bn3", self.conv(f"{name}.conv3", y, out))
        if first:
            x = self.conv(f"{name}.downsample.0", x, out, stride=stride)
            x = self.norm(f"{name}.downsample.1", x)
        return relu(x + y)

    def encoder(self, x):
        """`backbone/resnet.py` at output stride 16, with its multi-grid."""
        x = self.conv(
            "backbone.conv1", x, scaled_channels(64, WIDTH), 7, stride=2, pad=3
        )
        x = f1 = relu(self.norm("backbone.bn1", x))
        x = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
        x = windows[:, ::2, ::2].max((-1, -2))
        features = [f1]
        grids = ((1,) * 3, (1,) * 4, (1,) * 6, (2, 4, 8))
        for stage, (grid, stride) in enumerate(
            zip(grids, (1, 2, 2, 1), strict=True), start=1
        ):
            for number, dilation in enumerate(grid):
                name = f"backbone.layer{stage}.{number}"
                first = stride if number == 0 else 1
                x = self.bottleneck(name, x, 32 * 2**stage, first, dilation)
            features.append(x)
        return x, features[:3]

    def aspp(self, x):
        c = scaled_channels(256, WIDTH)
        branches = []
        for number, (size, rate) in enumerate(((1, 1), (3, 6), (3, 12), (3, 18)), 1):
            y = self.conv(f"aspp.aspp{number}.atrous_conv", x, c, size, dilation=rate)
            branches.append(relu(self.norm(f"aspp.aspp{number}.bn", y)))
        pooled = x.mean((1, 2), keepdims=True)
        pooled = relu(
            self.norm(
                "aspp.global_avg_pool.2", self.conv("aspp.global_avg_pool.1", pooled, c)
            )
        )
        branches.append(np.broadcast_to(pooled, branches[0].shape))
        return relu(
            self.norm("aspp.bn1", self.conv("aspp.conv1", np.concatenate(branches), c))
        )

    def fork(self, level, own, deep, others, deeper):
        """`Attention_block`, `CA`, `Self_attention` and `conv_<level>` of a level."""
        c = scaled_channels({3: 192, 2: 96, 1: 48}[level], WIDTH)
        inner = scaled_channels({3: 256, 2: 128, 1: 64}[level], WIDTH)
        gate = f"decoder.Att{level}"
        g = self.norm(
            f"{gate}.W_g.1", self.conv(f"{gate}.W_g.0", enlarged(deep, own), c)
        )
        u = self.norm(f"{gate}.W_x.1", self.conv(f"{gate}.W_x.0", own, c))
        s = self.norm(f"{gate}.psi.1", self.conv(f"{gate}.psi.0", relu(g + u), 1))
        gated = u * sigmoid(s)
        projected = [
            enlarged(self.unit(f"decoder.CA{level}.conv{n}", x, c, bias=1), own)
            for n, x in enumerate(others, start=1)
        ]
        groups = [projected[:deeper], projected[deeper:]]
        groups = [np.concatenate(group) for group in groups if group]
        z = np.concatenate(groups)
        con = f"decoder.Con{level}"
        w = self.unit(f"{con}.C1", z, len(z) // 2, 3)
        w = sigmoid(self.norm(f"{con}.C2.1", self.conv(f"{con}.C2.0", w, len(groups))))
        weighed = [w[i : i + 1] * group for i, group in enumerate(groups)]
        x = np.concatenate([gated, *weighed])
        y = self.conv(f"decoder.conv_{level}.0", x, inner)
        y = self.conv(f"decoder.conv_{level}.1", y, inner, 3)
        y = relu(self.norm(f"decoder.conv_{level}.2", y))
        return x + self.conv(f"decoder.conv_{level}.4", y, len(x))

    def generator(self, image, classes):
        """Returns main and auxiliary logits, (height, width, classes)."""
        x, (f1, f2, f3) = self.encoder(image.transpose(2, 0, 1))
        x = self.aspp(x)
        c = scaled_channels(256, WIDTH)
        aux = self.conv("decoder.domain_conv", x, classes, bias=1)
        t3 = self.fork(3, f3, x, (x, f2, f1), 1)
        t2 = self.fork(2, f2, f3, (x, f3, f1), 2)
        t1 = self.fork(1, f1, f2, (x, f3, f2), 3)
        d3 = np.concatenate([enlarged(x, f3), t3])
        d3 = self.unit("decoder.four_conv", d3, c, 3)
        d2 = np.concatenate([t2, enlarged(x, f2), enlarged(d3, f2)])
        d2 = self.unit("decoder.third_conv", d2, c, 3)
        rest = [enlarged(d2, f1), enlarged(d3, f1), enlarged(x, f1)]
        d1 = self.unit("decoder.second_conv", np.concatenate([t1, *rest]), c, 3)
        y = self.unit("decoder.last_conv", np.concatenate([d1, *rest]), c, 3)
        y = self.conv("decoder.last_conv.4", y, c, 3)
        y = relu(self.norm("decoder.last_conv.5", y))
        main = self.conv("decoder.last_conv.8", y, classes, bias=1)
        like = image.transpose(2, 0, 1)
        return [enlarged(m, like).transpose(1, 2, 0) for m in (main, aux)]


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def enlarged(x, like):
    """Bilinear with the corners aligned."""
    for axis in (1, 2):
        n, m = x.shape[axis], like.shape[axis]
        at = np.linspace(0, n - 1, m) if m > 1 else np.zeros(1)
        low = np.minimum(at.astype(int), max(n - 2, 0))
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        lower = np.take(x, low, axis)
        upper = np.take(x, np.minimum(low + 1, n - 1), axis)
        x = lower * (1 - share) + upper * share
    return x


def some_generator():
    """Returns an image, the logits of both classifiers for it, and the arrays."""
    image = np.random.default_rng(1).uniform(0, 255, (37, 49, 3))
    released = Released()
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    main, aux = released.generator((image / 255 - mean) / std, 2)
    return image[None].astype("float32"), main, aux, released.arrays

"""Trunk and decoders of the task-specific update model, in two variants."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers import (
    BatchNormalization,
    Conv2D,
    conv_bn_relu,
    scaled_channels,
)
from landslide_tf.models import assembly
from landslide_tf.models.backbones import resnet

VARIANTS = ("paper", "code")
BANDS = {"pre_post": 6, "post": 3}
TRUNK_FILTERS = (8, 16, 32, 64, 128)  # of the released code
DECODER_FILTERS = {
    "paper": (256, 128, 64, 32, 16),
    "code": (8, 16, 32, 64, 128, 256, 512),
}
_PAPER_DROPOUT, _FIRST_DROPOUT, _DROPOUT = 0.1, 0.05, 0.1


@dataclass(frozen=True)
class Network:
    """The arguments that trunk and decoders are built from.

    The fields are arguments of `tsmu_net`, which documents them.

    Raises:
        ModelError: If an argument is unknown or does not fit the others.
    """

    variant: str = "paper"
    inputs: str = "pre_post"
    width: float = 1.0
    trunk_filters: tuple[int, ...] | None = None
    decoder_filters: tuple[int, ...] | None = None
    dropout: float | None = None
    bn_momentum: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("variant", self.variant, VARIANTS),
            ("inputs", self.inputs, tuple(BANDS)),
        ):
            if value not in known:
                raise ModelError(
                    f"`{name}` must be one of {known}, received {value!r}."
                )
        for name in ("trunk_filters", "decoder_filters"):
            value = getattr(self, name)
            if value is None:
                continue
            object.__setattr__(self, name, tuple(value))
            if not value or not all(isinstance(n, int) and n >= 1 for n in value):
                raise ModelError(
                    f"`{name}` must be whole numbers >= 1, received {value!r}."
                )
        if self.variant == "paper" and self.trunk_filters is not None:
            raise ModelError(
                "`trunk_filters` belong to `variant='code'`, received "
                f"{self.trunk_filters} for 'paper': use `width`."
            )
        levels = len(self.decoder_filters or ())
        if self.variant == "paper" and levels not in (0, 5):
            raise ModelError(
                "`decoder_filters` of `variant='paper'` must be 5, one for each step, "
                f"received {self.decoder_filters}."
            )
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ModelError(
                f"`seed` must be a whole number >= 0, received {self.seed!r}."
            )

    @property
    def bands(self) -> int:
        """Channels of `image`."""
        return BANDS[self.inputs]

    @property
    def stride(self) -> int:
        """Multiple that height and width are padded to."""
        return 32 if self.variant == "paper" else 2 ** (len(self._decoder()) - 1)

    def config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        found = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}

    def _decoder(self) -> list[int]:
        filters = self.decoder_filters or DECODER_FILTERS[self.variant]
        return [scaled_channels(n, self.width) for n in filters]

    def trunk(self) -> keras.Model:
        """Builds the encoder that all regions share."""
        with _seeded(self.seed, "trunk"):
            x = keras.Input((None, None, self.bands), name="image")
            if self.variant == "paper":
                found = resnet(
                    x,
                    "resnet34",
                    layout="torchvision",
                    output_stride=32,
                    width=self.width,
                )
                features = [found[f"C{level}"] for level in (1, 2, 3, 4, 5)]
            else:
                filters = self.trunk_filters or TRUNK_FILTERS
                features = self._released_trunk(
                    x, [scaled_channels(n, self.width) for n in filters]
                )
            return self._finished(keras.Model(x, features, name="trunk"))

    def decoder(self, region: str, trunk: keras.Model) -> keras.Model:
        """Builds the decoder of a region.

        Its first weights depend on the seed and the region's name alone.

        Args:
            region: Name in the form of `ecoregions.region_name`.
            trunk: Gives the features' channels.

        Returns:
            Functional model from the trunk's features to float32 probabilities.
        """
        with _seeded(self.seed, region):
            outputs = trunk.outputs
            inputs = [
                keras.Input(tensor.shape[1:], name=f"feature{n}", dtype=tensor.dtype)
                for n, tensor in enumerate(outputs, start=1)
            ]
            if self.variant == "paper":
                x = self._paper_decoder(inputs)
                structure: Any = inputs
            else:
                x = self._released_decoder(inputs[0])
                structure = inputs[0]
            scores = assembly.class_scores(x, 1)
            p = keras.layers.Activation(
                "sigmoid", dtype="float32", name="probabilities"
            )(scores)
            return self._finished(keras.Model(structure, p, name=f"decoder_{region}"))

    def _finished(self, model: keras.Model) -> keras.Model:
        if self.bn_momentum is not None:
            for layer in model.layers:
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = self.bn_momentum
        return model

    def _paper_decoder(self, features: Sequence[Tensor]) -> Tensor:
        rate = _PAPER_DROPOUT if self.dropout is None else self.dropout
        *skips, x = features
        for step, filters in enumerate(self._decoder(), start=1):
            name = f"dec{step}"
            x = keras.layers.Conv2DTranspose(
                filters,
                2,
                strides=2,
                kernel_initializer="he_normal",
                name=f"{name}_up",
            )(x)
            if step <= len(skips):
                x = keras.layers.Concatenate(name=f"{name}_concat")([x, skips[-step]])
            x = assembly.dropped(x, rate, f"{name}_dropout")
            for part in "ab":
                x = conv_bn_relu(x, filters, 3, name=f"{name}_{part}")
        return x

    def _released_trunk(self, x: Tensor, filters: Sequence[int]) -> Tensor:
        """Applies bottlenecks at full resolution."""
        for number, count in enumerate(filters, start=1):
            name = f"block{number}"
            shortcut = Conv2D(2 * count, 1, name=f"{name}_0_conv")(x)
            x = Conv2D(count, 1, activation="relu", name=f"{name}_1_conv")(x)
            x = Conv2D(
                count, 3, padding="same", activation="relu", name=f"{name}_2_conv"
            )(x)
            x = Conv2D(2 * count, 1, name=f"{name}_3_conv")(x)
            x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
            x = BatchNormalization(name=f"{name}_bn")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        return x

    def _released_decoder(self, x: Tensor) -> Tensor:
        """Applies a whole U-Net to the trunk's map."""
        first = _FIRST_DROPOUT if self.dropout is None else self.dropout
        rate = _DROPOUT if self.dropout is None else self.dropout
        *filters, deepest = self._decoder()
        skips = []
        for level, count in enumerate(filters, start=1):
            x = _released_unit(x, count, f"down{level}")
            skips.append(x)
            x = keras.layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
            x = assembly.dropped(
                x, first if level == 1 else rate, f"down{level}_dropout"
            )
        x = _released_unit(x, deepest, f"down{len(filters) + 1}")
        for level in range(len(filters), 0, -1):
            count = filters[level - 1]
            x = keras.layers.Conv2DTranspose(
                count, 3, strides=2, padding="same", name=f"up{level}_up"
            )(x)
            x = keras.layers.Concatenate(name=f"up{level}_concat")(
                [x, skips[level - 1]]
            )
            x = assembly.dropped(x, rate, f"up{level}_dropout")
            x = _released_unit(x, count, f"up{level}")
        return x


def _released_unit(x: Tensor, filters: int, name: str) -> Tensor:
    x = Conv2D(filters, 3, padding="same", name=f"{name}_conv")(x)
    x = BatchNormalization(name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


@contextmanager
def _seeded(seed: int, part: str) -> Iterator[None]:
    """Draws the seeds of initialisers and dropout from a stream of their own.

    Keras takes them from Python's random numbers where none is given.
    """
    state = random.getstate()
    random.seed(zlib.crc32(f"{seed}/{part}".encode()))
    try:
        yield
    finally:
        random.setstate(state)

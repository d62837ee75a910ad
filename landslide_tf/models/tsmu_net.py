"""One encoder for all regions and one decoder for each, in two variants."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.ecoregions import region_name
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.layers import (
    BatchNormalization,
    Conv2D,
    CropTo,
    DecodeByRegion,
    SelectRegion,
    conv_bn_relu,
    scaled_channels,
)
from landslide_tf.models import assembly
from landslide_tf.models.backbones.resnet import resnet
from landslide_tf.models.tsmu_parts import ROUTING_LAYER

VARIANTS = ("paper", "code")
BANDS = {"pre_post": 6, "post": 3}
TRUNK_FILTERS = (8, 16, 32, 64, 128)  # of the released code
DECODER_FILTERS = {
    "paper": (256, 128, 64, 32, 16),
    "code": (8, 16, 32, 64, 128, 256, 512),
}
_PAPER_DROPOUT, _FIRST_DROPOUT, _DROPOUT = 0.1, 0.05, 0.1
ROUTINGS = ("all", "partition")

UNIT_RANGE = (0.0, 1.0, 255.0)  # 8-bit values to 0..1, not standardised


def tsmu_net(
    regions: Sequence[str],
    *,
    variant: str = "paper",
    inputs: str = "pre_post",
    width: float = 1.0,
    trunk_filters: Sequence[int] | None = None,
    decoder_filters: Sequence[int] | None = None,
    dropout: float | None = None,
    bn_momentum: float | None = None,
    routing: str = "all",
    seed: int = 0,
    weights: str | Path | None = None,
    name: str = "tsmu_net",
) -> keras.Model:
    """Builds the network for task-specific model updates (Nagendra et al. 2022).

    A trunk shared by all regions and one decoder a region, which are models of their
    own (`models.tsmu.trunk`, `models.tsmu.decoders`); `models.tsmu.add_region` adds
    another decoder. The region of each image picks the decoder inside the graph.

    Args:
        regions: Names, in the order of their indices: ecoregions by name or code, or
            any others.
        variant: `"paper"`: a ResNet-34 encoder and U-Net decoders; `"code"`: what the
            released scripts build, full-resolution bottlenecks and a whole U-Net a
            region.
        inputs: `"pre_post"`: red, green, blue before, then after the event; `"post"`:
            after only.
        width: Multiplier of every channel count.
        trunk_filters: `"code"` only: filters of the bottlenecks in place of 8 to 128.
        decoder_filters: Filters of the decoder's steps in place of 256 to 16
            (`"paper"`) or 8 to 512 (`"code"`, from the outermost level inwards).
        dropout: Rate everywhere; None as published: 0.1, and 0.05 after the first
            pooling of `"code"`.
        bn_momentum: Of every batch normalisation; None: 0.9, and 0.99 in `"code"`.
        routing: `"all"`: every decoder runs on every image and -1 is the mean of them;
            `"partition"`: each on its own images (TensorFlow; no -1).
        seed: Of the first weights: a decoder's depend on it and on its region's name.
        weights: `.weights.h5` or `.keras` file of the whole network.
        name: Name of the model.

    Returns:
        Functional model from raw `image` (batch, height, width, 6 or 3) in 0..255 and
        int32 `region` (batch,) to float32 `probabilities` of landslide (batch, height,
        width, 1); any height and width.

    Raises:
        ModelError: If an argument or a file does not fit. In use: if an index has no
            region (`InvalidArgumentError` in a graph).

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> region = np.array([0, -1], "int32")
        >>> probabilities = model({"image": np.zeros((2, 8, 9, 6)), "region": region})
        >>> tuple(probabilities.shape), models.tsmu.regions(model)
        ((2, 8, 9, 1), ('EASTERN_TEMPERATE_FORESTS', 'NORTH_AMERICAN_DESERTS'))
    """
    network = Network(
        variant=variant,
        inputs=inputs,
        width=width,
        trunk_filters=trunk_filters,
        decoder_filters=decoder_filters,
        dropout=dropout,
        bn_momentum=bn_momentum,
        seed=seed,
    )
    names = [region_name(region) for region in _listed(regions)]
    trunk = network.trunk()
    decoders = {region: network.decoder(region, trunk) for region in names}
    if len(decoders) < len(names):
        raise ModelError(f"`regions` must differ, received {', '.join(names)}.")
    model = assembled(network, trunk, names, decoders, routing=routing, name=name)
    assembly.load_whole_weights(model, weights)
    return model


def assembled(
    network: Network,
    trunk: keras.Model,
    regions: Sequence[str | None],
    decoders: Mapping[str, keras.Model],
    *,
    routing: str,
    name: str,
) -> keras.Model:
    """Joins a trunk and decoders, which the model takes as they are.

    Args:
        network: What the parts were built from.
        trunk: The shared encoder.
        regions: Names in the order of their indices; None for a removed one.
        decoders: One a region.
        routing: As in `tsmu_net`.
        name: Name of the model.

    Returns:
        The model.

    Raises:
        ModelError: If there is no such routing.
    """
    check_choice("routing", routing, ROUTINGS, ModelError)
    image = assembly.image_input((None, None, network.bands))
    region = keras.Input((), name="region", dtype="int32")
    padded = assembly.prepared_image(image, network.stride, UNIT_RANGE)
    features = trunk(padded)
    ordered = [decoders[r] for r in regions if r is not None]
    made = network.config()
    if routing == "all":
        probabilities = [decoder(features) for decoder in ordered]
        chosen = SelectRegion(regions, made, name=ROUTING_LAYER)(probabilities, region)
    else:
        decode = DecodeByRegion(regions, ordered, made, name=ROUTING_LAYER)
        chosen = decode(features, padded, region)
    outputs = CropTo(dtype="float32", name="probabilities")(chosen, image)
    return keras.Model([image, region], outputs, name=name)


def _listed(regions: Sequence[str]) -> Sequence[str]:
    if isinstance(regions, str) or not len(regions):
        raise ModelError(
            f"`regions` must be a list of at least one name, received {regions!r}."
        )
    return regions


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
    trunk_filters: Sequence[int] | None = None
    decoder_filters: Sequence[int] | None = None
    dropout: float | None = None
    bn_momentum: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("variant", self.variant, VARIANTS),
            ("inputs", self.inputs, tuple(BANDS)),
        ):
            check_choice(name, value, known, ModelError)
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

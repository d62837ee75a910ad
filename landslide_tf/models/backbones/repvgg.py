"""RepVGG encoders and their form for deployment."""

from __future__ import annotations

import math

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.layers import RepVggBlock, scaled_channels

STAGE_CHANNELS = (64, 128, 256, 512)
# Blocks of the four stages, and what multiplies the first three and the last.
_SHAPES = {
    "a0": ((2, 4, 14, 1), 0.75, 2.5),
    "a1": ((2, 4, 14, 1), 1.0, 2.5),
    "a2": ((2, 4, 14, 1), 1.5, 2.75),
    "b0": ((4, 6, 16, 1), 1.0, 2.5),
    "b1": ((4, 6, 16, 1), 2.0, 4.0),
    "b2": ((4, 6, 16, 1), 2.5, 5.0),
    "b3": ((4, 6, 16, 1), 3.0, 5.0),
    "d2se": ((8, 14, 24, 1), 2.5, 5.0),
}
_GROUPED = tuple(f"{arch}g{groups}" for arch in ("b1", "b2", "b3") for groups in (2, 4))
LAST_GROUPED = 26
REPVGGS = tuple(f"repvgg_{arch}" for arch in (*_SHAPES, *_GROUPED))


def repvgg(
    x: Tensor, arch: str = "repvgg_a0", *, width: float = 1.0, deploy: bool = False
) -> Tensor:
    """Builds RepVGG up to its last feature (Ding et al. 2021, tables 2 and 3).

    Args:
        x: Normalised image (batch, height, width, bands) of any size of at least 1.
        arch: One of `REPVGGS`; `g2` and `g4` have grouped convolutions in every other
            block, `d2se` a squeeze-and-excitation gate in each.
        width: Multiplier of every channel count.
        deploy: Whether each block is one convolution, for weights of `deployed`.

    Returns:
        Feature (batch, height / 32, width / 32, channels), sizes rounded up.

    Raises:
        ModelError: If the architecture is unknown.
    """
    check_choice("backbone", arch, REPVGGS, ModelError)
    base, _, groups = arch.removeprefix("repvgg_").partition("g")
    depths, factor, last = _SHAPES[base]
    options = {"squeeze": base == "d2se", "deploy": deploy}
    stem = scaled_channels(min(64, math.floor(64 * factor)), width)
    x = RepVggBlock(stem, stride=2, name="stem", **options)(x)
    number = 0
    factors = (factor, factor, factor, last)
    stages = zip(depths, STAGE_CHANNELS, factors, strict=True)
    for stage, (depth, channels, multiplier) in enumerate(stages, start=1):
        channels = scaled_channels(math.floor(channels * multiplier), width)
        for block in range(1, depth + 1):
            number += 1
            grouped = groups and number % 2 == 0 and number <= LAST_GROUPED
            x = RepVggBlock(
                channels,
                stride=2 if block == 1 else 1,
                groups=int(groups) if grouped else 1,
                name=f"stage{stage}_block{block}",
                **options,
            )(x)
    return x


def deployed(model: keras.Model) -> keras.Model:
    """Returns a copy of a model whose RepVGG blocks are single convolutions.

    It computes the same within rounding, faster and with fewer weights (Ding et al.
    2021, section 3.3), and cannot be trained further as RepVGG.

    Args:
        model: A functional model, with or without models inside.

    Returns:
        The copy; blocks already in that form stay as they are.

    Example:
        >>> from landslide_tf import models
        >>> model = models.landslide_classifier(width=0.125)
        >>> models.deployed(model).count_params() < model.count_params()
        True
    """

    def cloned(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if isinstance(layer, RepVggBlock):
            config["deploy"] = True
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=cloned, recursive=True)
    _transfer(model, copy)
    return copy


def _transfer(model: keras.Model, copy: keras.Model) -> None:
    for old, new in zip(model.layers, copy.layers, strict=True):
        if isinstance(old, keras.Model):
            _transfer(old, new)
        elif isinstance(old, RepVggBlock) and not old.deploy:
            new.fused_from(old)
        else:
            new.set_weights(old.get_weights())

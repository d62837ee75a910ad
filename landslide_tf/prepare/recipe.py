"""The recipe that `prepare` writes: network, start, loss, augmentation and length."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landslide_tf.datasets.landslide_scenes import Config
from landslide_tf.datasets.landslide_scenes.plan import Plan
from landslide_tf.imagenet import INSTALL, installed_weights
from landslide_tf.prepare.inputs import Options
from landslide_tf.raster.bands import COLOURS
from landslide_tf.raster.scaling import bright_value
from landslide_tf.raster.scene_reader import SceneReader

BACKBONE = "efficientnet_lite0"

_BATCH, _EPOCHS = 8, 10
# Fewest batches of an epoch.
_STEPS = 16
# Least share of draws with a landslide.
_SHOWN = 0.5
# Tiles that the scale of images of more than 8 bits is measured on.
_MEASURED = 32
# What the largest value becomes at most: training refuses bands beyond twice 255.
_BEYOND = 500
# Mean and divisor of colours in the form that the ImageNet weights expect, of x / 255.
_COLOUR = (127 / 255, 128 / 255)
# Standard deviation of photographs in that form, which other bands are brought to.
_SPREAD = 0.229 / _COLOUR[1]


class Statistics(NamedTuple):
    """Mean and standard deviation of each band, as shares of 255.

    Attributes:
        mean: Means.
        std: Standard deviations, above 0.
    """

    mean: list[float]
    std: list[float]


def make_recipe(plan: Plan, config: Config, options: Options) -> dict[str, Any]:
    """Returns the sections of a recipe for a prepared data set, at CPU size.

    The encoder is EfficientNet-Lite0; where its ImageNet weights are installed it
    starts from them, else from scratch.

    Args:
        plan: Scenes and tiles.
        config: The data set.
        options: What the user asked for.

    Returns:
        The sections as JSON values.
    """
    image = tuple(options.bands) or COLOURS
    factors = list(config.factors)
    seen = _sampled_pixels(plan, image)
    data: dict[str, Any] = {
        "name": f"landslide_scenes/{config.name}",
        "image": list(image),
    }
    if config.dtype != "uint8":
        first = next(iter(plan.scenes.values()))
        largest = max(plan.ranges[first.image.index(name), 1] for name in image)
        data["image_scale"] = _scale(seen, float(largest))
    if factors:
        data["factors"] = factors
    statistics = _statistics(seen, data.get("image_scale", 1.0))
    training = plan.tiles["train"]
    landslide = options.labels.landslide
    shown = sum(bool(tile.counts[landslide]) for tile in training) / len(training)
    made = network_sections(
        image,
        factors,
        statistics,
        Tiles(len(training), options.tile, shown),
        pretrained=installed_weights(BACKBONE) is not None,
    )
    made.content["training"]["seed"] = options.seed
    return {
        "description": f"{made.title} at CPU size on {', '.join(sorted(plan.scenes))}",
        "source": made.source,
        "data": data,
        **made.content,
    }


def advice() -> str | None:
    """Returns a line on what would give a better recipe, None where it is there."""
    if installed_weights(BACKBONE) is not None:
        return None
    return (
        "the encoder starts from scratch; it can start from ImageNet weights, which "
        f"helps most with few polygons: run `{INSTALL}`, then this command again"
    )


class Tiles(NamedTuple):
    """Training tiles, as far as a recipe depends on them.

    Attributes:
        number: How many there are.
        size: Their side, pixels.
        shown: Share of them that show a landslide, in [0, 1].
    """

    number: int
    size: int
    shown: float


class Sections(NamedTuple):
    """What a recipe says beside its data.

    Attributes:
        title: Which network.
        source: Where it comes from.
        content: The sections by name, JSON values.
    """

    title: str
    source: str
    content: dict[str, Any]


def network_sections(
    image: Sequence[str],
    factors: Sequence[str],
    statistics: Statistics,
    tiles: Tiles,
    *,
    pretrained: bool,
) -> Sections:
    """Returns which network is trained, and how.

    Args:
        image: Bands of the network's image.
        factors: Its factors; may be empty.
        statistics: Of the bands.
        tiles: Training tiles.
        pretrained: Whether the encoder starts from ImageNet weights.
    """
    training: dict[str, Any] = {
        "epochs": _EPOCHS,
        "batch_size": _BATCH,
        # Else each tile comes twice.
        "steps": max(_STEPS, math.ceil(2 * tiles.number / _BATCH)),
        "patch": tiles.size,
        # Few validation tiles hold few landslides, or none: their IoU jumps.
        "monitor": "val_loss",
        "mode": "min",
    }
    if tiles.shown < _SHOWN:  # else a few polygons drown in background
        training["positive_fraction"] = _SHOWN
    augmentation = {"dihedral": True, **_light(image), "scale": [0.75, 1.5]}
    if factors:
        augmentation["factor_jitter"] = 0.1
    network = "Ronneberger et al. 2015, MICCAI, 234-241"
    if factors:
        network = "Xia et al. 2021, Remote Sens. 13, 5116"
    title = f"{'FSTF-Net' if factors else 'U-Net'} on EfficientNet-Lite0"
    return Sections(
        f"{title} with ImageNet weights" if pretrained else title,
        f"{network} (network); Tan and Le 2019, ICML, 6105-6114 (encoder); widths, "
        "schedule, loss and augmentation are this project's",
        {
            "model": _model(image, factors, statistics, pretrained),
            "loss": {"name": "cross_entropy_dice"},
            "optimizer": {
                "name": "adamw",
                "learning_rate": 0.001,
                "weight_decay": 0.01,
            },
            "schedule": {"kind": "cosine"},
            "augmentation": augmentation,
            "training": training,
            "decision": {"threshold": True},
        },
    )


def _model(
    image: Sequence[str],
    factors: Sequence[str],
    statistics: Statistics,
    pretrained: bool,
) -> dict[str, Any]:
    """Returns the section of the network."""
    arguments: dict[str, Any] = {
        "backbone": BACKBONE,
        "decoder_width": 0.125 if factors else 0.25,
        "dropout": 0.1,
    }
    model = {"name": "fstf_net" if factors else "unet", "arguments": arguments}
    # The encoder's own constants are those of colours.
    others = tuple(image) != COLOURS
    if pretrained:
        arguments["backbone_weights"] = "imagenet"
        if others:
            coloured = set(COLOURS) <= set(image)
            model["stem"] = {name: name for name in COLOURS} if coloured else "repeat"
            arguments["normalization"] = _constants(image, statistics, coloured)
    elif others:
        arguments["normalization"] = [*statistics, 255.0]
    return model


def _light(image: Sequence[str]) -> dict[str, float]:
    """Returns the largest changes of light, of images that have a colour."""
    if not set(COLOURS) & set(image):
        return {}
    return {"brightness": 0.2, "contrast": 0.2}


def _constants(
    image: Sequence[str], statistics: Statistics, coloured: bool
) -> list[Any]:
    """Returns mean, std and scale of bands for weights that saw photographs."""
    means, deviations = [], []
    for name, mean, deviation in zip(image, *statistics, strict=True):
        own = coloured and name in COLOURS
        means.append(_COLOUR[0] if own else mean)
        deviations.append(_COLOUR[1] if own else deviation / _SPREAD)
    return [
        [round(value, 4) for value in means],
        [max(round(value, 4), 1e-4) for value in deviations],
        255.0,
    ]


def _sampled_pixels(plan: Plan, image: Sequence[str]) -> list[NDArray[Any]]:
    """Returns valid pixels (N, bands) of some training tiles, one array a tile."""
    tiles = plan.tiles["train"]
    seen = []
    for tile in tiles[:: max(1, len(tiles) // _MEASURED)]:
        scene = dataclasses.replace(plan.scenes[tile.scene], factors=())
        with SceneReader(scene, factors=False) as reader:
            pixels = reader.read(tile.window)
        at = [scene.image.index(name) for name in image]
        seen.append(pixels.image[pixels.valid][:, at])
    return seen


def _scale(seen: Sequence[NDArray[Any]], largest: float) -> float:
    """Returns what brings bright pixels of training to 255, and none far beyond."""
    bright = [bright_value(pixels) for pixels in seen if len(pixels)]
    top = max(float(np.median(bright)) if bright else 0.0, largest * 255 / _BEYOND)
    return float(f"{255 / top:.4g}") if top > 0 else 1.0


def _statistics(seen: Sequence[NDArray[Any]], scale: float) -> Statistics:
    pixels = np.concatenate(seen).astype(np.float64) * (scale / 255)
    deviation = np.where(np.ptp(pixels, axis=0) > 0, pixels.std(axis=0), 1.0)
    deviation = np.maximum(deviation.round(4), 1e-4)
    return Statistics(pixels.mean(axis=0).round(4).tolist(), deviation.tolist())

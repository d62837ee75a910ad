"""The recipe that goes with a prepared data set."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from landslide_tf.datasets import landslide_scenes
from landslide_tf.datasets.landslide_scenes.plan import Plan
from landslide_tf.prepare.pool import COLOURS
from landslide_tf.raster.scene import SceneReader

_BATCH = 8
# Tiles that the scale of images of more than 8 bits is measured on.
_MEASURED = 32
_BRIGHT = 99  # percentile that becomes 255


def recipe_of(
    plan: Plan, config: landslide_scenes.Config, *, sampled: bool, seed: int
) -> dict[str, Any]:
    """Makes a recipe at CPU size for a prepared data set.

    Args:
        plan: Scenes and tiles.
        config: What an example holds.
        sampled: Whether training tiles were sampled for even classes.
        seed: Seed of the run.

    Returns:
        The recipe's sections; JSON values.
    """
    data: dict[str, Any] = {
        "name": f"landslide_scenes/{config.name}",
        "image": list(COLOURS),
    }
    if config.dtype != "uint8":
        data["image_scale"] = _scale(plan)
    factors = list(config.factors)
    if factors:
        data["factors"] = factors
    network = "FSTF-Net" if factors else "RAE-D"
    recipe: dict[str, Any] = {
        "description": f"{network} at CPU size on {', '.join(sorted(plan.scenes))}",
        "source": "Xia et al. 2021, Remote Sens. 13, 5116 (network); width, schedule "
        "and augmentation are this project's",
        "data": data,
        "model": {
            "name": "fstf_net" if factors else "rae_d",
            "arguments": {"width": 0.125, "dropout": 0.3},
        },
        "optimizer": {"name": "adam", "learning_rate": 0.002},
        "schedule": {"kind": "cosine"},
        "augmentation": {"dihedral": True, "brightness": 0.1, "contrast": 0.1},
        "training": {
            "epochs": 25,
            "batch_size": min(_BATCH, len(plan.tiles["train"])),
            "seed": seed,
        },
    }
    if not sampled:
        # Sampling evens the classes out; where it does not, the loss has to.
        recipe["loss"] = {"class_weights": "median_frequency"}
    return recipe


def _scale(plan: Plan) -> float:
    """Returns what brings bright pixels of training to 255."""
    tiles = plan.tiles["train"]
    chosen = tiles[:: max(1, len(tiles) // _MEASURED)]
    bright = []
    for tile in chosen:
        scene = dataclasses.replace(plan.scenes[tile.scene], factors=())
        with SceneReader(scene, factors=False) as reader:
            pixels = reader.read(tile.window)
        colours = [scene.image.index(name) for name in COLOURS]
        if pixels.valid.any():
            seen = pixels.image[pixels.valid][:, colours]
            bright.append(float(np.percentile(seen, _BRIGHT)))
    top = float(np.median(bright)) if bright else 0.0
    return float(f"{255 / top:.4g}") if top > 0 else 1.0

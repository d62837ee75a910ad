"""Recipes of small regions whose examples lie in folders of arrays."""

import yaml

from landslide_tf.pipelines import write_arrays
from tests.train.continual.region_pairs import BANDS, store

SIZE = 8


def write_region(folder, region, count=6, seed=0, size=SIZE):
    """Writes the splits of a region as arrays."""
    for split in ("train", "test"):
        made = store(region, split, count, seed, size)
        write_arrays(folder / split, made.examples, made.description)
    return folder


def recipe(folders, **changes):
    """The content of a recipe with one region a folder, named A, B, …"""
    content = {
        "description": "regions for tests",
        "source": "made up",
        "regions": [
            {
                "name": chr(ord("A") + k),
                "data": "pairs",
                "arrays": str(folder),
                "validation": "test",
                "rounds": 0,
            }
            for k, folder in enumerate(folders)
        ],
        "data": {"image": list(BANDS), "size": SIZE},
        "model": {
            "variant": "code",
            "trunk_filters": [2],
            "decoder_filters": [2, 4],
            "bn_momentum": 0.9,
        },
        "base": {"epochs": 2, "learning_rate": 0.003},
        "warmup": {"epochs": 2, "learning_rate": 0.003},
        "joint": {"epochs": 2, "learning_rate": 0.001},
        "training": {"batch_size": 3, "deterministic": False, "save_steps": 1},
    }
    return {**content, **changes}


def write_recipe(path, folders, **changes):
    path.write_text(yaml.safe_dump(recipe(folders, **changes)))
    return path

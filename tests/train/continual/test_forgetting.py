"""Updates that preserve responses forget less than fine-tuning, on two regions."""

import keras
import numpy as np
import pytest

from landslide_tf.train import Session
from landslide_tf.train.continual.recipe import ContinualRecipe
from landslide_tf.train.continual.regions import Regions
from landslide_tf.train.continual.training import run_method
from tests.train.continual.regions_recipe import recipe, write_region

METHODS = ("tsmu", "finetune", "feature_extraction", "single_head")
SEEDS = (0, 1, 2)
SIZE = 32
CHANGES = {
    "model": {
        "variant": "code",
        "trunk_filters": [4, 8],
        "decoder_filters": [4, 8, 16],
        "bn_momentum": 0.9,
    },
    "base": {"epochs": 40, "learning_rate": 3e-3, "patience": 0},
    "warmup": {"epochs": 30, "learning_rate": 3e-3, "patience": 0},
    "joint": {"epochs": 30, "learning_rate": 1e-3, "patience": 0},
}


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """IoU of both regions after both steps, by method and seed."""
    found = {method: [] for method in METHODS}
    for seed in SEEDS:
        root = tmp_path_factory.mktemp("seed")
        folders = [
            write_region(root / str(k), k, 48, seed=seed, size=SIZE) for k in (0, 1)
        ]
        content = recipe(folders, **CHANGES)
        content["data"]["size"] = SIZE
        content["training"] = {
            "batch_size": 8,
            "validation_batch_size": 16,
            "seed": seed,
            "deterministic": False,
            "save_minutes": None,
        }
        files = Regions(ContinualRecipe.model_validate(content), Session(verbose=0))
        for method in METHODS:
            keras.utils.set_random_seed(seed)
            steps = run_method(method, files, root / "stages").steps
            found[method].append([[s[r]["iou"] for r in ("A", "B")] for s in steps])
    return {method: np.array(values) for method, values in found.items()}


def forgetting(values):
    """Mean over seeds of what the first region lost with the second."""
    return np.mean(values[:, 0, 0] - values[:, 1, 0])


@pytest.mark.slow
def test_updates_forget_less_than_fine_tuning(scores):
    print({m: v.round(3).tolist() for m, v in scores.items()})
    tsmu = forgetting(scores["tsmu"])
    assert tsmu <= 0.05
    assert forgetting(scores["finetune"]) >= tsmu + 0.05
    assert forgetting(scores["single_head"]) >= 0.5


@pytest.mark.slow
def test_updates_learn_the_new_region(scores):
    new = scores["tsmu"][:, 1, 1].mean()
    assert new >= 0.9
    assert new >= scores["feature_extraction"][:, 1, 1].mean()


@pytest.mark.slow
def test_a_frozen_trunk_forgets_nothing(scores):
    values = scores["feature_extraction"]
    np.testing.assert_array_equal(values[:, 0, 0], values[:, 1, 0])

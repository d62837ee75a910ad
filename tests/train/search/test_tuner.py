import csv
import json
import math
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import yaml

from landslide_tf import models
from landslide_tf.errors import DataError, LandslideTFError, RecipeError, RunError
from landslide_tf.train import SearchOptions, Session, engine, load_recipe, tune
from landslide_tf.train.search import tuner as tuner_module
from landslide_tf.train.search.space import Choice, LogRange, SearchSpace

pytestmark = pytest.mark.filterwarnings(
    # keras-tuner 1.4.8 asks for the thread the old way.
    "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning",
)

SMALL = """
description: a small network for tests
source: made up
data:
  name: synthetic_landslides/tiny
  train: train[:8]
  validation: validation[:4]
  image: [red, green, blue]
model: {name: basic_fcn, arguments: {width: 0.125}}
optimizer: {name: adam, learning_rate: 0.003}
training: {epochs: 4, batch_size: 4, patch: 32, deterministic: false}
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return load_recipe(path)


@pytest.fixture(scope="module")
def prepared_once():
    """Prepares each recipe once for all searches around it."""
    known = {}

    def prepare(recipe, session):
        key = recipe.model_dump_json()
        if key not in known:
            known[key] = engine.prepare(recipe, session)
        return known[key]

    return prepare


@pytest.fixture
def trained(monkeypatch, prepared_once):
    """Stands for training: a score that a rate of 0.01 would make the highest."""
    seen = []
    monkeypatch.setattr(tuner_module, "prepare", prepared_once)

    def score(recipe):
        return 1 / (1 + abs(math.log10(recipe.optimizer.learning_rate) + 2))

    def train(recipe, folder, session):
        seen.append(recipe)
        value = train.score(recipe)
        folder.mkdir(parents=True)
        recipe.write(folder / "recipe.yaml")
        loss = value if math.isnan(value) else 0.5
        text = f"epoch,loss,val_loss,val_landslide_iou\n0,1,{loss},0.5\n"
        if not math.isnan(value):
            text += f"1,1,0.4,{value}\n"
        (folder / "metrics.csv").write_text(text)

    train.score = score
    train.seen = seen
    monkeypatch.setattr(tuner_module, "train_or_resume", train)
    # Nothing to free, and a collection of this process takes long.
    monkeypatch.setattr(keras.utils, "clear_session", lambda: None)
    return train


@pytest.fixture
def search(small, trained, tiny_data, tmp_path):
    """Searches the learning rate of the small recipe without training."""

    def run(name="search", **options):
        options = {"trials": 5, "vary": ("optimizer.learning_rate",), **options}
        return tune(
            small, tmp_path / name, SearchOptions(**options), Session(tiny_data)
        )

    return run


# The space


def test_coupled_sgd_brings_its_own_values():
    space = SearchSpace.around(load_recipe("mffe_net_cas"))
    own = {d.name: d.own for d in space.dimensions}
    assert own["optimizer.head_multiplier"] == "10"
    recipe = space.recipe_at(
        {**own, "optimizer.head_multiplier": "1", "optimizer.weight_decay": "0.0001"}
    )
    assert recipe.optimizer.head_multiplier == 1
    assert recipe.optimizer.weight_decay == 1e-4
    assert space.recipe_at(own) == space.recipe


@pytest.mark.parametrize("name", models.list_models())
def test_every_network_has_a_space_of_valid_recipes_around_its_own(small, name):
    recipe = small.model_copy(deep=True)
    recipe.model.name, recipe.model.arguments = name, {}
    space = SearchSpace.around(recipe)
    own = space.values({})
    assert space.recipe_at(own) == recipe
    expected = {"optimizer.learning_rate", "loss.name", "loss.class_weights"}
    assert {d.name for d in space.dimensions} >= {*expected, "augmentation"}
    for dimension in space.dimensions:
        if isinstance(dimension, LogRange):
            assert dimension.low < dimension.own < dimension.high
            forms = [dimension.low, dimension.high]
        else:
            assert isinstance(dimension, Choice) and dimension.own in dimension.forms
            forms = [label for label in dimension.forms if label != dimension.own]
        for form in forms:
            assert space.recipe_at({**own, dimension.name: form}) != recipe


def test_fusion_and_dropout_belong_to_networks_that_have_them(small):
    def names(model):
        recipe = small.model_copy(deep=True)
        recipe.model.name, recipe.model.arguments = model, {}
        return {d.name for d in SearchSpace.around(recipe).dimensions}

    assert "model.arguments.fusion" in names("fstf_net")
    assert "model.arguments.fusion" not in names("rae_d")
    assert "model.arguments.aspp_rates" in names("deeplab_v3_plus")
    assert "model.arguments.aspp_rates" not in names("unet")
    assert all("model.arguments.width" in names(name) for name in models.list_models())


def test_numbers_survive_32_bits(small):
    space = SearchSpace.around(small)
    own = float(np.float32(0.003))
    assert own != 0.003
    name = "optimizer.learning_rate"
    assert space.values({name: own})[name] == 0.003
    drawn = 0.0012345678
    assert space.values({name: drawn}) == space.values({name: float(np.float32(drawn))})


def test_what_cannot_vary_is_named(small):
    with pytest.raises(RecipeError, match=r"no `model\.arguments\.fusion`"):
        SearchSpace.around(small, ["model.arguments.fusion"])


# A search


def test_the_recipe_comes_first_and_the_best_trial_is_written(search, small):
    result = search()
    outcomes = result.outcomes()
    assert [o.trial for o in outcomes] == [0, 1, 2, 3, 4]
    assert outcomes[0].values == {"optimizer.learning_rate": 0.003}
    best = max(outcomes, key=lambda o: o.score)
    assert best.trial != 0
    winner = load_recipe(result.best)
    assert winner.optimizer.learning_rate == best.values["optimizer.learning_rate"]
    assert f"trial {best.trial} of a search with 5" in winner.description
    same = winner.model_copy(deep=True)
    same.optimizer.learning_rate, same.description = 0.003, small.description
    assert same == small
    with result.table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["score"]) for row in rows] == [o.score for o in outcomes]
    assert f"| {best.trial} |" in result.ranking.read_text().splitlines()[2]


def test_the_same_call_trains_nothing_anew_and_more_trials_go_on(search, trained):
    first = search(trials=3).outcomes()
    assert len(trained.seen) == 3
    assert search(trials=3).outcomes() == first and len(trained.seen) == 3
    longer = search(trials=5).outcomes()
    assert longer[:3] == first and len(longer) == len(trained.seen) == 5
    with pytest.raises(RunError, match="another recipe or other options"):
        search(trials=3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("oracle", ["random", "hyperband", "bayesian"])
def test_a_search_goes_on_where_it_ended_with_every_oracle(search, trained, oracle):
    options = {"oracle": oracle, "trials": 7}
    whole = search("whole", **options).outcomes()
    honest, count = trained.score, len(trained.seen)

    def stop(recipe):
        if len(trained.seen) == count + 5:
            raise KeyboardInterrupt
        return honest(recipe)

    trained.score = stop
    with pytest.raises(KeyboardInterrupt):
        search("broken", **options)
    trained.score = honest
    assert search("broken", **options).outcomes() == whole
    assert len({tuple(o.values.values()) for o in whole}) > 1
    scores = [o.score for o in whole]
    if oracle == "hyperband":
        assert {r.training.epochs for r in trained.seen} == {2, 4}
    else:
        assert max(scores) > scores[0]


def test_failed_trials_have_a_reason_and_the_search_goes_on(search, trained):
    tensorflow = pytest.importorskip("tensorflow")
    faults = iter(
        [
            MemoryError(),
            tensorflow.errors.ResourceExhaustedError(None, None, "OOM\nwhen"),
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating"),
        ]
    )
    honest = trained.score

    def score(recipe):
        if len(trained.seen) == 1:
            return math.nan
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return honest(recipe)

    trained.score = score
    result = search(trials=6)
    outcomes = result.outcomes()
    assert [o.status for o in outcomes] == ["failed"] * 4 + ["completed"] * 2
    assert "not a number" in outcomes[0].reason
    assert [o.reason for o in outcomes[1:4]] == [
        "out of memory",
        "out of memory: OOM when",
        "out of memory: RESOURCE_EXHAUSTED: Out of memory allocating",
    ]
    best = max(outcomes[4:], key=lambda o: o.score)
    assert f"trial {best.trial} of" in load_recipe(result.best).description
    assert len(trained.seen) == 6
    assert search(trials=6).outcomes() == outcomes and len(trained.seen) == 6


def test_too_large_networks_are_not_trained(search, trained):
    vary = ("model.arguments.width",)
    sizes = [o.parameters for o in search("all", trials=4, vary=vary).outcomes()]
    assert len(set(sizes)) == 4
    limit, count = sorted(sizes)[1], len(trained.seen)
    found = search(trials=4, vary=vary, max_parameters=limit).outcomes()
    assert [o.parameters for o in found] == sizes
    assert [o.score is None for o in found] == [size > limit for size in sizes]
    assert all(f"more than the {limit}" in o.reason for o in found if o.reason)
    assert len(trained.seen) == count + 2
    with pytest.raises(RunError, match=r"No trial succeeded: .* parameters are"):
        search("none", trials=2, max_parameters=10)
    assert len(trained.seen) == count + 2


@pytest.mark.parametrize("error", [DataError("the disk is full"), TypeError("a bug")])
def test_what_is_not_a_trials_fault_ends_the_search(search, trained, error):
    def score(recipe):
        raise error

    trained.score = score
    with pytest.raises(type(error), match=str(error)):
        search()
    assert len(trained.seen) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.image=[red,green,nir]"], "no band or factor `nir`"),
        (["model.arguments.width=0"], "width"),
        (["loss.class_weights=[1,2]"], "expected 6 weights"),
        (["loss.arguments={gamma: 2}"], "no argument `gamma`"),
        (["training.batch_size=1000"], "at most"),
    ],
)
def test_a_wrong_recipe_is_refused_before_the_search(
    small, tiny_data, tmp_path, changes, message
):
    small.write(tmp_path / "whole.yaml")
    wrong = load_recipe(tmp_path / "whole.yaml", changes)
    with pytest.raises(LandslideTFError, match=message):
        tune(wrong, tmp_path / "search", session=Session(tiny_data))
    assert not (tmp_path / "search").exists()


def test_a_recipe_that_training_refuses_can_be_put_right_in_the_same_folder(
    search, trained
):
    def score(recipe):
        raise RecipeError("`training.monitor`: there is no `val_iou`.")

    honest, trained.score = trained.score, score
    with pytest.raises(RecipeError, match="there is no `val_iou`"):
        search()
    trained.score = honest
    assert len(search(seed=1).outcomes()) == 5


def test_wrong_options_and_folders_are_refused(search, tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match="`trials` must be at least 1, got 0"):
        SearchOptions(trials=0)
    with pytest.raises(RecipeError, match="`seed` must be at least 0"):
        SearchOptions(seed=-1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep")
    with pytest.raises(RunError, match="neither empty nor a search"):
        search("mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_damaged_outcome_is_named(search):
    result = search(trials=2)
    path = next(result.trials.glob("0001-*/trial.json"))
    path.write_text(path.read_text()[:20])
    with pytest.raises(RunError, match=r"trial\.json` is damaged: remove it"):
        search(trials=2)


# Processes that train


class Tuner:
    """Runs `landslide-tf tune` as a user does, in processes of its own."""

    def __init__(self, folder, data_dir):
        self.folder = folder
        self.data_dir = data_dir
        self.recipe = folder / "small.yaml"
        content = yaml.safe_load(SMALL)
        content["training"].update(
            epochs=2, threads=1, deterministic=True, save_steps=1
        )
        self.recipe.write_text(yaml.safe_dump(content))

    def start(self, command, *arguments, **environment):
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "landslide_tf.cli.main", command),
                *map(str, arguments),
                *("--data-dir", str(self.data_dir)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
        )

    def search(self, out, **environment):
        options = ["--trials", 2, "--seed", 3]
        return self.start("tune", self.recipe, "--out", out, *options, **environment)


def finish(process, timeout=300):
    output, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def tuner(tmp_path_factory, tiny_data):
    return Tuner(tmp_path_factory.mktemp("tuner"), tiny_data)


@pytest.fixture(scope="module")
def whole(tuner):
    folder = tuner.folder / "whole"
    output = finish(tuner.search(folder))
    assert (
        "trial 1: val_landslide_iou" in output and str(folder / "best.yaml") in output
    )
    return folder


def outcomes(folder):
    """How the trials ended, by name of their run folder."""
    return {
        path.parent.name: json.loads(path.read_text())
        for path in folder.glob("trials/*/trial.json")
    }


def curves(folder):
    """The rows of every trial's `metrics.csv` without its times."""
    found = {}
    for path in folder.glob("trials/*/metrics.csv"):
        rows = list(csv.DictReader(path.read_text().splitlines()))
        for row in rows:
            del row["seconds"]
        found[path.parent.name] = rows
    return found


@pytest.mark.slow
def test_a_search_killed_in_a_trial_ends_as_one_that_was_not(tuner, whole):
    broken = tuner.folder / "broken"
    process = tuner.search(broken)
    deadline = time.monotonic() + 600
    # In the first trial, once it has something to go on from.
    while not list(broken.glob("trials/*/checkpoints/state-*")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not outcomes(broken)
    finish(tuner.search(broken))
    assert len(outcomes(whole)) == 2
    assert outcomes(broken) == outcomes(whole)
    assert curves(broken) == curves(whole)
    for name in ("best.yaml", "trials.csv", "trials.md"):
        assert (broken / name).read_text() == (whole / name).read_text()


@pytest.mark.slow
def test_the_winner_scores_the_same_when_it_is_trained(tuner, whole):
    run = tuner.folder / "winner"
    finish(tuner.start("train", whole / "best.yaml", "--out", run))
    with (run / "metrics.csv").open() as stream:
        scores = [float(r["val_landslide_iou"]) for r in csv.DictReader(stream)]
    assert max(scores) == max(o["score"] for o in outcomes(whole).values())

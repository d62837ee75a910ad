"""Sequences of regions on disk: killed and resumed, without old data, refused."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from landslide_tf import serving
from landslide_tf.errors import RecipeError, RunError
from landslide_tf.metadata import ModelMetadata
from landslide_tf.models import tsmu
from landslide_tf.train import (
    Session,
    load_continual_recipe,
    read_matrix,
    resume_continual,
    shipped_continual_recipes,
    train_continual,
)
from landslide_tf.train.continual.methods import stage_names
from tests.train.continual.killable import Events
from tests.train.continual.regions_recipe import recipe, write_recipe, write_region

SCRIPT = Path(__file__).with_name("killable.py")
QUIET = Session(verbose=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("regions")
    return [write_region(root / str(k), k) for k in (0, 1)]


def start(folder, recipe_file, kill_at=None):
    command = [sys.executable, str(SCRIPT), str(folder), str(recipe_file)]
    return subprocess.run(
        command + ([] if kill_at is None else [str(kill_at)]),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )


def whole(folder, recipe_file):
    result = start(folder, recipe_file)
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[-1])


def rows(path):
    with path.open() as stream:
        return [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader(stream)
        ]


def assert_same(one, other):
    first, second = (tsmu.load_state(p / "state") for p in (one, other))
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
    assert read_matrix(one / "state") == read_matrix(other / "state")
    histories = sorted(p.name for p in (one / "state/history").iterdir())
    assert histories == sorted(p.name for p in (other / "state/history").iterdir())
    for name in histories:
        assert rows(one / "state/history" / name) == rows(
            other / "state/history" / name
        )
    files = [{p.name for p in (f / "state").rglob("*")} for f in (one, other)]
    assert files[0] == files[1]
    assert not list(other.rglob(".tmp-*"))
    assert not (other / "stages").exists()


@pytest.fixture
def deterministic(folders, tmp_path):
    training = {**recipe(folders)["training"], "deterministic": True, "threads": 1}
    return write_recipe(tmp_path / "recipe.yaml", folders, training=training)


@pytest.mark.slow
def test_a_kill_changes_nothing(tmp_path, folders, monkeypatch):
    # The killed one is a process of its own, with the threads of this one.
    file = write_recipe(tmp_path / "recipe.yaml", folders)
    events = Events(None)
    monkeypatch.setattr(os, "replace", events.around(os.replace))
    train_continual(load_continual_recipe(file), tmp_path / "whole", QUIET)
    monkeypatch.undo()
    assert events.count > 60
    result = start(tmp_path / "killed", file, events.count // 2)  # in the second region
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert read_matrix(tmp_path / "killed/state")["R"][-1][1] is None
    resume_continual(tmp_path / "killed", QUIET)
    assert_same(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.slow
def test_a_kill_at_any_event_changes_nothing(tmp_path, deterministic):
    total = whole(tmp_path / "whole", deterministic)
    for kill_at in range(1, total, max(1, total // 24)):
        killed = tmp_path / f"killed-{kill_at}"
        result = start(killed, deterministic, kill_at)
        assert result.returncode == -signal.SIGKILL, result.stderr
        assert start(killed, deterministic).returncode == 0
        assert_same(tmp_path / "whole", killed)


@pytest.fixture(scope="module")
def first_step(folders, tmp_path_factory):
    """A finished training of the first region."""
    folder = tmp_path_factory.mktemp("run") / "run"
    content = load_continual_recipe(
        write_recipe(folder.parent / "recipe.yaml", folders[:1])
    )
    return train_continual(content, folder, QUIET).path


def grown(first_step, folders, target, **changes):
    """A copy of the first step whose recipe has the second region, too."""
    shutil.copytree(first_step, target)
    content = yaml.safe_load((target / "recipe.yaml").read_text())
    content["regions"] = recipe(folders, **changes)["regions"]
    content |= changes
    (target / "recipe.yaml").write_text(yaml.safe_dump(content))
    return target


@pytest.mark.integration
def test_a_new_region_needs_no_old_image(first_step, folders, tmp_path):
    gone = tmp_path / "gone"
    target = grown(first_step, [gone, folders[1]], tmp_path / "run")
    before = tsmu.load_state(target / "state")
    steps = []
    place = resume_continual(target, QUIET, lambda step, network: steps.append(step))
    assert steps == [1]
    matrix = read_matrix(place.state)
    assert matrix["R"][0][1] is None
    assert matrix["R"][1][0] is None
    assert 0 <= matrix["R"][1][1] <= 1
    assert matrix["Z"][0] == [None, None]
    network = tsmu.load_state(place.state)
    assert tsmu.regions(network) == ("A", "B")
    assert place.done() == stage_names(place.read_recipe())
    assert not (place.state / "responses").exists()
    kernels = [
        tsmu.trunk(n).get_layer("block1_2_conv").kernel for n in (before, network)
    ]
    assert not np.array_equal(*kernels)
    metadata = ModelMetadata.read(place.path)
    assert metadata.arguments["regions"] == ["A", "B"]
    assert set(metadata.metrics["test"]) == {"B_iou"}
    loaded = keras.models.load_model(place.path / "model.keras")
    for a, b in zip(loaded.weights, network.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_freezing_alone_leaves_the_old_outputs(first_step, folders, tmp_path):
    target = grown(first_step, folders, tmp_path / "run", stages=["warmup"])
    old = tsmu.load_state(target / "state")
    place = resume_continual(target, QUIET)
    new = tsmu.load_state(place.state)
    image = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 6)).astype("float32")
    inputs = {"image": image, "region": np.zeros(2, "int32")}
    np.testing.assert_array_equal(new(inputs), old(inputs))
    matrix = read_matrix(place.state)
    assert matrix["R"][1][0] == matrix["R"][0][0]


def test_a_finished_training_stays_as_it_is(first_step):
    before = (first_step / "state/state.json").read_bytes()
    steps = []
    resume_continual(first_step, QUIET, lambda step, network: steps.append(step))
    assert steps == []
    assert (first_step / "state/state.json").read_bytes() == before


def test_what_cannot_go_on_is_refused(first_step, folders, tmp_path):
    with pytest.raises(RunError, match="not an empty folder"):
        train_continual(load_continual_recipe(first_step / "recipe.yaml"), first_step)
    with pytest.raises(RunError, match="continual training"):
        resume_continual(tmp_path)
    target = grown(first_step, folders, tmp_path / "other")
    content = yaml.safe_load((target / "recipe.yaml").read_text())
    content["model"]["trunk_filters"] = [3]
    (target / "recipe.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(RecipeError, match="model's arguments"):
        resume_continual(target, QUIET)
    (trunk,) = (target / "state").glob("trunk.*")
    trunk.unlink()
    with pytest.raises(RunError, match="missing"):
        resume_continual(target, QUIET)


@pytest.mark.integration
def test_every_step_becomes_a_version(command, first_step, folders, tmp_path):
    target = grown(first_step, folders, tmp_path / "run", stages=["warmup"])
    out = tmp_path / "served"
    code, text, _ = command("continual", "train", "--resume", target, "--export", out)
    assert code == 0
    assert "step 1: B is done" in text
    assert "IoU after every step: A, B" in text
    served = serving.load(out / "2")
    image = np.zeros((1, 8, 8, 6), "float32")
    found = served({"image": image, "region": np.array(["b"])}, "by_name")
    assert found["probabilities"].shape == (1, 8, 8, 1)
    # The run's own model, and one region of it.
    code, text, _ = command("export", target, "--out", out)
    assert code == 0 and text.strip() == str(out / "3")
    one = tmp_path / "one"
    code, _, _ = command("export", target, "--out", one, "--region", "b")
    assert code == 0
    alone = serving.load(one)
    assert alone.metadata.name == "run-B"
    np.testing.assert_allclose(
        alone({"image": image})["probabilities"], found["probabilities"], atol=1e-6
    )
    command.refuses(
        "export", target, "--out", one, "--region", "c", message="no region `c`"
    )
    scene = ("map", out, "--image", tmp_path / "no.tif", "--out", tmp_path / "m.tif")
    command.refuses(*scene, message="--region NAME")


def test_the_command_refuses_bad_input(command, tmp_path, folders):
    file = write_recipe(tmp_path / "r.yaml", folders)
    train = ("continual", "train")
    command.refuses(*train, message="recipe or `--resume")
    command.refuses(*train, "tsmu_ecoregion", message="tsmu_ecoregions")
    command.refuses(*train, file, "--resume", tmp_path, message="either")
    command.refuses(*train, "--resume", tmp_path, message="continual training")
    command.refuses(
        *train,
        file,
        "--set",
        "joint.learning_rate=1e-12",
        "--out",
        tmp_path / "run",
        message="do not move",
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["joint.learning_rate=1e-12"], "float32 weights do not move"),
        (["warmup.learning_rate=.nan"], "1e-8"),
        (["base.learning_rate=0"], "1e-8"),
        (["joint.lambda=2"], "unknown key `joint.lambda`"),
        (["stages=[joint, warmup]"], "stages"),
        (["order=[A]"], "every region once"),
        (["order=[A, A]"], "every region once"),
        (["data.image=[post_r]"], "6 bands"),
        (["model.trunk_filters=[0]"], "trunk_filters"),
        (["model.variant=paper"], "trunk_filters"),
        (["training.batch_size=0"], "batch_size"),
        (["regions=[{name: A, data: a}, {name: ' a', data: b}]"], "twice"),
        (["regions=[{name: A, data: a, id: b}]"], "unknown key `regions.0.id`"),
        (["regions=[]"], "regions"),
    ],
)
def test_refuses_recipes(tmp_path, folders, changes, words):
    file = write_recipe(tmp_path / "r.yaml", folders)
    with pytest.raises(RecipeError, match=words):
        load_continual_recipe(file, changes)


def test_orders(tmp_path, folders):
    file = write_recipe(tmp_path / "r.yaml", folders)
    turned = load_continual_recipe(file, ["order=[b, A]"])
    assert [s.name for s in turned.arrivals()] == ["B", "A"]
    released = load_continual_recipe("tsmu_ecoregions", ["order=code"])
    names = [s.name.split("_")[0] for s in released.arrivals()]
    assert names == ["MARINE", "NORTH", "NORTHWESTERN", "EASTERN"]


def test_the_command_lists_and_shows_the_shipped_recipes(command):
    code, text, _ = command("recipes", "list")
    assert code == 0 and "tsmu_synthetic" in text.split("continual train")[1]
    code, text, _ = command("recipes", "show", "tsmu_synthetic")
    assert code == 0 and "bn_policy: frozen" in text


def test_shipped_recipes_are_valid_and_say_where_numbers_come_from():
    shipped = shipped_continual_recipes()
    assert set(shipped) >= {"tsmu_ecoregions", "tsmu_synthetic"}
    for name in shipped:
        assert load_continual_recipe(name).source
    assert json.dumps(load_continual_recipe("tsmu_ecoregions").model_dump(mode="json"))
    joint = load_continual_recipe("tsmu_ecoregions").joint
    assert (joint.learning_rate, joint.bn_policy, joint.strength) == (1e-4, "frozen", 1)

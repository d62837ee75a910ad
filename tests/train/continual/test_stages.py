"""What every stage trains, leaves alone, preserves and selects."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from landslide_tf import models
from landslide_tf.errors import RunError
from landslide_tf.losses import ResponsePreservationLoss
from landslide_tf.models import tsmu
from landslide_tf.train.continual import stages
from landslide_tf.train.continual.recipe import (
    ContinualRecipe,
    ContinualTraining,
    JointSection,
    RegionSection,
)
from landslide_tf.train.continual.regions import RegionData, Regions
from landslide_tf.train.continual.responses import (
    Responses,
    read_responses,
    record_region,
    responses_path,
    write_responses,
)
from landslide_tf.train.continual.training import RegionSequence
from landslide_tf.train.continual.update_models import StagePlan, UpdateModel
from landslide_tf.train.recipe.schema import TrainingSection
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.recorder import RunRecorder
from landslide_tf.train.run.session import Session
from tests.models.tsmu_small import call, draw
from tests.train.continual.region_pairs import region_data

RECIPE = ContinualRecipe.model_validate(
    {
        "description": "small",
        "source": "made up",
        "regions": [{"name": "a", "data": "a"}],
        "data": {"image": ["a"] * 6, "size": 16},
        "base": {"epochs": 1, "learning_rate": 3e-3},
        "warmup": {"epochs": 9, "learning_rate": 3e-3, "patience": 1},
        "joint": {"epochs": 2, "learning_rate": 1e-2},
        "training": {"batch_size": 4, "validation_batch_size": 4},
    }
)


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs" / "golden" / "tsmu.json").read_text())


@pytest.fixture(scope="module")
def data():
    return region_data(1, 8, size=16)


def network(*regions):
    net = models.tsmu_net(
        regions or ("A", "B", "C"),
        variant="code",
        trunk_filters=(4,),
        decoder_filters=(4, 8),
        bn_momentum=0.9,
    )
    random = np.random.default_rng(0)
    for weight in net.weights:  # as if trained: statistics and biases are not 0 and 1
        change = random.uniform(0.0, 0.1, weight.shape).astype("float32")
        if weight.dtype == "float32":
            weight.assign(weight + change)
    return net


def values(*parts):
    return [w.copy() for part in parts for w in part.get_weights()]


def same(one, other):
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


def count(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


def test_the_base_stage_trains_everything(data, tmp_path):
    net = network("A")
    before = values(net)
    result = stages.fit_base(net, data, RECIPE, tmp_path, verbose=0)
    assert [row["epoch"] for row in result.rows] == [0]
    assert result.epoch == 0
    assert not any(map(np.array_equal, before, values(net)))


def test_warm_up_leaves_all_old_weights_and_outputs(data, tmp_path):
    net = network()
    trunk, (*old, new) = tsmu.trunk(net), tsmu.decoders(net).values()
    before, image = values(trunk, *old), draw(net, 4)
    outputs = [call(net, image, [k] * 4) for k in (0, 1)]
    started = values(new)
    result = stages.warm_up(net, data, RECIPE, tmp_path, verbose=0)
    assert 2 <= len(result.rows) <= 9
    assert same(before, values(trunk, *old))
    for region, expected in enumerate(outputs):
        np.testing.assert_array_equal(call(net, image, [region] * 4), expected)
    assert not same(started, values(new))
    assert all(v.trainable for v in net.variables if "gamma" in v.path)


def test_warm_up_refuses_a_changed_old_weight(data, tmp_path, monkeypatch):
    net = network("A", "B")

    def meddle(model, *_arguments, **_keywords):
        bias = tsmu.trunk(model.network).get_layer("block1_0_conv").bias
        bias.assign(bias + 1e-6)

    monkeypatch.setattr(stages, "fit_stage", meddle)
    with pytest.raises(RunError, match="outside the new decoder"):
        stages.warm_up(net, data, RECIPE, tmp_path)


@pytest.fixture
def no_initialisation(monkeypatch):
    for name in ("HeNormal", "GlorotUniform"):
        monkeypatch.setattr(
            getattr(keras.initializers, name),
            "__call__",
            lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype),
        )


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_counts_of_what_each_stage_trains(variant, golden, no_initialisation):
    wanted = golden["params"][variant]
    net = models.tsmu_net(("A", "B"), variant=variant)
    warm = UpdateModel(net, StagePlan("B", trunk=False))
    assert count(warm.trainable_variables) == wanted["decoder"]["trainable"]
    joint = UpdateModel(net, stages.joint_plan(net, JointSection()))
    assert count(joint.trainable_variables) == wanted["joint_region_2_trainable"]


def joint_model(net, **changes):
    return UpdateModel(net, stages.joint_plan(net, JointSection(**changes)))


def first_batch(net, data, old):
    recorded = record_region(net, old, data, RECIPE)
    (images, masks) = zip(*(data.training.load(k) for k in range(4)), strict=True)
    responses = np.stack([r.training[:4] for r in recorded], -1)
    return (
        {"image": np.stack(images)},
        {"mask": np.stack(masks), "responses": responses.astype("float32")},
    )


@pytest.mark.parametrize(
    ("changes", "least", "most"),
    [
        ({}, 0, 1e-10),
        ({"preservation": "kd_kl"}, 0, 1e-7),
        ({"bn_policy": "batch"}, 1e-6, 10),
        ({"bn_policy": "batch", "preservation": "kd_kl"}, 1e-6, 10),
    ],
)
def test_preservation_starts_at_zero(data, changes, least, most):
    net = network()
    x, y = first_batch(net, data, ("A", "B"))
    model = joint_model(net, **changes)
    moved = float(model.preserved_loss(x, y, model(x, training=True)))
    assert least <= abs(moved) <= most


def test_recorded_halves_and_a_frozen_copy_start_near_zero(data):
    net = network()
    x, y = first_batch(net, data, ("A", "B"))
    y["responses"] = y["responses"].astype("float16").astype("float32")
    model = joint_model(net)
    predicted = model(x, training=True)
    assert 0 < float(model.preserved_loss(x, y, predicted)) <= 1e-6
    plan = stages.joint_plan(net, JointSection())
    online = UpdateModel(net, plan, teacher=tsmu.copy(net))
    assert float(online.preserved_loss(x, y, online(x, training=True))) <= 1e-10
    assert not online.teacher.trainable_variables
    kept = values(online.teacher)
    tsmu.trunk(net).get_layer("block1_0_conv").bias.assign([1.0] * 8)
    assert float(online.preserved_loss(x, y, online(x, training=True))) > 1e-6
    assert same(kept, values(online.teacher))


def test_the_loss_is_dice_plus_the_weighted_sum(data):
    net = network()
    x, y = first_batch(net, data, ("A", "B"))
    y["responses"] = 1 - y["responses"]
    model = joint_model(net, strength=0.5)
    predicted = model(x, training=True)
    dice = float(model.dice(y["mask"], predicted["C"]))
    moved = [
        float(ResponsePreservationLoss()(y["responses"][..., k, None], predicted[name]))
        for k, name in enumerate(("A", "B"))
    ]
    total = float(model.compute_loss(x, y, predicted))
    assert total == pytest.approx(dice + 0.5 * sum(moved), rel=1e-5)


def test_the_joint_stage_trains_all_but_the_old_statistics(data, tmp_path):
    net = network("A", "B")
    parts = [tsmu.trunk(net), tsmu.decoders(net)["A"]]
    before = {id(part): {v.path: v.numpy() for v in part.variables} for part in parts}
    recorded = record_region(net, ("A",), data, RECIPE)
    recipe = RECIPE.model_copy(deep=True)
    recipe.joint.selection = "new_iou"
    result = stages.fit_joint(net, data, recipe, tmp_path, recorded=recorded, verbose=0)
    assert [row["epoch"] for row in result.rows] == [-1, 0, 1]
    assert result.rows[0]["val_preservation"] <= 1e-10
    assert result.rows[0]["val_loss"] == pytest.approx(result.rows[0]["val_dice"])
    assert result.epoch >= 0
    for part in parts:
        for variable in part.variables:
            old = before[id(part)][variable.path]
            still = np.array_equal(old, variable.numpy())
            kept = "moving" in variable.path or "seed" in variable.path
            assert still == kept, variable.path


def test_the_joint_stage_may_keep_the_start(data, tmp_path):
    net = network("A", "B")
    before = values(net)
    recorded = record_region(net, ("A",), data, RECIPE)
    recipe = RECIPE.model_copy(deep=True)
    recipe.joint.strength = 1e6
    result = stages.fit_joint(net, data, recipe, tmp_path, recorded=recorded, verbose=0)
    assert result.epoch == -1
    assert same(before, values(net))


@pytest.mark.parametrize(
    ("rule", "strength", "wanted"),
    [
        ("val_total", 1.0, "rule_val_total_best"),
        ("val_total", 2.0, "rule_val_total_best_lambda_2"),
        ("new_iou", 1.0, "rule_new_iou_best"),
    ],
)
def test_selection_goldens(golden, tmp_path, rule, strength, wanted):
    case = golden["selection"]
    net = network("A", "B")
    plan = stages.joint_plan(net, JointSection(selection=rule, strength=strength))
    mode = "min" if plan.monitor == "val_loss" else "max"
    section = TrainingSection(epochs=9, monitor=plan.monitor, mode=mode)
    recorder = RunRecorder(RunFolder(tmp_path), section)
    tiny = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    tiny.compile("sgd", "mse")
    rows = zip(case["val_dice"], case["val_distill"], case["val_new_iou"], strict=True)
    for index, (dice, moved, iou) in enumerate(rows):
        logs = {"val_loss": dice + strength * moved, "val_soft_iou": iou}
        if index == 0:
            recorder.start(tiny, logs)
        else:
            recorder.end_epoch(tiny, index - 1, logs)
    assert recorder.best_epoch + 1 == case[wanted]


@pytest.mark.slow
def test_the_whole_update_in_memory_and_in_mixed_precision(data, tmp_path):
    recipe = RECIPE.model_copy(deep=True)
    recipe.regions = [RegionSection(name=name, data=name) for name in ("A", "B")]
    recipe.stages = ["joint"]
    recipe.training = ContinualTraining(
        batch_size=4, validation_batch_size=4, precision="mixed_float16"
    )
    recipe.joint = JointSection(epochs=1, learning_rate=1e-3, responses="online")
    regions = Regions(recipe, Session(verbose=0), {"B": data})
    keras.config.set_dtype_policy("mixed_float16")
    try:
        update = RegionSequence(regions, tmp_path.joinpath, network("A"))
        update.run("1_joint")
        recorded = record_region(update.network, ("A",), data, recipe)
    finally:
        keras.config.set_dtype_policy("float32")
    assert tsmu.regions(update.network) == ("A", "B")
    assert recorded[0].training.dtype == np.float32
    assert all(np.isfinite(w).all() for w in update.network.get_weights())


def test_responses_belong_to_their_examples(data, tmp_path):
    random = np.random.default_rng(0)
    made = Responses(
        random.random((8, 16, 16), "float32"), random.random((8, 16, 16), "float32")
    )
    path = responses_path(tmp_path, "B", "A")
    write_responses(path, data, made)
    found = read_responses(path, data)
    np.testing.assert_array_equal(found.training, made.training)
    np.testing.assert_array_equal(found.validation, made.validation)
    with pytest.raises(RunError, match="other examples"):
        read_responses(
            path, RegionData(replace(data.training, rounds=1), data.validation)
        )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match="damaged"):
        read_responses(path, data)

"""The baselines: what of a network they change, what they see, what they add."""

import json

import keras
import numpy as np
import pytest

from landslide_tf import models
from landslide_tf.models import tsmu
from landslide_tf.pipelines import RegionBatches
from landslide_tf.pipelines.sequences import training_input
from landslide_tf.train.continual.baseline_batches import (
    Buffer,
    JoinedExamples,
    RegionwiseBatches,
    ReplayBatches,
    WholeRegions,
)
from landslide_tf.train.continual.update_models import (
    Anchor,
    AnchoredModel,
    JointModel,
    ReplayModel,
    StagePlan,
    UpdateModel,
    trunk_fisher,
)
from tests.train.continual import region_pairs

SIZE = 16
SMALL = {"variant": "code", "trunk_filters": [4], "decoder_filters": [4, 8]}


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs/golden/tsmu.json").read_text())["ewc"]


@pytest.fixture
def joined():
    parts = [
        region_pairs.examples(0, "train", 5, size=SIZE),
        region_pairs.examples(1, "train", 3, size=SIZE, rounds=1),
    ]
    return JoinedExamples(tuple(parts))


def test_penalty_is_the_worked_example(golden):
    anchor = Anchor(
        [np.array(golden["theta_star"], "float32")],
        [np.array(golden["fisher"], "float32")],
    )
    found = anchor.penalty([np.array(golden["theta"], "float32")], golden["lambda"])
    assert float(found) == pytest.approx(golden["penalty"], rel=1e-6)


def test_fisher_is_the_mean_square_of_each_images_gradient(golden):
    squares = np.square(golden["per_example_gradients"])
    assert squares.mean(axis=0).tolist() == golden["fisher_diag_from_gradients"]
    network = models.tsmu_net(["zero"], **SMALL)
    examples = region_pairs.examples(0, "train", 3, size=SIZE, rounds=1)
    found = trunk_fisher(network, "ZERO", examples)
    # One weight's gradient by differences, of the examples without their copies.
    weight = tsmu.trunk(network).trainable_variables[0]
    place, step = (0, 0, 4, 1), 2e-2

    def losses():
        values = []
        for number in range(0, len(examples), examples.copies):
            image, mask = examples.load(number)
            index = np.zeros(1, "int32")
            p = network.predict_on_batch({"image": image[None], "region": index})
            p, y = p[0, ..., 0].astype("float64"), mask.astype("float64")
            values.append(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))
        return np.array(values)

    before = weight.numpy()
    shifted = []
    for sign in (1, -1):
        moved = before.copy()
        moved[place] += sign * step
        weight.assign(moved)
        shifted.append(losses())
    weight.assign(before)
    gradients = (shifted[0] - shifted[1]) / (2 * step)
    expected = np.mean(gradients**2)
    assert len(gradients) == 3
    assert expected > 0
    assert found[0][place] == pytest.approx(expected, rel=0.02)


def test_ignored_pixels_count_nowhere_in_the_fisher():
    network = models.tsmu_net(["zero"], **SMALL)
    examples = region_pairs.examples(0, "train", 1, size=SIZE)
    examples.store.examples[0]["mask"][:] = 255
    found = trunk_fisher(network, "ZERO", examples)
    assert all((f == 0).all() for f in found)


def anchored(network, fisher):
    weights = [w.numpy() for w in tsmu.trunk(network).trainable_variables]
    anchor = Anchor(weights, [np.full(w.shape, fisher, "float32") for w in weights])
    plan = StagePlan(target="ONE", steady=True)
    return weights, AnchoredModel(network, plan, anchor, 100.0)


def fitted(model, batches, steps=4):
    model.compile(optimizer=keras.optimizers.SGD(1e-3))
    model.fit(training_input(batches), steps_per_epoch=steps, verbose=0, shuffle=False)


def test_a_strong_anchor_holds_the_trunk():
    batches = RegionBatches(region_pairs.examples(1, "train", 8, size=SIZE), 4)
    moved = {}
    for fisher in (0.0, 1.0):
        network = models.tsmu_net(["zero", "one"], **SMALL)
        before, model = anchored(network, fisher)
        fitted(model, batches)
        after = [w.numpy() for w in tsmu.trunk(network).trainable_variables]
        pairs = zip(before, after, strict=True)
        moved[fisher] = sum(np.square(b - a).sum() for b, a in pairs)
    assert 0 < moved[1.0] < 0.9 * moved[0.0]


def test_joined_examples_keep_their_regions(joined):
    assert len(joined) == 5 + 3 * 4
    assert [joined.region(n) for n in (0, 4, 5, 16)] == [0, 0, 1, 1]
    image, mask = joined.load(6)
    expected = joined.parts[1].load(1)
    assert np.array_equal(image, expected[0])
    assert np.array_equal(mask, expected[1])


@pytest.mark.parametrize("balance", [False, True])
def test_batches_are_of_one_region(joined, balance):
    batches = RegionwiseBatches(joined, 2, seed=3, balance=balance)
    # 5 and 12 examples make 2 and 6 whole batches.
    assert batches.shares == ([4, 4] if balance else [2, 6])
    order = batches.order(1).reshape(-1, 2)
    regions = [[joined.region(n) for n in pair] for pair in order]
    assert all(a == b for a, b in regions)
    assert [sum(a == k for a, _ in regions) for k in (0, 1)] == batches.shares
    assert np.array_equal(
        batches.order(1), RegionwiseBatches(joined, 2, 3, balance=balance).order(1)
    )
    assert not np.array_equal(order.ravel(), batches.order(2))
    if not balance:
        assert len(set(order.ravel())) == order.size


def test_every_example_is_validated_once(joined):
    whole = WholeRegions(RegionwiseBatches(joined, 4))
    numbers = whole.numbers()
    assert np.concatenate(numbers).tolist() == list(range(17))
    for part in numbers:
        inputs, labels = whole.load(part)
        assert len(set(inputs["region"])) == 1
        assert len(labels["mask"]) == len(part) <= 4


def test_joint_training_moves_only_the_decoders_that_saw_images(joined):
    network = models.tsmu_net(["zero", "one", "two"], **SMALL, routing="partition")
    before = {n: d.get_weights() for n, d in tsmu.decoders(network).items()}
    model = JointModel(network)
    batches = RegionwiseBatches(joined, 2)
    fitted(model, batches, steps=batches.steps_per_epoch)
    same = {
        name: all(map(np.array_equal, before[name], decoder.get_weights()))
        for name, decoder in tsmu.decoders(network).items()
    }
    assert same == {"ZERO": False, "ONE": False, "TWO": True}


def test_a_buffer_holds_originals_and_does_not_depend_on_later_regions(joined):
    first, second = joined.parts
    buffer = Buffer.draw([second, first], 2, seed=5)
    places = [divmod(n, 4) for n in buffer.numbers if n < 12]
    assert len(places) == 2
    assert all(copy == 0 for _, copy in places)
    alone = Buffer.draw([second], 2, seed=5)
    assert alone.numbers == buffer.numbers[:2]
    assert len(Buffer.draw([second], 10, seed=5).numbers) == 3


def replayed(network, joined, batch=4):
    buffer = Buffer.draw(joined.parts, 3, seed=0)
    new = region_pairs.examples(1, "train", 8, size=SIZE)
    batches = ReplayBatches(new, batch, buffer=buffer)
    plan = StagePlan(target="ONE", steady=True)
    return batches, ReplayModel(network, plan, ["ZERO", "OTHER"])


def test_old_examples_go_through_their_own_decoders(joined):
    network = models.tsmu_net(["zero", "other", "one"], **SMALL)
    batches, model = replayed(network, joined)
    inputs, labels = batches.load(0, [0, 3, 1, 2])
    again = batches.load(0, [0, 3, 1, 2])[0]
    assert np.array_equal(inputs["old_image"], again["old_image"])
    inputs["old_region"] = np.array([0, 1, 1, 0], "int32")
    found = model(inputs, training=True)
    region = {"region": inputs["old_region"]}
    own = network.predict_on_batch({"image": inputs["old_image"], **region})
    np.testing.assert_allclose(found["replayed"], own, atol=1e-6)
    loss = model.compute_loss(inputs, labels, found)
    plain = UpdateModel(network, model.plan).compute_loss(inputs, labels, found)
    dice = model.dice(labels["old_mask"], found["replayed"])
    assert float(loss) == pytest.approx(float(plain) + float(dice), rel=1e-6)


def test_replay_leaves_the_old_decoders(joined):
    network = models.tsmu_net(["zero", "other", "one"], **SMALL)
    batches, model = replayed(network, joined)
    before = [
        w for n in ("ZERO", "OTHER") for w in tsmu.decoders(network)[n].get_weights()
    ]
    trunk = tsmu.trunk(network).get_weights()
    fitted(model, batches)
    after = [
        w for n in ("ZERO", "OTHER") for w in tsmu.decoders(network)[n].get_weights()
    ]
    assert all(map(np.array_equal, before, after))
    assert not all(map(np.array_equal, trunk, tsmu.trunk(network).get_weights()))

"""One trunk and a decoder a region: counts, routing, more regions, precision."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import models
from landslide_tf.errors import ModelError
from landslide_tf.layers import PadToStride
from landslide_tf.models import tsmu
from tests.models.tsmu_small import SMALL, call, draw, small

ALL = ("ETF", "MWCF", "NAD", "NWFM")


@pytest.fixture(scope="module")
def golden(shared):
    path = shared / "specs" / "golden" / "tsmu.json"
    return json.loads(path.read_text())["params"]


@pytest.fixture
def no_initialisation(monkeypatch):
    """Counts need no random numbers, which take most of the time."""
    for name in ("HeNormal", "GlorotUniform"):
        monkeypatch.setattr(
            getattr(keras.initializers, name),
            "__call__",
            lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype),
        )


@pytest.fixture(scope="module")
def model():
    return small("ETF", "NAD", "NWFM")


def count(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_counts_of_every_part(variant, golden, no_initialisation):
    wanted = golden[variant]
    model = models.tsmu_net(ALL, variant=variant)
    trunk, decoders = tsmu.trunk(model), tsmu.decoders(model)
    assert trunk.count_params() == wanted["trunk"]["in6_total"]
    assert count(trunk.trainable_variables) == wanted["trunk"]["in6_trainable"]
    for decoder in decoders.values():
        assert decoder.count_params() == wanted["decoder"]["total"]
        assert count(decoder.trainable_variables) == wanted["decoder"]["trainable"]
    totals = wanted["model_total_by_regions"]
    assert model.count_params() == totals["4"]
    two = models.tsmu_net(ALL[:2], variant=variant)
    assert two.count_params() == totals["2"]
    assert count(two.trainable_variables) == wanted["joint_region_2_trainable"]
    post = models.tsmu_net(ALL[:1], variant=variant, inputs="post")
    assert tsmu.trunk(post).count_params() == wanted["trunk"]["in3_total"]


def test_counts_of_the_small_network(model, golden):
    wanted = golden["code_small_for_tests"]
    assert tsmu.trunk(model).count_params() == wanted["trunk_total"]
    counts = {d.count_params() for d in tsmu.decoders(model).values()}
    assert counts == {wanted["decoder_total"]}


def test_layers_of_the_published_variant(no_initialisation):
    model = models.tsmu_net(("ETF",))
    shapes = [tuple(t.shape[1:]) for t in tsmu.trunk(model).outputs]
    assert [s[-1] for s in shapes] == [64, 64, 128, 256, 512]
    (decoder,) = tsmu.decoders(model).values()
    rates = [v.rate for v in decoder.layers if isinstance(v, keras.layers.Dropout)]
    assert rates == [0.1] * 5
    norms = [
        v
        for part in (decoder, tsmu.trunk(model))
        for v in part.layers
        if isinstance(v, keras.layers.BatchNormalization)
    ]
    assert {(v.momentum, v.epsilon) for v in norms} == {(0.9, 1e-5)}


def test_layers_of_the_released_variant(no_initialisation):
    model = models.tsmu_net(("ETF",), variant="code")
    (decoder,) = tsmu.decoders(model).values()
    rates = [v.rate for v in decoder.layers if isinstance(v, keras.layers.Dropout)]
    assert rates == [0.05] + [0.1] * 11
    kernels = [v for v in decoder.layers if isinstance(v, keras.layers.Conv2DTranspose)]
    assert [v.count_params() for v in kernels] == [
        1_179_904,
        295_040,
        73_792,
        18_464,
        4_624,
        1_160,
    ]
    block = [
        tsmu.trunk(model).get_layer(f"block5_{part}").count_params()
        for part in ("0_conv", "1_conv", "2_conv", "3_conv", "bn")
    ]
    assert block == [33_024, 16_512, 147_584, 33_024, 1_024]


@pytest.mark.parametrize(("variant", "stride"), [("paper", 32), ("code", 64)])
def test_pads_to_the_multiple_and_crops(variant, stride):
    model = models.tsmu_net(("ETF",), variant=variant, width=0.125)
    assert models.total_stride(model) == stride
    image = draw(model, 1, 37, 53)
    y = call(model, image, [0])
    assert y.shape == (1, 37, 53, 1)
    assert y.dtype == np.float32
    assert 0 <= y.min() <= y.max() <= 1
    mirrored = np.asarray(PadToStride(stride)(image))
    np.testing.assert_array_equal(call(model, mirrored, [0])[:, :37, :53], y)


def test_values_are_brought_to_the_unit_range(model):
    image = draw(model, 1, 16, 16)
    (first, *_) = tsmu.decoders(model).values()
    expected = first(tsmu.trunk(model)(image / 255))
    np.testing.assert_allclose(call(model, image, [0]), expected, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("routing", ["all", "partition"])
def test_a_mixed_batch_equals_its_rows(routing, model):
    net = small("ETF", "NAD", "NWFM", routing=routing)
    image = draw(net)
    y = call(net, image, [2, 0, 2])
    np.testing.assert_array_equal(y, call(model, image, [2, 0, 2]))
    for row, region in enumerate([2, 0, 2]):
        one = np.repeat(image[row : row + 1], 3, axis=0)
        np.testing.assert_allclose(call(net, one, [region] * 3)[0], y[row], atol=1e-6)
        same = call(net, image, [region] * 3)[row]
        np.testing.assert_allclose(same, y[row], atol=0 if routing == "all" else 1e-6)
    predicted = net.predict(
        {"image": image, "region": np.array([2, 0, 2], "int32")}, verbose=0
    )
    np.testing.assert_allclose(predicted, y, atol=1e-6)
    with pytest.raises(ModelError, match="received 3"):
        call(net, image, [0, 3, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="region"):
        net.predict({"image": image, "region": np.array([0, 3, 0])}, verbose=0)


def test_no_region_is_the_mean_of_all(model):
    image = draw(model)
    each = [call(model, image, [k] * 3) for k in range(3)]
    np.testing.assert_allclose(
        call(model, image, [-1, 0, -1])[[0, 2]], np.mean(each, 0)[[0, 2]], atol=1e-6
    )
    with pytest.raises(ModelError, match="received -1"):
        call(small(routing="partition"), image, [-1] * 3)


def test_both_routings_train_the_decoders_they_use():
    gradients = []
    for routing in ("all", "partition"):
        net = small(routing=routing)
        image = draw(net, 2, 16, 16)

        @tf.function
        def gradient(net=net, image=image):
            with tf.GradientTape() as tape:
                y = net({"image": image, "region": tf.constant([1, 1])}, training=False)
                loss = tf.reduce_mean(y)
            return tape.gradient(loss, [v.value for v in net.trainable_variables])

        found = [0 if g is None else g.numpy() for g in gradient()]
        paths = [v.path for v in net.trainable_variables]
        gradients.append(found)
        moved = [np.any(g) for g in found]
        assert any(moved), paths
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_adding_a_region_changes_nothing_else(model):
    before = [w.copy() for w in model.get_weights()]
    image = draw(model)
    y = call(model, image, [0, 1, 2])
    more = tsmu.add_region(model, "mwcf")
    assert tsmu.regions(more)[3] == "MARINE_WEST_COAST_FOREST"
    assert len(more.weights) > len(model.weights)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(call(more, image, [0, 1, 2]), y)
    assert call(more, image, [3] * 3).shape == y.shape
    with pytest.raises(ModelError, match="already"):
        tsmu.add_region(more, "MWCF")


def test_first_weights_depend_on_seed_and_name_alone():
    one = tsmu.decoders(tsmu.add_region(small("NAD"), "ETF"))
    keras.utils.set_random_seed(99)
    other = tsmu.decoders(small("ETF", "NWFM", "NAD"))
    third = tsmu.decoders(small("ETF", seed=1))
    name = "EASTERN_TEMPERATE_FORESTS"
    for a, b in zip(one[name].variables, other[name].variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
    kernels = [d[name].get_layer("down1_conv").kernel for d in (one, third)]
    assert not np.array_equal(*kernels)
    (_, desert) = one.values(), one["NORTH_AMERICAN_DESERTS"]
    assert not np.array_equal(kernels[0], desert.get_layer("down1_conv").kernel)


def test_a_removed_region_keeps_its_index(model):
    left = tsmu.remove_region(model, "NAD")
    image = draw(model)
    np.testing.assert_array_equal(
        call(left, image, [0, 2, 2]), call(model, image, [0, 2, 2])
    )
    with pytest.raises(ModelError, match="received 1"):
        call(left, image, [0, 1, 2])
    with pytest.raises(ModelError, match="no region"):
        tsmu.region_indices(left, ["NAD"])
    again = tsmu.add_region(left, "NAD")
    assert tsmu.region_indices(again, ["NAD", 0, "*"]).tolist() == [3, 0, -1]
    with pytest.raises(ModelError, match="needs a region"):
        tsmu.remove_region(small("ETF"), "ETF")


@pytest.mark.parametrize("routing", ["all", "partition"])
def test_keras_file_keeps_values_regions_and_arguments(tmp_path, routing):
    net = small("NAD", "here and-there", routing=routing, seed=5)
    net.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras", safe_mode=True)
    image = draw(net)
    np.testing.assert_array_equal(
        call(loaded, image, [0, 1, 1]), call(net, image, [0, 1, 1])
    )
    assert tsmu.regions(loaded) == ("NORTH_AMERICAN_DESERTS", "HERE_AND_THERE")
    assert tsmu.network(loaded) == tsmu.network(net)
    assert tsmu.routing(loaded) == routing
    grown = tsmu.add_region(loaded, "ETF")
    assert grown.count_params() == net.count_params() + 5113


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_gives_float32(policy):
    keras.config.set_dtype_policy(policy)
    try:
        net = small("ETF")
    finally:
        keras.config.set_dtype_policy("float32")
    assert tsmu.trunk(net).get_layer("block1_0_conv").compute_dtype == policy[6:]
    full = small("ETF")
    image = draw(net)
    y = net({"image": image, "region": np.zeros(3, "int32")})
    assert y.dtype == tf.float32
    np.testing.assert_allclose(y, call(full, image, [0] * 3), atol=0.03)


def test_copies_share_nothing(model):
    twin = tsmu.copy(model)
    image = draw(model)
    y = call(model, image, [0, 1, 2])
    np.testing.assert_array_equal(call(twin, image, [0, 1, 2]), y)
    for weight in twin.weights:
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_array_equal(call(model, image, [0, 1, 2]), y)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"variant": "papers"}, "variant"),
        ({"inputs": "pre"}, "inputs"),
        ({"routing": "some"}, "routing"),
        ({"trunk_filters": (4, 0)}, "trunk_filters"),
        ({"variant": "paper"}, "trunk_filters"),
        ({"variant": "paper", "trunk_filters": None}, "decoder_filters"),
        ({"dropout": 1.0}, "dropout"),
        ({"seed": -1}, "seed"),
        ({"regions": ()}, "regions"),
        ({"regions": "ETF"}, "regions"),
        ({"regions": ("ETF", "Eastern temperate forests")}, "differ"),
        ({"regions": ("1 region",)}, "name"),
    ],
)
def test_refuses_arguments(arguments, words):
    with pytest.raises(ModelError, match=words):
        models.tsmu_net(**{"regions": ("ETF",), **SMALL, **arguments})


def test_other_networks_have_no_regions():
    with pytest.raises(ModelError, match="tsmu_net"):
        tsmu.trunk(models.unet(2, width=0.125))


def test_one_region_alone_is_a_network_as_any_other(model):
    alone = tsmu.for_region(model, "nad")
    assert [t.name for t in alone.inputs] == ["image"]
    assert alone.output_names == ["probabilities"]
    assert models.total_stride(alone) == models.total_stride(model)
    image = draw(model)
    np.testing.assert_array_equal(alone([image]), call(model, image, [1] * 3))
    with pytest.raises(ModelError, match="named"):
        tsmu.for_region(model, "*")

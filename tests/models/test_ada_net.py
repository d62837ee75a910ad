import keras
import numpy as np
import pytest

from landslide_tf import models
from landslide_tf.errors import ModelError
from tests.contracts.segmentation_model import draw_inputs

SMALL = {"width": 0.125, "backbone": "resnet18", "multi_grid": (1, 2)}


@pytest.fixture
def no_initialisation(monkeypatch):
    for name in ("HeNormal", "GlorotUniform"):
        monkeypatch.setattr(
            getattr(keras.initializers, name),
            "__call__",
            lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype),
        )


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_parameters_as_published(no_initialisation):
    generator = models.ada_net()
    assert trainable(generator) == 71_355_976 + 514 * 2 == 71_357_004
    judges = 2 * models.output_space_discriminator().count_params()
    assert trainable(generator) + judges == 76_884_430


def test_it_is_mffe_net_with_a_second_classifier_on_aspp():
    keras.utils.set_random_seed(3)
    ada_net = models.ada_net(**SMALL, classifier_activation=None)
    mffe_net = models.mffe_net(**SMALL, classifier_activation=None)
    extra = ada_net.get_layer("aux_conv")
    own = {v.path for v in extra.variables}
    kept = [v for v in ada_net.weights if v.path not in own]
    mffe_net.set_weights([v.numpy() for v in kept])
    inputs = draw_inputs(ada_net, 1, 37, 53)
    outputs = ada_net(inputs)
    np.testing.assert_array_equal(outputs["main"], mffe_net(inputs))
    # The second: ASPP (after its dropout), 1 × 1 with bias, resized to the image.
    feature = keras.Model(mffe_net.input, mffe_net.get_layer("aspp_dropout").output)
    scores = feature(inputs).numpy() @ extra.kernel.numpy()[0, 0] + extra.bias.numpy()
    aux = outputs["aux"].numpy()
    assert aux.shape == (1, 37, 53, 2)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):  # corners stay
        np.testing.assert_allclose(
            aux[0, row, column], scores[0, row, column], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize(
    ("builder", "layer"),
    [("rae_d", "dec_dropout"), ("unet", "image_normalize"), ("fcn_8s", "image_pad")],
)
def test_any_network_takes_a_second_classifier(builder, layer):
    small = {"width": 0.125}
    if builder == "rae_d":
        small.update(backbone="resnet18", backbone_layout="torchvision")
    network = models.get(builder)(num_classes=3, **small)
    model = models.with_auxiliary(network, layer, classifier_activation="softmax")
    inputs = draw_inputs(network, 2, 37, 53)
    outputs = model(inputs)
    np.testing.assert_array_equal(outputs["main"], network(inputs))
    assert outputs["aux"].shape == (2, 37, 53, 3)
    np.testing.assert_allclose(outputs["aux"].numpy().sum(-1), 1, atol=1e-5)


def test_refuses_layers_without_a_map():
    network = models.basic_fcn(width=0.125)
    with pytest.raises(ModelError, match=r"no layer `logit_conv`\. Did you"):
        models.with_auxiliary(network, "logit_conv")
    image = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(image)
    network = keras.Model(image, image + pooled[:, None, None])
    with pytest.raises(ModelError, match="must give a map"):
        models.with_auxiliary(network, "pool")


@pytest.mark.parametrize("size", [32, 64, 256, 500, 512, 513])
def test_a_discriminator_halves_five_times(size):
    judge = models.output_space_discriminator(filters=2)
    maps = np.random.default_rng(0).random((1, size, 32, 2)).astype("float32")
    assert judge(maps).shape == (1, size // 32, 1, 1)


def test_layers_of_the_discriminator_as_published(no_initialisation):
    judge = models.output_space_discriminator()
    counts = {x.name: x.count_params() for x in judge.layers if x.count_params()}
    assert counts == {
        "conv1": 2_112,
        "conv2": 131_200,
        "conv3": 524_544,
        "conv4": 2_097_664,
        "classifier": 8_193,
    }
    assert judge.count_params() == 2_763_713
    six = models.output_space_discriminator(6)
    assert six.count_params() == 2_761_665 + 1_024 * 6


def test_a_discriminator_of_zeros_is_undecided():
    judge = models.output_space_discriminator(filters=2)
    judge.set_weights([np.zeros_like(w) for w in judge.get_weights()])
    maps = np.random.default_rng(0).random((2, 64, 64, 2)).astype("float32")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    scores = judge(maps)
    for label in (0.0, 1.0):
        target = keras.ops.full_like(scores, label)
        assert float(loss(target, scores)) == pytest.approx(np.log(2), abs=1e-6)


def class_maps(random, count, smooth):
    """Softmax maps: smooth noise towards background, or white noise."""
    from scipy.ndimage import gaussian_filter

    maps = []
    for _ in range(count):
        logits = random.normal(size=(64, 64, 2))
        if smooth:
            logits = gaussian_filter(logits, (3, 3, 0)) * 8
            logits[..., 0] += 1
        odds = np.exp(logits)
        maps.append(odds / odds.sum(-1, keepdims=True))
    return np.float32(maps)


def test_a_discriminator_learns_to_tell_maps_apart():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    judge = models.output_space_discriminator()
    judge.compile(
        keras.optimizers.Adam(1e-4, beta_1=0.9, beta_2=0.99),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )

    def batch():
        maps = [class_maps(random, 4, smooth) for smooth in (True, False)]
        return np.concatenate(maps), np.repeat([0.0, 1.0], 4)

    for _ in range(30):
        maps, labels = batch()
        cells = np.broadcast_to(labels[:, None, None, None], (8, 2, 2, 1))
        judge.train_on_batch(maps, cells)
    maps, labels = batch()
    found = np.asarray(judge(maps)) > 0
    assert (found == labels[:, None, None, None]).mean() >= 0.95


@pytest.mark.parametrize("arguments", [{"num_classes": 1}, {"filters": 0}])
def test_a_discriminator_refuses(arguments):
    with pytest.raises(ModelError, match=next(iter(arguments))):
        models.output_space_discriminator(**arguments)

import keras
import numpy as np

from landslide_tf.models.backbones import vgg16


def test_equals_keras_applications():
    image = keras.Input((None, None, 3))
    ours = keras.Model(image, vgg16(image, batch_norm=False)["P5"])
    reference = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(None, None, 3)
    )
    ours.set_weights(reference.get_weights())
    x = np.random.default_rng(1).normal(size=(1, 64, 96, 3)).astype("float32")
    expected = reference(x)
    np.testing.assert_allclose(
        ours(x), expected, atol=1e-4 * float(np.abs(expected).max())
    )


def test_levels_and_names():
    factors = keras.Input((64, 32, 4))
    features = vgg16(factors, prefix="fac", width=0.25)
    assert {k: v.shape[1:] for k, v in features.items()} == {
        "C1": (64, 32, 16),
        "P1": (32, 16, 16),
        "C2": (32, 16, 32),
        "P2": (16, 8, 32),
        "C3": (16, 8, 64),
        "P3": (8, 4, 64),
        "C4": (8, 4, 128),
        "P4": (4, 2, 128),
        "C5": (4, 2, 128),
        "P5": (2, 1, 128),
    }
    model = keras.Model(factors, features["C5"])
    convolutions = [v.name for v in model.layers if v.name.endswith("_conv")]
    assert len(convolutions) == 13
    assert convolutions[0] == "fac_conv1_1_conv"
    assert not any(v.name == "fac_pool5" for v in model.layers)

"""A team's own `fit`, without metadata of ours, is served; other file systems."""

import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from landslide_tf import serving
from landslide_tf.errors import DataError, ModelError, RunError
from landslide_tf.metadata import ModelMetadata, describe

from .conftest import toy_metadata, toy_model


def own(classes=1, size=(None, None), activation="sigmoid", **names):
    image = keras.Input((*size, 3), **names)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    return keras.Model(image, keras.layers.Conv2D(classes, 1, activation=activation)(x))


def image(size=(20, 24)):
    return np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype("f4")


@pytest.mark.parametrize("size", [(None, None), (20, 24)])
def test_a_model_of_any_name_and_size_is_served_as_it_predicts(tmp_path, size):
    model = own(size=size)
    served = serving.load(serving.export(model, tmp_path, warm_up=None))
    assert list(served.input_shapes) == ["image"]
    found = served({"image": image()})
    wanted = model.predict(image(), verbose=0)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-5)
    assert served.metadata.landslide_class == "sigmoid"
    small = served({"image": image().astype("u1")}, "predict_uint8")
    assert set(np.unique(small["mask"])) <= {0, 1}


def test_a_layer_without_activation_gives_logits(tmp_path):
    model = own(3, activation=None)
    metadata = describe(model, landslide_class=2)
    served = serving.load(serving.export(model, tmp_path, metadata=metadata))
    wanted = keras.ops.softmax(model.predict(image(), verbose=0))
    found = served({"image": image()})["probabilities"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_sequential_model_after_its_own_fit(tmp_path):
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Flatten(), layers.Dense(1, "sigmoid")]
    )
    model.compile("sgd", "binary_crossentropy")
    x = image((16, 16))
    model.fit(x, np.array([[0.0], [1.0]]), verbose=0)
    served = serving.load(serving.export(model, tmp_path, warm_up=None))
    assert served.metadata.task == "classification"
    found = served({"image": x})["probabilities"]
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)
    small = served({"image": x.astype("u1")}, "predict_uint8")
    assert small["label"].shape == small["landslide"].shape == (2,)


def test_the_second_of_two_classes_is_said_to_be_landslide(tmp_path):
    model = own(2, activation="softmax")
    with pytest.warns(UserWarning, match=r"class 1 of the two .*landslide_class="):
        path = serving.export(model, tmp_path, warm_up=None)
    assert serving.load(path).metadata.landslide_class == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert describe(model, landslide_class=0).landslide_class == 0


def test_of_more_classes_one_must_be_named(tmp_path):
    model = own(6, activation="softmax")
    with pytest.raises(ModelError, match=r"which of the 6 classes .*landslide_class=…"):
        serving.export(model, tmp_path / "a")
    with pytest.raises(ModelError, match=r"cannot be described: .*below 6"):
        describe(model, landslide_class=6)
    assert not (tmp_path / "a").exists()


def test_a_wrong_type_of_metadata_is_one_line(tmp_path):
    for wrong in ({"name": "x"}, "model.json"):
        with pytest.raises(ModelError, match=r"must be a `ModelMetadata`.*describe`"):
            serving.export(own(), tmp_path / "a", metadata=wrong)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: keras.Sequential([keras.layers.Conv2D(1, 1)]), "received the inputs"),
        (
            lambda: keras.Model(
                [a := keras.Input((4, 4, 1), name="a"), keras.Input((4, 4, 1))], a
            ),
            "an input named `image`, received the inputs `a`",
        ),
    ],
)
def test_models_that_cannot_be_described_are_refused(tmp_path, build, words):
    with pytest.raises(ModelError, match=words):
        serving.export(build(), tmp_path / "a")


def test_what_the_data_know_is_taken(tiny_data):
    info = tfds.builder("synthetic_landslides/tiny", data_dir=tiny_data).info
    found = describe(toy_model(classes=len(info.metadata["classes"])), info)
    assert [band.name for band in found.inputs] == ["red", "green", "blue"]
    assert found.classes == list(info.metadata["classes"])
    assert found.landslide_class == info.metadata["landslide_class"]
    assert found.dataset == info.full_name
    # The toy has two factors, the data three: their names are not known.
    assert [factor.name for factor in found.factors] == ["factor 1", "factor 2"]


def test_names_of_a_class_label_are_taken():
    class Info:
        metadata = None
        full_name = "own/1.0.0"
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(),
                "label": tfds.features.ClassLabel(names=["field", "scar", "road"]),
            }
        )

    found = describe(own(3, activation="softmax"), Info(), landslide_class=1)
    assert found.classes == ["field", "scar", "road"]
    assert found.class_names[1] == "scar"


def test_another_file_system(tmp_path):
    """TensorFlow's own in memory, as a bucket is reached."""
    model, metadata = toy_model(), toy_metadata()
    options = {"metadata": metadata, "warm_up": None, "signatures": []}
    folder = "ram://bucket/toy"
    assert serving.export(model, folder, **options) == f"{folder}/1"
    assert serving.export(model, folder + "/", **options) == f"{folder}/2"
    assert sorted(serving.versions(folder)) == [1, 2]
    with pytest.raises(RunError, match="2` exists and a version is never overwritten"):
        serving.export(model, folder, **options, version=2)
    served = tf.saved_model.load(f"{folder}/2").signatures["serving_default"]
    x = {"image": np.ones((1, 9, 8, 3), "f4"), "factors": np.ones((1, 9, 8, 2), "f4")}
    found = served(**{k: tf.constant(v) for k, v in x.items()})["probabilities"]
    np.testing.assert_allclose(found, model(x), atol=1e-5)
    with tf.io.gfile.GFile(f"{folder}/2/assets.extra/model.json") as file:
        assert ModelMetadata.model_validate(json.load(file)) == metadata
    with tf.io.gfile.GFile("ram://bucket/other/notes.txt", "w") as file:
        file.write("mine")
    with pytest.raises(DataError, match=r"notes\.txt` is there"):
        serving.export(model, "ram://bucket/other", **options)


def test_a_file_system_that_tensorflow_lacks_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"`s3://bucket/m` cannot be read .*not impl"):
        serving.export(toy_model(), "s3://bucket/m", metadata=toy_metadata())
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_lost_a_slash_is_refused(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match='write "gs://bucket/m"'):
        serving.export(toy_model(), Path("gs://bucket/m"), metadata=toy_metadata())
    assert list(tmp_path.iterdir()) == []

"""What a server is started with, read with the server's own messages."""

import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from landslide_tf import models, serving
from landslide_tf.errors import DataError, ModelError, RunError
from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.models import tsmu
from tests.models.tsmu_small import small

WRAPPER = ".google.protobuf.Int64Value"
KINDS = descriptor_pb2.FieldDescriptorProto
# The fields that session_bundle_config.proto and monitoring_config.proto of TensorFlow
# Serving give these messages; its package for Python leaves both files out.
MESSAGES = {
    "BatchingParameters": [
        ("max_batch_size", 1, WRAPPER),
        ("batch_timeout_micros", 2, WRAPPER),
        ("max_enqueued_batches", 3, WRAPPER),
        ("num_batch_threads", 4, WRAPPER),
        ("allowed_batch_sizes", 6, [KINDS.TYPE_INT64]),
        ("pad_variable_length_inputs", 7, KINDS.TYPE_BOOL),
    ],
    "PrometheusConfig": [
        ("enable", 1, KINDS.TYPE_BOOL),
        ("path", 2, KINDS.TYPE_STRING),
    ],
    "MonitoringConfig": [("prometheus_config", 1, ".kit.PrometheusConfig")],
}


@pytest.fixture(scope="module")
def messages():
    file = descriptor_pb2.FileDescriptorProto(
        name="kit.proto",
        package="kit",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = message.field.add(
                name=field_name, number=number, label=KINDS.LABEL_OPTIONAL
            )
            if isinstance(kind, list):
                field.label, field.type = KINDS.LABEL_REPEATED, kind[0]
            elif isinstance(kind, str):
                field.type, field.type_name = KINDS.TYPE_MESSAGE, kind
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"kit.{name}"))
        for name in MESSAGES
    }


@pytest.fixture
def versions(exported, tmp_path):
    """A model's folder with two versions."""
    for version in "1", "2":
        shutil.copytree(exported / "1", tmp_path / "toy" / version)
    return tmp_path / "toy"


@pytest.fixture
def kit(versions, tmp_path):
    written = serving.write_kit(versions, tmp_path / "kit", tile=24, batch_sizes=[1, 3])
    assert sorted(written) == sorted((tmp_path / "kit").iterdir())
    return tmp_path / "kit"


def configuration(kit):
    from tensorflow_serving.config import model_server_config_pb2

    text = (kit / "models.config").read_text()
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = parsed.model_config_list.config
    return model


def test_models(kit):
    model = configuration(kit)
    assert (model.name, model.base_path) == ("toy", "/models/toy")
    assert model.model_platform == "tensorflow"
    assert list(model.model_version_policy.specific.versions) == [1, 2]
    assert dict(model.version_labels) == {"stable": 1, "canary": 2}


def test_one_version_is_stable_and_a_version_can_be_named(versions, exported, tmp_path):
    shutil.copytree(exported / "1", tmp_path / "single" / "7")
    serving.write_kit(tmp_path / "single", tmp_path / "one", tile=24, batch_sizes=[1])
    assert dict(configuration(tmp_path / "one").version_labels) == {"stable": 7}
    serving.write_kit(versions, tmp_path / "two", tile=24, batch_sizes=[1], stable=2)
    model = configuration(tmp_path / "two")
    assert dict(model.version_labels) == {"stable": 2}
    assert list(model.model_version_policy.specific.versions) == [2]


def test_a_running_server_sees_a_kit_that_is_written_again(kit, versions):
    before = (kit.stat().st_ino, (kit / "compose.yaml").read_text())
    serving.write_kit(versions, kit, tile=24, batch_sizes=[1, 3], stable=2)
    assert (kit.stat().st_ino, (kit / "compose.yaml").read_text()) == before
    assert dict(configuration(kit).version_labels) == {"stable": 2}


def test_batches_and_metrics(kit, messages):
    text = (kit / "batching_parameters.txt").read_text()
    batching = text_format.Parse(text, messages["BatchingParameters"]())
    assert list(batching.allowed_batch_sizes) == [1, 3]
    assert batching.max_batch_size.value == 3  # the server asks for the last of them
    assert not batching.pad_variable_length_inputs
    assert "`pad_variable_length_inputs` off" in text
    text = (kit / "monitoring.config").read_text()
    monitoring = text_format.Parse(text, messages["MonitoringConfig"]())
    assert monitoring.prometheus_config.enable


def test_compose_mounts_what_is_there(kit, versions):
    (service,) = yaml.safe_load((kit / "compose.yaml").read_text())["services"].values()
    mounted = {v["target"]: v for v in service["volumes"]}
    assert all(volume["read_only"] for volume in mounted.values())
    model = configuration(kit)
    source = mounted[model.base_path]["source"]
    assert source.startswith(".")
    assert os.path.samefile(kit / source, versions)
    for flag in service["command"]:
        name, value = flag.split("=")
        if name.endswith("_file"):
            folder, _, file = value.rpartition("/")
            assert (kit / mounted[folder]["source"] / file).is_file()


def test_kubernetes_refers_to_what_it_makes(kit):
    documents = list(yaml.safe_load_all((kit / "kubernetes.yaml").read_text()))
    by_kind = {document["kind"]: document for document in documents}
    assert set(by_kind) == {"ConfigMap", "Deployment", "Service"}
    for name, text in by_kind["ConfigMap"]["data"].items():
        assert text == (kit / name).read_text()
    pod = by_kind["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
    volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
    assert set(mounts.values()) == set(volumes)
    config = volumes[mounts["/config"]]["configMap"]["name"]
    assert config == by_kind["ConfigMap"]["metadata"]["name"]
    for flag in container["args"]:
        name, value = flag.split("=")
        if name.endswith("_file"):
            assert value.removeprefix("/config/") in by_kind["ConfigMap"]["data"]
    assert mounts[configuration(kit).base_path]
    assert (
        by_kind["Service"]["spec"]["selector"].items()
        <= pod["metadata"]["labels"].items()
    )
    ports = {port["name"] for port in container["ports"]}
    assert {p["targetPort"] for p in by_kind["Service"]["spec"]["ports"]} == ports


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("Para 2024", "para-2024"),
        ("2024 Pará", "model-2024-par"),
        ("a" * 80, "a" * 50),
    ],
)
def test_kubernetes_takes_the_names(versions, tmp_path, name, service):
    path = versions / "2" / "assets.extra" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": name}))
    serving.write_kit(versions, tmp_path / "kit", tile=24, batch_sizes=[1])
    text = (tmp_path / "kit" / "kubernetes.yaml").read_text()
    names = [document["metadata"]["name"] for document in yaml.safe_load_all(text)]
    assert names == [f"{service}-config", service, service]


def requests(folder):
    from tensorflow_serving.apis import prediction_log_pb2

    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        yield log.predict_log.request


def answered(folder):
    """What a server's first version answers to each request, by signature."""
    loaded = tf.saved_model.load(str(folder))
    found = {}
    for request in requests(folder):
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        tensors = {k: tf.constant(v) for k, v in inputs.items()}
        signature = request.model_spec.signature_name
        loaded.signatures[signature](**tensors)
        assert {len(np.atleast_1d(v)) for v in inputs.values()} != {0}
        found.setdefault(signature, []).append(inputs)
    return set(loaded.signatures), found


def test_each_signature_and_batch_size_is_warmed(kit, versions):
    signatures, found = answered(versions / "2")
    assert set(found) == signatures
    for signature, inputs in found.items():
        assert [len(next(iter(i.values()))) for i in inputs] == [1, 3], signature
    for batch, inputs in zip((1, 3), found["serving_default"], strict=True):
        assert inputs["image"].shape == (batch, 24, 24, 3)
        assert inputs["factors"].shape == (batch, 24, 24, 2)
    assert {r.model_spec.name for r in requests(versions / "2")} == {"toy"}
    # A version that is served already keeps what it was started with.
    ((other,),) = answered(versions / "1")[1].values()
    assert other["image"].shape == (1, 48, 48, 3)


def test_text_and_files_are_warmed(tmp_path):
    """Signatures of the kinds that exports have beside the plain one."""

    class Module(tf.Module):
        @tf.function
        def of_files(self, image_bytes, region):
            def decoded(one):
                return tf.io.decode_png(one, channels=3)

            images = tf.map_fn(decoded, image_bytes, fn_output_signature=tf.uint8)
            images = tf.ensure_shape(images, (None, None, None, 3))
            with tf.control_dependencies([tf.debugging.assert_equal(region, "West")]):
                return {"mask": images[..., 0]}

        @tf.function
        def of_elevations(self, elevation, cell_size, latitude):
            shapes = [tf.shape(elevation)[0], tf.shape(cell_size)[0]]
            same = tf.debugging.assert_equal(shapes, [tf.shape(latitude)[0]] * 2)
            with tf.control_dependencies([same]):
                return {"slope": elevation / cell_size[:, None, None, :1]}

    module = Module()
    strings = [
        tf.TensorSpec(None, tf.string, name=n) for n in ("image_bytes", "region")
    ]
    floats = [
        tf.TensorSpec(None, tf.float32, name=n)
        for n in ("elevation", "cell_size", "latitude")
    ]
    image = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
    tf.saved_model.save(
        module,
        str(tmp_path / "m" / "1"),
        signatures={
            "serving_default": tf.function(
                lambda image: {"probabilities": image}, [image]
            ),
            "predict_image_bytes": module.of_files.get_concrete_function(*strings),
            "predict_dem": module.of_elevations.get_concrete_function(*floats),
        },
    )
    extra = tmp_path / "m" / "1" / "assets.extra"
    extra.mkdir()
    ModelMetadata(
        name="m",
        builder="none",
        arguments={},
        tile=16,
        inputs=[Band(name=n) for n in "rgb"],
        classes=["other", "landslide"],
        landslide_class=1,
    ).write(extra)
    (extra / "regions.json").write_text('{"0": "East", "2": "West"}')
    serving.write_kit(tmp_path / "m", tmp_path / "kit", batch_sizes=[1, 2])
    signatures, found = answered(tmp_path / "m" / "1")
    assert set(found) == signatures
    png = found["predict_image_bytes"][1]["image_bytes"]
    assert tf.io.decode_png(png[1]).shape == (16, 16, 3)  # the tile in model.json


def test_an_unknown_input_is_told(tmp_path, exported):
    folder = tmp_path / "m" / "1"
    module = tf.Module()
    image = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
    wind = tf.TensorSpec(None, tf.float32, name="wind")
    signatures = {
        "serving_default": tf.function(lambda image: {"probabilities": image}, [image]),
        "stormy": tf.function(lambda wind: {"probabilities": wind}, [wind]),
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    shutil.copytree(exported / "1" / "assets.extra", folder / "assets.extra")
    with pytest.raises(ModelError, match="takes `wind`, of which no request is known"):
        serving.write_kit(tmp_path / "m", tmp_path / "kit")
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_sizes": [2, 1]}, "each larger than the one before"),
        ({"batch_sizes": []}, "batch_sizes"),
        ({"tile": -1}, "`tile` of at least 1"),
        ({"stable": 7}, "no version 7 to be stable, only 1"),
    ],
)
def test_other_numbers_are_refused(exported, tmp_path, arguments, message):
    with pytest.raises(ModelError, match=message):
        serving.write_kit(exported, tmp_path / "kit", **arguments)
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize("version", ["1", "2"])
def test_versions_of_other_runtimes_are_refused(versions, tmp_path, version):
    (versions / version / "saved_model.pb").rename(versions / version / "model.onnx")
    with pytest.raises(RunError, match=f"/{version}` is not a SavedModel"):
        serving.write_kit(versions, tmp_path / "kit", tile=24, batch_sizes=[1])
    assert not (tmp_path / "kit").exists()


def test_other_folders_are_refused(versions, tmp_path):
    with pytest.raises(ModelError, match="holds no version"):
        serving.write_kit(tmp_path / "none", tmp_path / "kit")
    with pytest.raises(DataError):
        serving.write_kit(versions, versions / "1")
    for model in (versions, tmp_path / "later"):
        with pytest.raises(DataError, match=r"lies in .* beside it"):
            serving.check_kit(model / "kit", [model])
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"`notes\.txt` is there"):
        serving.write_kit(versions, tmp_path / "kit")
    assert (tmp_path / "kit" / "notes.txt").read_text() == "mine"


@pytest.mark.integration
def test_regions_are_warmed(tmp_path):
    model = small("NAD", "ETF")
    bands = model.inputs[0].shape[-1]
    metadata = ModelMetadata(
        name="update",
        builder="tsmu_net",
        arguments={"regions": list(tsmu.regions(model))},
        inputs=[Band(name=f"b{k}", range=(0, 255)) for k in range(bands)],
        classes=["background", "landslide"],
        landslide_class="sigmoid",
    )
    path = serving.export(model, tmp_path / "m", metadata=metadata, warm_up=None)
    serving.write_kit(tmp_path / "m", tmp_path / "kit", tile=16, batch_sizes=[1, 2])
    signatures, found = answered(path)
    assert set(found) == signatures >= {"by_name", "pair_uint8", "predict_uint8"}
    assert found["serving_default"][1]["region"].tolist() == [1, 1]


@pytest.mark.slow
def test_the_fusion_of_branches_is_warmed(tmp_path):
    model = models.evidential_net(
        backbone="resnet18", width=0.05, branch_size=32, precision="float32"
    )
    metadata = ModelMetadata(
        name="evidential_net",
        builder="evidential_net",
        arguments={},
        task="classification",
        inputs=[Band(name=n, range=(0, 255)) for n in ("red", "green", "blue")],
        classes=["other", "landslide"],
        landslide_class=1,
    )
    path = serving.export(model, tmp_path / "m", metadata=metadata, warm_up=None)
    serving.write_kit(tmp_path / "m", tmp_path / "kit", tile=32, batch_sizes=[2])
    signatures, found = answered(path)
    assert set(found) == signatures >= {"fuse", "predict_image_bytes"}
    assert found["fuse"][0]["probs"].shape == (2, 3, 2)


def test_a_model_of_one_size_is_warmed_at_it(tmp_path):
    image = keras.Input((20, 28, 3), name="image")
    scores = keras.layers.Conv2D(1, 1, activation="sigmoid", name="probabilities")
    path = serving.export(keras.Model(image, scores(image)), tmp_path / "m")
    serving.write_kit(tmp_path / "m", tmp_path / "kit", batch_sizes=[1])
    (inputs,) = answered(path)[1]["serving_default"]
    assert inputs["image"].shape == (1, 20, 28, 3)


def test_a_batch_beyond_the_models_limit_is_told(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    scores = keras.layers.Conv2D(1, 1, activation="sigmoid", name="probabilities")
    model = keras.Model(image, scores(image))
    serving.export(model, tmp_path / "m", max_pixels=2 * 64 * 64, warm_up=None)
    serving.write_kit(tmp_path / "m", tmp_path / "kit", tile=64, batch_sizes=[2])
    with pytest.raises(ModelError, match="refuses its inputs"):
        serving.write_kit(tmp_path / "m", tmp_path / "more", tile=64, batch_sizes=[3])
    assert not (tmp_path / "more").exists()


def test_an_address_is_told(tmp_path):
    with pytest.raises(DataError, match=r"`gs://b/m` is of another file system"):
        serving.write_kit("gs://b/m", tmp_path / "kit")

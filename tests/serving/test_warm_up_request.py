"""The warm-up file, read with the message definitions of TensorFlow Serving."""

import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from landslide_tf import serving

# message: (field, number, type); "->" marks messages. From prediction_log.proto,
# predict.proto and model.proto of TensorFlow Serving.
MESSAGES = {
    "ModelSpec": [("name", 1, "string"), ("signature_name", 3, "string")],
    "Input": [("key", 1, "string"), ("value", 2, "bytes")],
    "PredictRequest": [("model_spec", 1, "->ModelSpec"), ("inputs", 2, "->*Input")],
    "PredictLog": [("request", 1, "->PredictRequest")],
    "PredictionLog": [("predict_log", 6, "->PredictLog")],
}


@pytest.fixture(scope="module")
def prediction_log_class():
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="warm_up_test.proto", package="test", syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = message.field.add(
                name=field_name, number=number, label=kinds.LABEL_OPTIONAL
            )
            if kind.startswith("->"):
                field.type = kinds.TYPE_MESSAGE
                field.type_name = ".test." + kind.strip("->*")
                if "*" in kind:
                    field.label = kinds.LABEL_REPEATED
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName("test.PredictionLog")
    return message_factory.GetMessageClass(descriptor)


def test_the_request_asks_for_one_tile_of_zeros(exported, prediction_log_class):
    path = exported / "1" / "assets.extra" / "tf_serving_warmup_requests"
    (record,) = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    assert len(record) < 300
    log = prediction_log_class.FromString(record)
    assert log.SerializeToString() == record, "bytes that the messages do not know"
    request = log.predict_log.request
    assert request.model_spec.name == "toy"
    assert request.model_spec.signature_name == "serving_default"
    tensors = {}
    for entry in request.inputs:
        proto = tensor_pb2.TensorProto.FromString(entry.value)
        tensors[entry.key] = tf.make_ndarray(proto)
    assert {name: t.shape for name, t in tensors.items()} == {
        "image": (1, 48, 48, 3),
        "factors": (1, 48, 48, 2),
    }
    assert serving.load(exported)(tensors)["probabilities"].shape == (1, 48, 48, 3)


def test_no_request_when_none_is_wanted(tmp_path, model, metadata):
    path = serving.export(model, tmp_path, metadata=metadata, warm_up=None)
    assert not (path / "assets.extra" / "tf_serving_warmup_requests").exists()

"""SavedModels of strangers: they compute, or they are not loaded."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import saved_models, serving
from landslide_tf.errors import ModelError
from landslide_tf.serving.safety import check_graph

SPEC = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")


@pytest.fixture
def folder(tmp_path):
    """A version folder with the metadata of a shipped model and no graph yet."""
    shipped = serving.load(saved_models.path("fstf_net_synthetic")).folder
    shutil.copytree(shipped / "assets.extra", tmp_path / "1" / "assets.extra")
    return tmp_path / "1"


def save(folder, function, **attributes):
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    for name, value in attributes.items():
        setattr(module, name, value)
    signature = tf.function(lambda image: function(module, image), [SPEC])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})


def written(path):
    def call(module, image):
        with tf.control_dependencies([tf.io.write_file(str(path), "x")]):
            return {"probabilities": image * module.scale}

    return call


def read(module, image):
    secret = tf.strings.length(tf.io.read_file("/etc/hostname"))
    return {"probabilities": image + tf.cast(secret, tf.float32)}


def in_a_branch(module, image):
    other = tf.cond(
        tf.reduce_sum(image) > 1e9,
        lambda: tf.strings.length(tf.io.matching_files("/*")[0]),
        lambda: 0,
    )
    return {"probabilities": image + tf.cast(other, tf.float32)}


def in_python(module, image):
    value = tf.numpy_function(np.negative, [image], tf.float32)
    return {"probabilities": tf.ensure_shape(value, (None, None, None, 3))}


def printed(module, image):
    tf.print(image, output_stream="file:///tmp/landslide-tf-printed")
    return {"probabilities": image}


def from_a_file(module, image):
    data = tf.data.TextLineDataset("/etc/hostname")
    number = data.reduce(0, lambda n, _: n + 1)
    return {"probabilities": image + tf.cast(number, tf.float32)}


def saved(module, image):
    tf.raw_ops.SaveV2(
        prefix="/tmp/landslide-tf-saved",
        tensor_names=["a"],
        shape_and_slices=[""],
        tensors=[image],
    )
    return {"probabilities": image}


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (read, "ReadFile"),
        (in_a_branch, "MatchingFiles"),
        (in_python, "PyFunc"),
        (printed, "PrintV2"),
        (from_a_file, "Dataset"),
        (saved, "SaveV2"),
    ],
)
def test_a_graph_that_reaches_outside_is_refused(folder, function, operation):
    save(folder, function)
    with pytest.raises(ModelError, match=rf"refused: its operation `\w*{operation}"):
        serving.load(folder)


def test_nothing_is_written(folder, tmp_path):
    save(folder, written(tmp_path / "mark"))
    with pytest.raises(ModelError, match="`WriteFile`"):
        serving.load(folder)
    assert not (tmp_path / "mark").exists()


def test_an_asset_out_of_the_folder_is_refused(folder, tmp_path):
    from tensorflow.core.protobuf import saved_model_pb2

    (tmp_path / "names.txt").write_text("a\nb\n")
    asset = tf.saved_model.Asset(str(tmp_path / "names.txt"))
    save(folder, lambda module, image: {"probabilities": image}, asset=asset)
    graph = folder / "saved_model.pb"
    content = saved_model_pb2.SavedModel.FromString(graph.read_bytes())
    (content.meta_graphs[0].asset_file_def[0]).filename = "../../names.txt"
    graph.write_bytes(content.SerializeToString())
    with pytest.raises(ModelError, match=r"names `../../names.txt`, which lies out of"):
        serving.load(folder)


def test_what_only_computes_is_served(folder):
    names = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0])
    table = tf.lookup.StaticHashTable(names, -1.0)

    def harmless(module, image):
        found = table.lookup(tf.constant(["b"]))
        drawn = tf.random.uniform(()) * 0.0
        scaled = tf.map_fn(lambda one: one * module.scale, image)
        decoded = tf.io.decode_png(tf.io.encode_png(tf.zeros((2, 2, 3), tf.uint8)))
        rest = tf.cast(tf.reduce_sum(decoded), tf.float32)
        return {"probabilities": scaled + found[0] + drawn + rest}

    save(folder, harmless, table=table)
    image = np.random.default_rng(0).random((2, 3, 4, 3)).astype(np.float32)
    served = serving.load(folder)({"image": image})["probabilities"]
    np.testing.assert_allclose(served, 2 * image + 2, rtol=1e-6)


def test_a_function_that_saves_may_not_be_called_by_others(folder):
    """The name of TensorFlow's own saving function is no way around."""
    save(folder, lambda module, image: {"probabilities": image * module.scale})
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    check_graph(path)
    content = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = content.meta_graphs[0]
    saving = graph.saver_def.save_tensor_name.split(":")[0]
    node = next(n for n in graph.graph_def.node if n.name == saving)
    copy = graph.graph_def.node.add()
    copy.CopyFrom(node)
    copy.name = "another_call"
    path.write_bytes(content.SerializeToString())
    with pytest.raises(ModelError, match="refused"):
        check_graph(path)

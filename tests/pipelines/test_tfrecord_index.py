"""Records are found by number, and the index that finds them fits its files."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from landslide_tf.errors import DataError
from landslide_tf.pipelines import built_sets, find_builder, load
from landslide_tf.pipelines.store import Overview

DATA = "synthetic_landslides/tiny"


@pytest.fixture
def copied(tiny_data, tmp_path, monkeypatch):
    """A copy of a built set that may be harmed, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = Path(find_builder(DATA, data_dir=tiny_data).data_dir)
    folder = tmp_path / "set"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".landslide_tf"))
    return folder


def index(folder):
    return folder / ".landslide_tf" / "validation.npz"


def record_file(folder):
    (found,) = folder.glob("*-validation.tfrecord*")
    return found


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        first, second = np.asarray(one[name]), np.asarray(other[name])
        if name == "mask":
            first = first[..., 0]
        assert first.dtype == second.dtype, name
        np.testing.assert_array_equal(first, second, err_msg=name)


@pytest.mark.parametrize(
    "split", ["train", "train[5:9]", "train[10%:20%]", "test[-3:]"]
)
def test_examples_are_those_of_tensorflow_in_its_order(tiny_data, split):
    config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    expected = tfds.load(DATA, split=split, data_dir=tiny_data, read_config=config)
    store = load(f"{DATA}:{split}", data_dir=tiny_data)
    assert len(store) == len(expected)
    for one, other in zip(tfds.as_numpy(expected), store.examples, strict=True):
        assert_same(one, other)
    known = Overview.of(store.examples, len(store.description.classes))
    assert known.shapes == store.shapes
    np.testing.assert_array_equal(known.labels, store.overview.labels)


def features():
    f = tfds.features
    return f.FeaturesDict(
        {
            "image": f.Image(shape=(None, None, 3), encoding_format="png"),
            "grey": f.Image(shape=(None, None, 1), encoding_format="png"),
            "mask": f.LabeledImage(
                shape=(None, None, 1), labels=3, encoding_format="png"
            ),
            "bands": f.Tensor(shape=(None, None, 6), dtype=np.float32, encoding="zlib"),
            "valid": f.Tensor(shape=(4, 4, 1), dtype=np.bool_, encoding="zlib"),
            "transform": f.Tensor(shape=(6,), dtype=np.float64, encoding="bytes"),
            "counts": f.Tensor(shape=(3,), dtype=np.int32),
            "label": f.ClassLabel(num_classes=3),
            "gsd": f.Scalar(np.float32),
            "id": f.Text(),
        }
    )


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (64, 33)])
def test_every_feature_decodes_as_with_tensorflow(size):
    random = np.random.default_rng(size)
    example = {
        "image": random.integers(0, 256, (*size, 3)).astype(np.uint8),
        "grey": random.integers(0, 256, (*size, 1)).astype(np.uint8),
        "mask": random.integers(0, 3, (*size, 1)).astype(np.uint8),
        "bands": random.normal(0, 9, (*size, 6)).astype(np.float32),
        "valid": random.random((4, 4, 1)) < 0.5,
        "transform": random.normal(0, 1e6, 6),
        "counts": np.array([3, 2, 1], np.int32),
        "label": 2,
        "gsd": np.float32(0.1),
        "id": "größe",
    }
    chosen = features()
    data = chosen.serialize_example(example)
    expected = tfds.as_numpy(chosen.deserialize_example(data))
    found = built_sets._decoder(chosen)(data)
    assert found.keys() == expected.keys()
    for name in expected:
        one, other = np.asarray(expected[name]), np.asarray(found[name])
        assert one.dtype == other.dtype and one.shape == other.shape, name
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_the_index_is_made_once_and_again_where_files_changed(copied):
    first = load(f"{copied}:validation")
    made = index(copied).stat().st_mtime_ns
    again = load(f"{copied}:validation")
    assert index(copied).stat().st_mtime_ns == made
    assert again.ids == first.ids
    index(copied).write_bytes(b"no index at all")
    assert load(f"{copied}:validation").ids == first.ids
    file = record_file(copied)
    file.write_bytes(file.read_bytes())  # another time of change
    assert load(f"{copied}:validation").ids == first.ids
    assert index(copied).stat().st_mtime_ns != made


def test_a_set_that_cannot_be_written_to_is_indexed_in_the_cache(copied, tmp_path):
    (copied / ".landslide_tf").write_text("in the way of a folder")
    first = load(f"{copied}:validation")
    (cached,) = (tmp_path / "cache").rglob("validation.npz")
    made = cached.stat().st_mtime_ns
    assert load(f"{copied}:validation").ids == first.ids
    assert cached.stat().st_mtime_ns == made


def test_processes_that_index_at_once_find_the_same(copied):
    code = (
        "import sys; from landslide_tf.pipelines import load;"
        "print(load(sys.argv[1]).overview.labels.sum())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"{copied}:validation"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    found = [process.communicate(timeout=240)[0].split()[-1] for process in processes]
    assert found == [str(16 * 96 * 96)] * 2
    assert [path.name for path in index(copied).parent.iterdir()] == ["validation.npz"]


@pytest.mark.parametrize("harm", ["cut", "length", "missing"])
def test_damaged_files_are_named(copied, harm):
    file = record_file(copied)
    data = file.read_bytes()
    if harm == "cut":
        file.write_bytes(data[:-7])
    elif harm == "length":
        file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    else:
        file.unlink()
    with pytest.raises(DataError, match=r"validation\.tfrecord") as caught:
        load(f"{copied}:validation")
    assert "\n" not in str(caught.value)


def test_a_damaged_image_is_named_when_it_is_read(copied):
    store = load(f"{copied}:validation")
    file = record_file(copied)
    data = bytearray(file.read_bytes())
    data[data.index(b"IDAT", data.index(b"image")) + 40] ^= 255
    file.write_bytes(data)
    with pytest.raises(DataError, match="cannot be decoded"):
        list(load(f"{copied}:validation").examples)
    assert len(store) == 16


def test_large_sets_are_read_anew_and_small_ones_are_kept(copied, monkeypatch):
    store = load(f"{copied}:validation")
    assert store.examples[3]["image"] is store.examples[3]["image"]
    with pytest.raises(ValueError, match="read-only"):
        store.examples[3]["image"][:] = 0
    monkeypatch.setattr(built_sets, "KEPT", 0)
    anew = load(f"{copied}:validation")
    assert anew.examples[3]["image"] is not anew.examples[3]["image"]
    assert_equal = np.testing.assert_array_equal
    assert_equal(anew.examples[3]["image"], store.examples[3]["image"])

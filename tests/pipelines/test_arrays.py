import json
import os
import pickle

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.pipelines import (
    Channel,
    EvaluationBatches,
    InputSelection,
    TrainingBatches,
    channel_statistics,
    class_shares,
    export_arrays,
    load,
    load_arrays,
    read_arrays,
    read_batches,
    write_arrays,
)

EQUAL, UNEQUAL = (8, 8), [(8, 8), (5, 9), (12, 3), (8, 8), (1, 1)]


def written(store, folder):
    return write_arrays(folder, store.examples, store.description)


def assert_same(one, other):
    assert one.description == other.description
    assert one.ids == other.ids
    assert len(one.examples) == len(other.examples) == len(one)
    for first, second in zip(one.examples, other.examples, strict=True):
        assert first.keys() == second.keys()
        for key in first.keys() - {"id"}:
            value = np.asarray(first[key])
            assert value.dtype.kind == np.asarray(second[key]).dtype.kind
            np.testing.assert_array_equal(value, second[key], err_msg=key)


@pytest.mark.parametrize("size", [EQUAL, UNEQUAL], ids=["one size", "several sizes"])
def test_what_is_written_comes_back(make_store, tmp_path, size):
    store = make_store(5, size)
    assert written(store, tmp_path / "a") == 5
    again = read_arrays(tmp_path / "a")
    assert_same(store, again)
    np.testing.assert_array_equal(store.positive, again.positive)
    assert store.sizes == again.sizes
    assert (tmp_path / "a" / "mask.shapes.npy").exists() == (size is UNEQUAL)
    # Any reader of NumPy files can use them.
    plain = np.load(tmp_path / "a" / "mask.npy")
    assert plain.size == sum(e["mask"].size for e in store.examples)
    names = ("slope", "height")
    assert channel_statistics(store, names) == channel_statistics(again, names)
    np.testing.assert_array_equal(class_shares(store), class_shares(again))


def test_examples_are_maps_of_the_files_that_nobody_can_change(make_store, tmp_path):
    written(make_store(3), tmp_path / "a")
    example = read_arrays(tmp_path / "a").examples[1]
    assert type(example["image"]) is np.ndarray
    base = example["image"]
    while not isinstance(base, np.memmap):
        base = base.base
    with pytest.raises(ValueError, match="read-only"):
        example["image"][0, 0, 0] = 1


def test_examples_are_a_sequence(make_store, tmp_path):
    store = make_store(5)
    written(store, tmp_path / "a")
    examples = read_arrays(tmp_path / "a").examples
    assert [e["id"] for e in examples] == store.ids
    assert examples[-1]["id"] == "e4"
    assert [e["id"] for e in examples[1:-1][1:]] == ["e2", "e3"]
    with pytest.raises(IndexError):
        examples[5]
    again = pickle.loads(pickle.dumps(examples[2:4]))
    np.testing.assert_array_equal(again[1]["image"], store.examples[3]["image"])


def test_text_numbers_and_a_missing_limit_survive(make_store, description, tmp_path):
    store = make_store(3)
    limits = Channel("dem", "factors", 2, "metre", (-1.5, 0.1 + 0.2), float("inf"))
    channels = {**description.channels, "dem": limits}
    object.__setattr__(store.description, "channels", channels)
    for number, example in enumerate(store.examples):
        example["region"] = ["", "São Paulo", "x"][number].encode()
        example["gsd"] = np.float32(number / 3)
        example["transform"] = np.arange(6.0) + number
    written(store, tmp_path / "a")
    again = read_arrays(tmp_path / "a")
    assert_same(store, again)
    assert again.examples[1]["region"].decode() == "São Paulo"
    assert again.description.channels["dem"] == limits


def test_a_batch_of_maps_is_a_batch_of_memory(make_store, tmp_path):
    selection = InputSelection(("red", "nir"), ("slope", "aspect", "height"))
    store = make_store(5, UNEQUAL)
    written(store, tmp_path / "a")
    for patch in (None, 6):
        one, other = (
            TrainingBatches(s, selection, batch_size=2, seed=3, patch=patch)
            for s in (store, read_arrays(tmp_path / "a"))
        )
        for step in range(one.steps_per_epoch):
            (x, y), (z, w) = one.batch(1, step), other.batch(1, step)
            np.testing.assert_array_equal(y, w)
            assert x.keys() == z.keys()
            for key in x:
                np.testing.assert_array_equal(x[key], z[key])
                assert z[key].flags.writeable
    found = list(
        read_batches(EvaluationBatches(read_arrays(tmp_path / "a"), selection, 4))
    )
    assert len(found) == 5


class Interrupted(Exception):
    pass


def test_the_folder_appears_complete_or_not_at_all(make_store, tmp_path):
    store = make_store(4)

    def broken():
        yield from store.examples[:2]
        raise Interrupted

    with pytest.raises(Interrupted):
        write_arrays(tmp_path / "a", broken(), store.description)
    assert list(tmp_path.iterdir()) == []
    assert written(store, tmp_path / "a") == 4
    with pytest.raises(DataError, match="new or an empty folder"):
        written(store, tmp_path / "a")
    assert len(read_arrays(tmp_path / "a")) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((8, 8, 4), np.float32)}, "numbers \\(uint8\\)"),
        ({"image": np.zeros((8, 8), np.uint8)}, "one rank"),
        ({"image": np.zeros((9, 8, 4), np.uint8)}, "expected a mask"),
        ({"mask": np.full((8, 8), 7)}, "label value 7"),
        ({"id": "e0"}, "repeats an id: `e0`"),
        ({"note": 1}, "expected the features"),
    ],
)
def test_examples_that_differ_are_refused(make_store, tmp_path, change, message):
    store = make_store(3)
    store.examples[2].update(change)
    with pytest.raises(DataError, match=message):
        written(store, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_is_neither_text_nor_numbers_is_refused(make_store, tmp_path):
    store = make_store(2)
    for example in store.examples:
        example["extra"] = {"a": 1}
    with pytest.raises(DataError, match="`extra` of `e0`"):
        written(store, tmp_path / "a")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_leaves_nothing(make_store, tmp_path, monkeypatch):
    from landslide_tf.pipelines import feature_files as columns

    store = make_store(2)
    real = columns.Path.open
    monkeypatch.setattr(
        columns.Path,
        "open",
        lambda path, *mode, **options: (
            real(columns.Path("/dev/full"), "wb", buffering=0)
            if path.name == "image.npy"
            else real(path, *mode, **options)
        ),
    )
    with pytest.raises(DataError, match="No space left"):
        written(store, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mask.npy", "image.npy", "mask.shapes.npy"])
def test_one_flipped_bit_is_found(make_store, tmp_path, name):
    written(make_store(5, UNEQUAL), tmp_path / "a")
    path = tmp_path / "a" / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"{name}` is missing or damaged"):
        read_arrays(tmp_path / "a")
    path.unlink()
    with pytest.raises(DataError, match=f"{name}` is missing or damaged"):
        read_arrays(tmp_path / "a")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 2}', "\x00"])
def test_a_damaged_index_is_one_line(make_store, tmp_path, content):
    written(make_store(2), tmp_path / "a")
    (tmp_path / "a" / "arrays.json").write_text(content)
    with pytest.raises(DataError, match="is damaged") as caught:
        read_arrays(tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_a_folder_without_arrays_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a folder of arrays"):
        read_arrays(tmp_path)
    with pytest.raises(DataError, match="export-arrays mmls --out"):
        load_arrays(tmp_path, "mmls", "train")


@pytest.fixture(scope="module")
def exported(tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("arrays") / "tiny"
    counts = export_arrays("synthetic_landslides/tiny", out, data_dir=tiny_data)
    assert counts == {"train": 160, "validation": 16, "test": 40}
    return out


SPLITS = ["train", "test[:7]", "train[-3:]", "test[13%:52%]", "train[5:-150]"]
SPLITS += ["validation[:16]", "train[-10%:]"]


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_of_arrays_is_the_split_of_the_data_set(exported, tiny_data, split):
    data = "synthetic_landslides/tiny"
    expected = load(data, split=split, data_dir=tiny_data)
    assert_same(expected, load_arrays(exported, data, split))


@pytest.mark.parametrize(
    ("data", "split", "message"),
    [
        ("mmls", "train", "holds `synthetic_landslides/tiny`, expected `mmls`"),
        ("synthetic_landslides/other", "train", "expected `synthetic_landslides/other"),
        ("synthetic_landslides", "trian", "Did you mean `train`"),
        ("synthetic_landslides", "train[3]", "no split `train\\[3\\]`"),
        ("synthetic_landslides", "train+test", "no split"),
        ("synthetic_landslides", "train[9:3]", "no examples"),
        ("synthetic_landslides", "train[:500]", "beyond its 160 examples"),
        ("synthetic_landslides", "train[-161:]", "beyond its 160 examples"),
        ("synthetic_landslides", "../train", "no split"),
    ],
)
def test_a_wrong_split_or_data_set_is_refused(exported, data, split, message):
    with pytest.raises(DataError, match=message):
        load_arrays(exported, data, split)


def test_export_takes_one_split_but_no_slice(tiny_data, tmp_path):
    data, folder = "synthetic_landslides/tiny", {"data_dir": tiny_data}
    assert export_arrays(f"{data}:test", tmp_path / "a", **folder) == {"test": 40}
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["test"]
    with pytest.raises(DataError, match="whole split"):
        export_arrays(f"{data}:test[:3]", tmp_path / "b", **folder)
    with pytest.raises(DataError, match="no split `tset`"):
        export_arrays(f"{data}:tset", tmp_path / "b", **folder)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    index = json.loads((tmp_path / "a" / "test" / "arrays.json").read_text())
    assert index["description"]["name"] == data
    assert len(index["ids"]) == 40


def test_other_arrays_are_replaced_when_told(tiny_data, tmp_path):
    data, folder = "synthetic_landslides/tiny", {"data_dir": tiny_data}
    out = tmp_path / "a"
    export_arrays(f"{data}:test", out, **folder)
    (out / "test" / "mask.npy").unlink()
    export_arrays(f"{data}:test", out, **folder)  # the same command again
    assert (out / "test" / "mask.npy").is_file()
    with pytest.raises(DataError, match=r"other inputs or options.*`--overwrite`"):
        export_arrays(f"{data}:validation", out, **folder)
    index = out / "test" / "arrays.json"
    index.write_text(index.read_text().replace(data, "mmls/clean"))
    with pytest.raises(DataError, match="`--overwrite`"):
        export_arrays(f"{data}:test", out, **folder)
    export_arrays(f"{data}:validation", out, overwrite=True, **folder)
    assert [p.name for p in out.iterdir()] == ["validation"]
    (out / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"`notes\.txt` is there"):
        export_arrays(data, out, overwrite=True, **folder)
    for place in (tiny_data, tiny_data.parent):
        with pytest.raises(DataError, match="name another output"):
            export_arrays(data, place, overwrite=True, **folder)

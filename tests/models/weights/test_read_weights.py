"""Files of PyTorch are read as data: all values, and nothing that runs."""

import os
import struct
import zipfile

import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.models.weights import read_weights
from tests.models.weights.torch_writer import (
    WRITERS,
    Raw,
    View,
    write_legacy,
    write_zip,
)


@pytest.fixture(params=WRITERS)
def write(request):
    return WRITERS[request.param]


def some_arrays():
    random = np.random.default_rng(0)
    return {
        "conv.weight": random.normal(size=(4, 3, 2, 2)).astype("<f4"),
        "double": random.normal(size=(3, 5)),
        "half": random.normal(size=7).astype("<f2"),
        "norm.num_batches_tracked": np.array(2**40),
        "switch": np.array([True, False]),
        "empty": np.zeros((0, 3), "<f4"),
    }


def test_every_type_comes_back(write, tmp_path):
    arrays = some_arrays()
    found = read_weights(write(tmp_path / "w.pth", arrays)).arrays
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_bfloat16_is_the_upper_half_of_a_float(write, tmp_path):
    values = np.array([1.0, -2.5, 3.140625], "<f4")  # exact in bfloat16
    upper = (values.view("<u4") >> 16).astype("<u2")
    view = View(upper, 0, (3,), (1,), kind="BFloat16Storage")
    found = read_weights(write(tmp_path / "w.pth", {"a": view})).arrays["a"]
    np.testing.assert_array_equal(found, values)


def test_views_of_a_storage(write, tmp_path):
    storage = np.arange(24, dtype="<f4")
    views = {
        "transposed": View(storage, 0, (6, 4), (1, 6)),
        "row": View(storage, 12, (6,), (1,)),
        "scalar": View(storage, 23, (), ()),
    }
    found = read_weights(write(tmp_path / "w.pth", views)).arrays
    np.testing.assert_array_equal(found["transposed"], storage.reshape(4, 6).T)
    np.testing.assert_array_equal(found["row"], storage[12:18])
    assert found["scalar"] == 23


NUMPY_NUMBER = Raw(  # numpy.float64(0.5) as it is pickled
    b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\x00\x00\x00f8"
    b"K\x00K\x01tR(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"c_codecs\nencode\n(X\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\xe0?"
    b"X\x06\x00\x00\x00latin1tRtR".replace(b"\xe0?", b"a?")
)


def test_a_checkpoint_holds_the_state_beside_other_things(write, tmp_path):
    arrays = some_arrays()
    momentum = {"state": {0: {"momentum_buffer": np.ones(3, "<f4")}}, "lr": 1e-3}
    checkpoint = {
        "epoch": 7,
        "best_pred": NUMPY_NUMBER,
        "optimizer": momentum,
        "state_dict": arrays,
        "name": "x",
        "history": [1.5, None, (True, -3)],
    }
    found = read_weights(write(tmp_path / "w.pth.tar", checkpoint)).arrays
    assert list(found) == list(arrays)
    two = {"teacher": arrays, "student": arrays}
    with pytest.raises(ModelError, match="several state dicts"):
        read_weights(write(tmp_path / "two.pth", two))
    with pytest.raises(ModelError, match="no state dict"):
        read_weights(write(tmp_path / "none.pth", {"epoch": 1, "x": {"y": 2}}))


def called(module, name, arguments=b")"):
    return Raw(f"c{module}\n{name}\n".encode() + arguments + b"R")


MALICIOUS = {
    "system": called("posix", "system", b"(X\x0c\x00\x00\x00touch pwned!t"),
    "eval": called("builtins", "eval", b"(X\x01\x00\x00\x001t"),
    "getattr": called("builtins", "getattr"),
    "nested load": called("torch.storage", "_load_from_bytes"),
    "numpy arrays": called("numpy.core.multiarray", "_reconstruct"),
    "namespace": called("argparse", "Namespace"),
    "uncalled": Raw(b"cos\nsystem\n"),
    "stacked": Raw(b"\x8c\x02os\x8c\x06system\x93)R"),
    "instance": Raw(b"(ios\nsystem\n"),
    "object": Raw(b"(cos\nsystem\no"),
    "new": Raw(b"ccollections\nOrderedDict\n)\x81"),
    "extension": Raw(b"\x82\x01"),
    "bytearray": Raw(b"\x96" + struct.pack("<Q", 2**50)),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_nothing_is_looked_up_or_run(write, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "w.pth", {"a": np.ones(2, "<f4"), "b": MALICIOUS[name]})
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert os.listdir(tmp_path) == ["w.pth"]


DAMAGED = {
    "names a far memo": Raw(b"r\xff\xff\xff\xff0"),
    "gets nothing": Raw(b"h\x07"),
    "closes nothing": Raw(b"t"),
    "calls a number": Raw(b"K\x01)R"),
    "calls a storage": Raw(b"ctorch\nFloatStorage\n)R"),
    "key of a tuple": Raw(b"}(K\x01tK\x02s"),
    "sets a number": Raw(b"K\x01K\x02K\x03s"),
    "long text": Raw(b"\x8d" + struct.pack("<Q", 2**60)),
    "no storage": Raw(b"K\x05Q"),
    "shape of text": Raw(b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR"),
    "larger than its numbers": View(np.ones(3, "<f4"), 0, (10**6, 10**6), (0, 0)),
    "beyond its numbers": View(np.ones(3, "<f4"), 1, (3,), (1,)),
    "strides beyond": View(np.ones(6, "<f4"), 0, (2, 2), (5, 1)),
    "negative": View(np.ones(6, "<f4"), 0, (2,), (-1,)),
    "fewer strides": View(np.ones(6, "<f4"), 0, (2, 2), (1,)),
    "fewer numbers": View(np.ones(3, "<f4"), 0, (5,), (1,), count=5),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_within_is_one_line(write, name, tmp_path):
    path = write(tmp_path / "w.pth", {"a": DAMAGED[name]})
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_truncated_file_is_one_line(write, tmp_path):
    whole = write(tmp_path / "w.pth", some_arrays()).read_bytes()
    for part in np.linspace(0, len(whole) - 1, 40, dtype=int):
        (tmp_path / "w.pth").write_bytes(whole[:part])
        with pytest.raises(ModelError, match="not a whole file") as caught:
            read_weights(tmp_path / "w.pth")
        assert "\n" not in str(caught.value) and "codec" not in str(caught.value)


def test_a_changed_number_of_a_zip_is_noticed(tmp_path):
    values = np.arange(999, dtype="<f4")
    path = write_zip(tmp_path / "w.pth", {"a": values})
    whole = bytearray(path.read_bytes())
    whole[whole.find(values.tobytes()) + 50] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ModelError, match="CRC"):
        read_weights(path)


def test_archives_that_grow_are_refused(tmp_path):
    zeros = {"a": np.zeros(10**6, "<f4")}
    with pytest.raises(ModelError, match="compressed"):
        read_weights(write_zip(tmp_path / "w.pth", zeros, zipfile.ZIP_DEFLATED))
    bomb = tmp_path / "bomb.npz"
    np.savez_compressed(bomb, a=np.zeros(10**6))
    with zipfile.ZipFile(bomb, "a") as archive:
        archive.filelist[0].file_size = 3 * 2**30  # as if it unpacked to so much
        archive._didModify = True
    with pytest.raises(ModelError, match=r"unpack to 3\.0 GiB"):
        read_weights(bomb)


def test_parts_that_overlap_are_refused(tmp_path):
    """Two entries of the directory point at the same numbers."""
    numbers = np.ones(5000, "<f4")
    path = write_zip(tmp_path / "w.pth", {"a": numbers})
    with zipfile.ZipFile(path, "a") as archive:
        (entry,) = (e for e in archive.infolist() if e.filename.endswith("data/0"))
        for number in range(1, 4):
            other = zipfile.ZipInfo(f"archive/data/{number}")
            for name in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(other, name, getattr(entry, name))
            archive.filelist.append(other)
        archive._didModify = True
    with pytest.raises(ModelError, match="overlap"):
        read_weights(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"torn", b"\x80\x02K\x05."])
def test_what_is_no_such_file_is_one_line(content, tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a whole file"):
        read_weights(path)
    with pytest.raises(ModelError, match="does not exist"):
        read_weights(tmp_path / "nowhere.pth")


def test_the_legacy_format_has_parts_of_storages(tmp_path):
    """Before version 0.4 a tensor could lie in a part of another one's storage."""
    values = np.arange(10, dtype="<f4")
    path = write_legacy(tmp_path / "w.pth", {"a": values})
    whole = path.read_bytes()
    part = b"N" + b"tQ"  # no part
    key = b"(X\x01\x00\x00\x00vK\x04K\x03t" + b"tQ"  # three numbers from the fourth on
    start = whole.index(part)
    whole = whole[:start] + key + whole[start + len(part) :]
    shape = b"(J" + struct.pack("<i", 10) + b"t"
    path.write_bytes(whole.replace(shape, b"(J" + struct.pack("<i", 3) + b"t"))
    found = read_weights(path).arrays["a"]
    np.testing.assert_array_equal(found, values[4:7])

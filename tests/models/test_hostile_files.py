"""Files of weights and models from strangers: none runs code or leaves its file."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from landslide_tf.errors import LandslideTFError, ModelError
from landslide_tf.models import tsmu, tsmu_net, unet, weights
from landslide_tf.models.backbones.pretrained import load_backbone_weights
from landslide_tf.models.weight_files import check_weight_file
from landslide_tf.train.run.folder import RunFolder, load_network
from landslide_tf.train.run.import_weights import import_weights

SMALL = {"num_classes": 2, "width": 0.05}


@pytest.fixture(scope="module")
def model():
    return unet(**SMALL)


@pytest.fixture
def h5(model, tmp_path):
    path = tmp_path / "net.weights.h5"
    model.save_weights(path)
    return path


@pytest.fixture
def archive(model, tmp_path):
    path = tmp_path / "net.keras"
    model.save(path)
    return path


def first_values(file):
    """The name of an array of a weights file that is not empty."""
    found = []
    file.visititems(
        lambda n, v: found.append(n) if isinstance(v, h5py.Dataset) else None
    )
    return found[0]


def linked(path, outside):
    with h5py.File(path, "a") as file:
        name = first_values(file)
        with h5py.File(outside, "w") as other:
            other["values"] = file[name][()]
        del file[name]
        file[name] = h5py.ExternalLink(str(outside), "/values")


def virtual(path, outside):
    with h5py.File(path, "a") as file:
        name = first_values(file)
        values = file[name][()]
        with h5py.File(outside, "w") as other:
            other["values"] = values
        del file[name]
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        layout[...] = h5py.VirtualSource(str(outside), "values", values.shape)
        file.create_virtual_dataset(name, layout)


def external(path, outside):
    with h5py.File(path, "a") as file:
        name = first_values(file)
        values = file[name][()]
        outside.write_bytes(values.tobytes())
        del file[name]
        file.create_dataset(
            name,
            values.shape,
            values.dtype,
            external=[(str(outside), 0, values.nbytes)],
        )


def soft(path, outside):
    with h5py.File(path, "a") as file:
        name = first_values(file)
        file.move(name, "kept")
        file[name] = h5py.SoftLink("/kept")


def huge(path, outside):
    with h5py.File(path, "a") as file:
        name = first_values(file)
        del file[name]
        file.create_dataset(name, (2**31,), "float32", chunks=(2**20,))


SPOILT = pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (linked, "is a link to elsewhere"),
        (soft, "is a link to elsewhere"),
        (virtual, "lie in other files"),
        (external, "lie in other files"),
        (huge, "unpack to 8.0 GiB"),
    ],
)


@SPOILT
def test_weights_that_leave_their_file(h5, tmp_path, spoil, words):
    spoil(h5, tmp_path / "outside")
    with pytest.raises(ModelError, match=words) as caught:
        unet(**SMALL, weights=h5)
    assert "\n" not in str(caught.value)


@SPOILT
def test_released_weights_that_leave_their_file(tmp_path, spoil, words):
    path = tmp_path / "layers.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["c1"]
        file.create_group("c1").attrs["weight_names"] = ["kernel:0"]
        file["c1/kernel:0"] = np.ones((3, 3, 2, 4), "float32")
    spoil(path, tmp_path / "outside")
    with pytest.raises(ModelError, match=words):
        weights.read_weights(path)


def test_backbone_weights_that_leave_their_file(model, tmp_path):
    path = tmp_path / "vgg.h5"
    with h5py.File(path, "w") as file:
        file["block1_conv1"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(ModelError, match="`/block1_conv1` is a link to elsewhere"):
        load_backbone_weights(model, "vgg16", path)
    with pytest.raises(ModelError, match="`/block1_conv1` is a link to elsewhere"):
        unet(backbone="VGG16", backbone_weights=path)


def test_groups_within_themselves_end(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/b"] = file.create_group("a")
        file["a/values"] = np.zeros(3)
    check_weight_file(tmp_path / "a.h5")


def rewritten(path, change):
    """Writes a `.keras` file anew with a changed `config.json`."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(entries["config.json"])
    change(config)
    entries["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def test_code_in_a_network_is_not_run(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    mark = tmp_path / "mark"
    code = f"lambda x: (__import__('pathlib').Path({str(mark)!r}).touch(), x)[1]"
    layer = keras.layers.Lambda(eval(code), output_shape=(None, None, 3))
    path = tmp_path / "model.keras"
    keras.Model(image, layer(image)).save(path)
    mark.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="holds a `Lambda` layer, which is code"):
        load_network(path)
    with pytest.raises(ModelError, match="Lambda"):
        RunFolder(tmp_path).load_model()
    with pytest.raises(ModelError, match="Lambda"):
        import_weights(
            path, tmp_path / "out", model="unet", arguments=["num_classes=2"]
        )
    assert not mark.exists() and not (tmp_path / "out").exists()


def test_no_module_is_imported_that_a_file_names(archive, tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def change(config):
        layer = config["config"]["layers"][1]
        layer.update(module="stranger", class_name="Layer", registered_name="Layer")

    rewritten(archive, change)
    with pytest.raises(ValueError, match="cannot be loaded: Could not locate"):
        load_network(archive)


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "a/../../b", "C:\\b"])
def test_an_entry_out_of_the_folder(archive, name):
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(name, "x")
    for read in (load_network, lambda path: unet(**SMALL, weights=path)):
        with pytest.raises(ModelError, match="lies out of its folder"):
            read(archive)


@pytest.mark.parametrize("name", [".", "./"])
def test_an_entry_without_a_name_harms_nothing(archive, name):
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(name, "")
    check_weight_file(archive)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_an_archive_that_cannot_be_unpacked_is_one_line(archive, name):
    with zipfile.ZipFile(archive) as file:
        entries = {entry: file.read(entry) for entry in file.namelist()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for entry, content in entries.items():
            file.writestr(entry, content)
        start = file.getinfo(name).header_offset + 30 + len(name)
    data = bytearray(archive.read_bytes())
    data[start] = 0xFF  # a block of no known type
    archive.write_bytes(data)
    for read in (load_network, lambda path: unet(**SMALL, weights=path)):
        with pytest.raises(LandslideTFError, match="invalid block type") as caught:
            read(archive)
        assert "\n" not in str(caught.value)


def test_a_link_in_an_archive(archive):
    entry = zipfile.ZipInfo("assets/link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(entry, "/etc/passwd")
    with pytest.raises(ModelError, match="`assets/link` is a link"):
        load_network(archive)


@pytest.mark.integration
@pytest.mark.parametrize("end", [".keras", ".npz", ".pth"])
def test_an_archive_that_grows_without_measure(archive, tmp_path, end):
    path = archive.rename(tmp_path / f"bomb{end}")
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file,
        file.open("zeros", "w", force_zip64=True) as entry,
    ):
        zeros = bytes(2**24)
        for _ in range(70):
            entry.write(zeros)
    read = load_network if end == ".keras" else weights.read_weights
    with pytest.raises(ModelError, match="would unpack to"):
        read(path)


def test_pickles_among_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", **{"c1.weight": np.array([{"a": 1}], object)})
    with pytest.raises(ModelError, match="Object arrays cannot be loaded"):
        weights.read_weights(tmp_path / "a.npz")


def test_a_state_names_files_of_its_folder_alone(tmp_path):
    small = {"variant": "code", "trunk_filters": (2,), "decoder_filters": (2, 4)}
    tsmu.save_state(tsmu_net(["ETF"], **small), tmp_path / "state")
    path = tmp_path / "state" / "state.json"
    content = json.loads(path.read_text())
    name = content["trunk"]["file"]
    (tmp_path / "state" / name).rename(tmp_path / name)
    content["trunk"]["file"] = f"../{name}"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="lies out of its folder"):
        tsmu.load_state(tmp_path / "state")

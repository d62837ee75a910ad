"""`landslide-tf map` with a model on a server."""

import keras
import numpy as np
import pytest
import rasterio

pytest.importorskip("tensorflow_serving", reason="the extra `serving` is not installed")

from landslide_tf import saved_models, serving
from landslide_tf.metadata import Band, ModelMetadata
from tests.cli.scene_files import write_scene_files
from tests.serving.server import Server

SHIPPED = saved_models.path("fstf_net_synthetic")
BOTH = ("grpc", "http")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = write_scene_files(tmp_path_factory.mktemp("scene") / "files")
    return ("--image", folder / "scene.tif", "--dem", folder / "dem.tif")


def addresses(server):
    return {
        "grpc": f"grpc://localhost:{server.grpc_port}/m",
        "http": f"http://localhost:{server.rest_port}/m:1",
    }


@pytest.fixture(scope="module")
def shipped():
    server = Server(SHIPPED / "1")
    yield addresses(server)
    server.close()


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory):
    """An export of two classes, the first is landslide, and its addresses."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(2, 3, padding="same", activation="softmax")(x)
    metadata = ModelMetadata(
        name="small", builder="own", arguments={}, tile=32, stride=4,
        inputs=[Band(name=name) for name in ("red", "green", "blue")],
        classes=["landslide", "other"], landslide_class=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("two")
    path = serving.export(
        keras.Model(image, x), folder, metadata=metadata, warm_up=None
    )
    server = Server(path)
    yield folder, addresses(server)
    server.close()


def mapped(command, model, scene, folder, *more):
    chances = folder / "p.tif"
    code, _, err = command(
        "map", model, *scene, "--out", folder / "map.tif", "--probabilities", chances,
        "--float", "--all-classes", *more,
    )  # fmt: skip
    assert code == 0, err
    with rasterio.open(chances) as values, rasterio.open(folder / "map.tif") as classes:
        return values.read(), classes.read(1)


@pytest.mark.integration
@pytest.mark.parametrize("scheme", BOTH)
def test_the_map_is_the_local_one(command, shipped, scene, tmp_path, scheme):
    how = ("--window", 32, "--overlap", 8, "--tta")
    wanted, classes = mapped(command, SHIPPED, scene, tmp_path / "local", *how)
    where = (shipped[scheme], scene, tmp_path / "remote", "--metadata", SHIPPED, *how)
    found, same = mapped(command, *where)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert len(wanted) == 6 and (same == classes).mean() > 0.999


@pytest.mark.parametrize("scheme", BOTH)
def test_a_map_of_uint8_answers(command, two_classes, scene, tmp_path, scheme):
    """At most a step of 1/250 off: values that are no uint8 are refused."""
    folder, served = two_classes
    scene = scene[:2]
    wanted, _ = mapped(command, folder, scene, tmp_path / "local")
    more = ("--metadata", folder / "1" / "assets.extra" / "model.json")
    address = served[scheme] + "?wire=uint8"
    found, _ = mapped(command, address, scene, tmp_path / "remote", *more)
    np.testing.assert_allclose(found, wanted, atol=1 / 250)
    assert np.abs(found - wanted).max() > 1e-5
    command.refuses(
        "map", address, *scene, "--out", tmp_path / "m.tif", *more, "--scale", 0.3,
        message="whole numbers that uint8 can hold",
    )  # fmt: skip


def test_what_lacks_is_one_line(command, shipped, scene, tmp_path):
    out = ("--out", tmp_path / "m.tif")
    known = ("--metadata", SHIPPED)
    for address, more, message in (
        (shipped["grpc"], (), "give its model.json, or its export's folder, with"),
        (shipped["grpc"] + ":7", known, "is not served there"),
        (shipped["http"] + "?wire=uint8", known, "6 classes"),
        (shipped["grpc"], (*known, "--runtime", "openvino"), "run by its server"),
        ("grpc://localhost/m", known, "must be grpc://HOST:PORT/NAME"),
        (shipped["grpc"], (*known, "--region", "nad"), "no decoders of regions"),
    ):
        command.refuses("map", address, *scene, *out, *more, message=message)
    assert not (tmp_path / "m.tif").exists()

"""Rasters and vectors on other machines: a server on this one takes their place."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil

from landslide_tf.errors import DataError, UnreachableError
from landslide_tf.mapping import MapOptions, Outputs, SceneFiles, map_scene
from landslide_tf.raster.dem import DemFiles, open_dem
from landslide_tf.raster.grid import Window, grid_of
from landslide_tf.raster.labels import LabelOptions, LabelReader, read_labels
from landslide_tf.raster.masks import Mask, MaskFiles
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.outputs import check_outputs, files_behind
from landslide_tf.raster.vector import read_shapes
from tests.mapping import map_files as files
from tests.mapping.transparent import RED, member
from tests.raster.http_files import served
from tests.raster.sentinel2_files import made_bands, write_product, zipped

SIDE = 1024


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder on a server, and GDAL told to be quick."""
    quick = {"GDAL_HTTP_RETRY_DELAY": "0.05", "GDAL_HTTP_LOW_SPEED_TIME": "1"}
    for name, value in quick.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "served"
    folder.mkdir()
    with served(folder) as state:
        yield state


def write_image(folder, name="scene.tif", side=SIDE):
    """Noise, which no compression makes smaller, in blocks of 128 × 128 cells."""
    values = np.random.default_rng(1).integers(1, 250, (3, side, side))
    files.write(
        folder / name, values.astype(np.uint8), names=["red", "green", "blue"],
        tiled=True, blockxsize=128, blockysize=128,
    )  # fmt: skip
    return values.astype(np.uint8)


@pytest.mark.parametrize(
    "form", ["{}", "/vsicurl/{}", "{}?sig=a%2Fb.c", pytest.param("{}", id="path")]
)
def test_only_the_blocks_that_are_needed_are_read(server, form, request):
    values = write_image(server.folder)
    name = form.format(server.url("scene.tif"))
    if request.node.callspec.id == "path":  # which makes one slash of two
        name = Path(name)
    with open_raster(name, "image") as dataset:
        found = dataset.read(1, window=Window(512, 512, 100, 100).box)
    assert (found == values[0, 512:612, 512:612]).all()
    assert set(server.requests) == {"scene.tif"}  # and no sidecars, and no listing
    size = (server.folder / "scene.tif").stat().st_size
    assert server.bytes < size / 10


def test_a_part_of_a_scene_is_mapped_of_its_blocks(server, tmp_path):
    write_image(server.folder, side=2048)
    image = server.url("scene.tif")
    with open_raster(image, "image") as dataset:
        x, y = dataset.transform @ (600, 600)
    ring = [[x, y], [x + 900, y], [x + 900, y - 900], [x, y - 900], [x, y]]
    area = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": files.CRS}},
        "features": [
            {
                "type": "Feature",
                "properties": {},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        ],
    }
    (server.folder / "area.geojson").write_text(json.dumps(area))
    server.bytes = 0
    masks = MaskFiles(server.url("area.geojson"))
    scenes = {
        "there": SceneFiles((image,), masks=masks),
        "here": SceneFiles((str(server.folder / "scene.tif"),), masks=masks),
    }
    maps = {}
    for name, scene in scenes.items():
        out = tmp_path / f"{name}.tif"
        map_scene([member(RED)], scene, Outputs(out), MapOptions(window=64))
        with rasterio.open(out) as dataset:
            maps[name] = dataset.read(1)
            assert json.loads(dataset.tags()["IMAGE"]) == ["scene.tif"]
    assert (maps["there"] == maps["here"]).all()
    assert 0 < (maps["there"] != 255).sum() <= 91 * 91
    assert server.bytes < (server.folder / "scene.tif").stat().st_size / 4


def test_secrets_of_an_address_are_not_written_into_maps(server, tmp_path):
    write_image(server.folder, side=64)
    scene = SceneFiles((server.url("scene.tif?sig=secret"),))
    map_scene([member(RED)], scene, Outputs(tmp_path / "map.tif"))
    assert b"secret" not in (tmp_path / "map.tif").read_bytes()


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, 4)])
def test_a_refusal_is_one_line(server, status, tries):
    server.status = status
    with pytest.raises(UnreachableError, match=f"response code: {status}"):
        grid_of(server.url("scene.tif"), "image")
    assert len(server.requests) <= tries


def test_a_server_that_recovers_is_waited_for(server):
    values = write_image(server.folder, side=64)
    server.failures = 2
    with open_raster(server.url("scene.tif"), "image") as dataset:
        assert (dataset.read() == values).all()


def test_a_server_that_falls_silent_is_not_waited_for(server):
    write_image(server.folder, side=64)
    server.stalls = 30
    with pytest.raises(UnreachableError, match=r"cannot be read from there"):
        grid_of(server.url("scene.tif"), "image")


def test_nobody_there_is_one_line(tmp_path):
    with served(tmp_path) as gone:
        pass
    with pytest.raises(UnreachableError, match="connect"):
        grid_of(gone.url("scene.tif"), "image")
    with pytest.raises(DataError, match=r"`https://nowhere\.invalid/scene\.tif`"):
        grid_of("https://nowhere.invalid/scene.tif", "image")


def test_a_cut_connection_leaves_what_was_mapped(server, tmp_path):
    """The same call goes on with the strips that were finished."""
    write_image(server.folder, side=1536)
    scene, out = SceneFiles((server.url("scene.tif"),)), tmp_path / "map.tif"

    def cut(done, pixels):
        server.cut = 100 if done < pixels else None

    options = MapOptions(window=64, overlap=0)
    with pytest.raises(UnreachableError, match="connection was cut"):
        map_scene([member(RED)], scene, Outputs(out), options, progress=cut)
    assert not out.exists()
    server.cut = None
    made = map_scene([member(RED)], scene, Outputs(out), options)
    assert made.resumed > 0
    local = SceneFiles((str(server.folder / "scene.tif"),))
    map_scene([member(RED)], local, Outputs(tmp_path / "local.tif"), options)
    assert out.read_bytes() == (tmp_path / "local.tif").read_bytes()


@pytest.mark.parametrize("form", ["s3://bucket/{}", "/vsis3/bucket/{}"])
def test_buckets_are_read_as_gdals_environment_says(server, monkeypatch, form):
    (server.folder / "bucket").mkdir()
    name = f"{abs(hash(form))}.tif"  # GDAL remembers what it has read
    values = write_image(server.folder / "bucket", name, side=64)
    said = {
        "AWS_S3_ENDPOINT": f"127.0.0.1:{server.port}",
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_NO_SIGN_REQUEST": "YES",
    }
    for key, value in said.items():
        monkeypatch.setenv(key, value)
    with open_raster(form.format(name), "image") as dataset:
        assert (dataset.read() == values).all()
    with pytest.raises(UnreachableError, match="404"):
        grid_of(form.format("missing.tif"), "image")


def test_whatever_a_scene_has_may_be_there(server):
    """Elevations in tiles, masks, labels and polygons."""
    heights = np.full((1, 20, 20), 812, np.float32)
    for number in (0, 1):
        files.write(
            server.folder / f"dem{number}.tif", heights,
            transform=files.NORTH_UP @ rasterio.Affine.translation(20 * number, 0),
        )  # fmt: skip
    dem = DemFiles(server.url("dem0.tif"), server.url("dem1.tif"))
    with open_dem(dem).dataset as dataset:
        assert dataset.shape == (20, 40)
        assert (dataset.read(1) == 812).all()
    grid = grid_of(server.url("dem0.tif"), "DEM")
    classes = np.zeros((1, 20, 20), np.uint8)
    classes[0, 3, 4] = 1
    files.write(server.folder / "labels.tif", classes)
    labels = read_labels(server.url("labels.tif"), grid, grid, LabelOptions())
    assert LabelReader(labels, grid).read(Window(3, 3, 1, 3)).tolist() == [[0, 1, 0]]
    mask = Mask.parse(server.url("labels.tif:1,3"))
    assert (mask.path, mask.values) == (server.url("labels.tif"), (1.0, 3.0))
    with pytest.raises(DataError, match="404"):
        read_shapes(server.url("missing.geojson"), grid)


def test_products_and_stores_are_read_over_the_net(server):
    product = write_product(server.folder, made_bands())
    stored = made_bands()["B04"]
    archive = zipped(product)
    for name in (product.name, f"{product.name}/MTD_MSIL2A.xml", archive.name):
        with open_raster(server.url(name), "image") as dataset:
            assert (dataset.read(4) == stored).all()
    plain = files.write(server.folder / "plain.tif", stored[None])
    rasterio.shutil.copy(plain, server.folder / "one.zarr", driver="Zarr")
    with open_raster(server.url("one.zarr"), "image") as dataset:
        assert (dataset.read(1) == stored).all()


def test_outputs_are_places_on_this_machine(server):
    for output in ("https:/host/map.tif", "s3:/bucket/map.tif", "/vsis3/b/map.tif"):
        with pytest.raises(DataError, match="must be a place on this machine"):
            check_outputs([output], ["image.tif"])
    assert not server.requests
    files_behind(server.url("scene.tif"))
    assert not server.requests  # nothing is opened to see what lies behind it

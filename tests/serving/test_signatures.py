"""Small requests and answers: bytes, files, elevations; decisions like `map`'s."""

import io

import keras
import numpy as np
import pytest
from PIL import Image
from rasterio import Affine

from landslide_tf import serving, terrain
from landslide_tf.errors import ModelError
from landslide_tf.metadata import Band, Factor, Terrain
from landslide_tf.metrics import decide

from .conftest import toy_metadata, toy_model


def pixels(batch=2, size=(19, 26), bands=3):
    random = np.random.default_rng(0)
    return random.integers(0, 256, (batch, *size, bands), dtype=np.uint8)


def factors(image):
    random = np.random.default_rng(1)
    return random.uniform(0, 1, (*image.shape[:3], 2)).astype("f4")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model that decides by a threshold, its export, and its probabilities."""
    keras.utils.set_random_seed(3)
    model = toy_model(activation=None)
    metadata = toy_metadata(threshold=0.3, temperature=1.5)
    folder = tmp_path_factory.mktemp("small")
    path = serving.export(model, folder, metadata=metadata, warm_up=None)
    served = serving.load(path)

    def probabilities(image, factors):
        logits = model({"image": image.astype("f4"), "factors": factors})
        return np.asarray(keras.ops.softmax(logits / 1.5))

    return served, probabilities


def check(found, wanted, threshold=0.3, landslide=2):
    assert {n: v.dtype for n, v in found.items()} == dict.fromkeys(
        ("mask", "landslide", "valid"), np.uint8
    )
    shape = (*wanted.shape[:3], 1)
    assert {v.shape for v in found.values()} == {shape}
    classes = decide(wanted, landslide_class=landslide, threshold=threshold)
    np.testing.assert_array_equal(found["mask"][..., 0], classes)
    np.testing.assert_allclose(
        found["landslide"][..., 0] / 250, wanted[..., landslide], atol=1 / 250
    )
    assert found["valid"].all()


def test_bytes_in_decisions_out(made):
    served, probabilities = made
    image = pixels()
    given = {"image": image, "factors": factors(image)}
    found = served(given, "predict_uint8")
    check(found, probabilities(**given))
    assert 0 < (found["mask"] == 2).mean() < 1
    tile = np.zeros((1, 512, 512, 3), np.uint8)
    answer = served({"image": tile, "factors": factors(tile)}, "predict_uint8")
    assert answer["mask"].nbytes == 512 * 512  # 0.26 MB, and not 6.3


def test_the_most_probable_class_without_a_threshold(exported, model):
    image = pixels()
    given = {"image": image, "factors": factors(image)}
    found = serving.load(exported)(given, "predict_uint8")
    floats = {**given, "image": image.astype("f4")}
    check(found, np.asarray(model(floats)), threshold=None)


def test_values_that_no_byte_holds_are_refused(made):
    served, _ = made
    for wrong in (np.full((1, 4, 4, 3), 256), np.full((1, 4, 4, 3), 0.5)):
        with pytest.raises(ModelError, match="whole numbers that uint8 can hold"):
            served({"image": wrong, "factors": np.ones((1, 4, 4, 2))}, "predict_uint8")


def encoded(image, **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, **options)
    return stream.getvalue()


def test_png_files(made):
    served, probabilities = made
    image = pixels()
    files = [encoded(x, format="PNG") for x in image]
    given = {"image_bytes": files, "factors": factors(image)}
    found = served(given, "predict_image_bytes")
    check(found, probabilities(image, given["factors"]))
    one = {"image_bytes": files[0], "factors": given["factors"][:1]}
    alone = served(one, "predict_image_bytes")
    for name, values in alone.items():
        np.testing.assert_array_equal(values, found[name][:1])


def test_jpeg_files_are_decoded_as_elsewhere(made):
    served, probabilities = made
    smooth = np.linspace(0, 200, 40 * 48 * 3).reshape(1, 40, 48, 3).astype(np.uint8)
    file = encoded(smooth[0], format="JPEG", quality=90)
    image = np.asarray(Image.open(io.BytesIO(file)))[None]
    given = {"image_bytes": [file], "factors": factors(image)}
    found = served(given, "predict_image_bytes")
    check(found, probabilities(image, given["factors"]))


def test_colour_tables_and_transparency(made):
    served, probabilities = made
    image = pixels(1)
    image[..., 0] //= 64
    table = Image.fromarray(image[0]).quantize(16)
    stream = io.BytesIO()
    table.save(stream, format="PNG")
    shown = np.asarray(table.convert("RGB"))[None]
    given = {"image_bytes": [stream.getvalue()], "factors": factors(image)}
    check(
        served(given, "predict_image_bytes"),
        probabilities(shown, given["factors"]),
    )
    clear = np.dstack([image[0], np.full(image.shape[1:3], 255, np.uint8)])
    clear[:5, :, 3] = 0
    given["image_bytes"] = [encoded(clear, format="PNG")]
    found = served(given, "predict_image_bytes")
    assert not found["valid"][0, :5].any()
    assert found["valid"][0, 5:].all()
    assert (found["mask"][0, :5] == 255).all()
    assert (found["landslide"][0, :5] == 255).all()
    black = image.copy()
    black[:, :5] = 0
    wanted = probabilities(black, given["factors"])
    classes = decide(wanted, landslide_class=2, threshold=0.3)
    np.testing.assert_array_equal(found["mask"][0, 5:, :, 0], classes[0, 5:])


def header(width, height, depth=8, colour=2):
    """The beginning of a PNG file, as large as it says and as short as a bomb."""
    import struct
    import zlib

    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13)
    return start + body + struct.pack(">I", zlib.crc32(body)) + b"\0" * 16


GREY = pixels(1)[0, ..., 0]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([header(50_000, 50_000)], "at most 16777216 pixels .* 1 x 50000 x 50000"),
        ([header(0, 5)], "at least one pixel"),
        ([header(2**31, 5)], "at least one pixel"),
        ([encoded(pixels(1)[0], format="PNG")[:-40]], "(?i)png"),
        ([encoded(pixels(1)[0], format="JPEG")[:-200]], "(?i)jpeg"),
        ([encoded(GREY, format="PNG")], "images of 3 bands, .* colour type 0"),
        ([encoded(GREY, format="JPEG")], "images of 3 bands, received 1"),
        (
            [encoded(GREY.astype(np.uint16), format="PNG")],
            "at most 8 bits, received 16",
        ),
        ([encoded(pixels(1)[0], format="BMP")], "PNG or JPEG files, received"),
        ([b""], "PNG or JPEG files, received 0 bytes"),
        ([b"\x89PNG\r\n\x1a\n"], "PNG or JPEG files, received 8 bytes"),
        ([b"\xff\xd8\xff"], "(?i)jpeg"),
        ([], "at least one file"),
        ([[b"x"]], "received 2 axes"),
        (
            [encoded(pixels(1)[0], format="PNG"), encoded(GREY[:4, :4], format="PNG")],
            "images of 3 bands",
        ),
        (
            [encoded(x, format="PNG") for x in (pixels(1)[0], pixels(1)[0, :9])],
            "images of one size, received sizes from 9 x 26 to 19 x 26",
        ),
    ],
)
def test_files_that_are_none_are_refused(made, files, words):
    served, _ = made
    given = {"image_bytes": files, "factors": np.ones((1, 19, 26, 2))}
    with pytest.raises(ModelError, match=words) as caught:
        served(given, "predict_image_bytes")
    assert "\n" not in str(caught.value)


NAMES = ("ndvi", "slope", "aspect", "aspect_sin", "aspect_cos", "dem")


def relief_model(edges="compute", method="horn"):
    """A model whose probability is one of its factors, scaled, to see them all."""
    image = keras.Input((None, None, 1), name="image")
    given = keras.Input((None, None, len(NAMES)), name="factors")
    wave = keras.layers.Conv2D(1, 1, kernel_initializer="zeros", name="none")(image)
    # Sizes of the image alone: values of the factors as they are.
    both = keras.layers.Concatenate()([wave, given])
    seen = keras.layers.Identity(name="factors_seen")(both)
    first = keras.layers.Conv2D(1, 1, activation="sigmoid", name="probabilities")(wave)
    model = keras.Model([image, given], {"probabilities": first, "seen": seen})
    metadata = toy_metadata(
        inputs=[Band(name="grey", range=(0, 1))],
        factors=[Factor(name=n) for n in NAMES],
        classes=["landslide"],
        landslide_class="sigmoid",
        terrain=Terrain(edges=edges, method=method),
    )
    return model, metadata


def rough(height=40, width=50):
    """Hills, a level lake, holes and numbers for no data."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    z = 1500 + 80 * np.sin(x / 5) * np.cos(y / 7) + random.normal(0, 2, (height, width))
    z[10:18, 20:30] = 1503.25
    z = z.astype(np.float32)
    z[3, 4], z[20, 0], z[25:27, 30:33] = np.nan, np.inf, -9999
    return z


@pytest.fixture(
    scope="module", params=[("compute", "horn"), ("nodata", "zevenbergen_thorne")]
)
def relief(request, tmp_path_factory):
    edges, method = request.param
    model, metadata = relief_model(edges, method)
    path = serving.export(
        model,
        tmp_path_factory.mktemp("relief"),
        metadata=metadata,
        signatures=["predict_dem"],
        warm_up=None,
    )
    return serving.load(path), edges, method


def ask(served, z, cell, latitude=np.nan):
    batch = z if z.ndim == 3 else z[None]
    found = served(
        {
            "image": np.ones((*batch.shape, 1)),
            "factors": np.full((*batch.shape, 1), 0.25),
            "elevation": batch[..., None],
            "cell_size": np.broadcast_to(cell, (len(batch), 2)),
            "latitude": np.broadcast_to(latitude, len(batch)),
        },
        "predict_dem",
    )
    return dict(
        zip(NAMES, np.moveaxis(found.pop("seen"), -1, 0)[1:], strict=True)
    ), found


def close(found, wanted):
    """Angles of slopes to 1e-4 degrees, directions to 1e-3 where there is a slope."""
    slope = wanted["slope"]
    # The toy network takes factors without a value as 0.
    np.testing.assert_allclose(found["slope"][0], np.nan_to_num(slope), atol=1e-4)
    steep = slope > 0.01
    turn = (found["aspect"][0] - wanted["aspect"] + 180) % 360 - 180
    assert np.abs(turn[steep]).max() < 1e-3
    level = wanted["aspect"] == -1
    np.testing.assert_array_equal(found["aspect"][0][level], -1)


def test_slope_and_aspect_are_those_of_terrain(relief):
    served, edges, method = relief
    z = rough()
    found, answer = ask(served, z, (12.5, 10.0))
    options = {"edges": edges, "method": method, "nodata": -9999.0}
    wanted = {
        "slope": terrain.slope(z, (12.5, 10.0), **options),
        "aspect": terrain.aspect(z, (12.5, 10.0), **options),
    }
    assert (wanted["aspect"] == -1).sum() > 20
    close(found, wanted)
    np.testing.assert_array_equal(found["ndvi"], 0.25)
    known = np.isfinite(z) & (z != -9999)
    np.testing.assert_array_equal(found["dem"][0], np.where(known, z, 0))
    angle, level = np.radians(wanted["aspect"]), wanted["aspect"] == -1
    for name, wave in (("aspect_sin", np.sin(angle)), ("aspect_cos", np.cos(angle))):
        wave = np.nan_to_num(np.where(level, 0, wave))
        np.testing.assert_allclose(found[name][0], wave, atol=1e-5)
    whole = np.ones_like(known)
    for row, column in np.argwhere(~known):
        whole[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = False
    np.testing.assert_array_equal(answer["valid"][0, ..., 0], whole)


def test_cells_of_degrees_shrink_towards_the_pole(relief):
    served, edges, method = relief
    z = rough(61, 40)
    step, north = 1 / 1200, 71.3  # degrees
    grid = terrain.Grid("EPSG:4326", Affine(step, 0, 9, 0, -step, north), *z.shape)
    options = {"edges": edges, "method": method, "nodata": -9999.0}
    east, south = terrain.cell_size(grid)
    wanted = {
        name: getattr(terrain, name)(z, (east, south), **options)
        for name in ("slope", "aspect")
    }
    middle = len(z) // 2  # of an odd number of rows: the middle is a row's own
    found, _ = ask(
        served, z, (east[middle], south[middle]), north - (middle + 0.5) * step
    )
    close(found, wanted)
    metric, _ = ask(served, z, (east[middle], south[middle]))
    assert np.abs(metric["slope"][0] - found["slope"][0]).max() > 1e-2


def test_a_batch_is_its_members(relief):
    served, _, _ = relief
    tiles = np.stack([rough(), rough()[::-1]])
    cells = np.array([(10, 10), (30, 25)])
    both, _ = ask(served, tiles, cells, np.array([np.nan, 40.0]))
    for index, latitude in enumerate((np.nan, 40.0)):
        alone, _ = ask(served, tiles[index], cells[index], latitude)
        for name, values in alone.items():
            np.testing.assert_array_equal(both[name][index], values[0])


@pytest.mark.parametrize(
    ("z", "cell", "latitude", "words"),
    [
        (rough(), (0, 10), np.nan, "`cell_size` must be above 0"),
        (rough(), (np.nan, 10), np.nan, "`cell_size` must be above 0"),
        (rough(), (10, 10), 90, "between the poles"),
        (np.ones((1, 9)), (10, 10), np.nan, "2 x 2 cells"),
    ],
)
def test_elevations_without_a_place_are_refused(relief, z, cell, latitude, words):
    served, edges, _ = relief
    if "2 x 2" in words and edges == "nodata":
        pytest.skip("every cell is at an edge there, and none is computed")
    with pytest.raises(ModelError, match=words):
        ask(served, z, cell, latitude)


def test_only_wanted_signatures_are_written(tmp_path):
    path = serving.export(
        toy_model(),
        tmp_path / "a",
        metadata=toy_metadata(),
        signatures=["predict_uint8"],
        warm_up=None,
    )
    text = (path / "assets.extra" / "README.md").read_text()
    assert "predict_uint8" in text
    assert "predict_dem" not in text
    with pytest.raises(ModelError, match="no signature `predict_dem`"):
        serving.load(path)({}, "predict_dem")


def test_a_signature_that_the_model_cannot_have_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"cannot have .*`by_name`"):
        serving.export(
            toy_model(), tmp_path / "a", metadata=toy_metadata(), signatures=["by_name"]
        )
    assert list(tmp_path.iterdir()) == []


def test_many_bands_are_no_png(tmp_path):
    image = keras.Input((None, None, 5), name="image")
    x = keras.layers.Conv2D(3, 1, activation="softmax")(image)
    metadata = toy_metadata(factors=[], inputs=[Band(name=n) for n in "abcde"])
    with pytest.raises(ModelError, match=r"cannot have .*predict_image_bytes"):
        serving.export(
            keras.Model(image, x),
            tmp_path,
            metadata=metadata,
            signatures=["predict_image_bytes"],
        )

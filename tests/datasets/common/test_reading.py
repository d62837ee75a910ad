"""Reading pictures and arrays as they are stored."""

import numpy as np
import pytest
import rasterio
from etils import epath
from PIL import Image

from landslide_tf.datasets.common.reading import (
    binary,
    finite,
    open_array,
    read_mask,
    read_raster,
    read_rgb,
    read_table,
)
from landslide_tf.errors import DataError

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 255, (40, 30, 3), np.uint8)


def palette_mask(path, mask):
    picture = Image.fromarray(np.asarray(mask, np.uint8), "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(path)


def test_palette_gives_indices_and_not_colours(tmp_path):
    mask = np.eye(8, dtype=np.uint8)
    palette_mask(tmp_path / "m.png", mask)
    assert np.array(Image.open(tmp_path / "m.png").convert("RGB")).max() == 128
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (8, 8)), mask)


def test_tagged_background_is_not_masked(tmp_path):
    mask = np.eye(8, dtype=np.uint8)
    with rasterio.open(
        tmp_path / "m.tif", "w", driver="GTiff", height=8, width=8, count=1,
        dtype="uint8", nodata=0, crs="EPSG:32654",
        transform=rasterio.Affine(2, 0, 100, 0, -2, 200),
    ) as file:  # fmt: skip
        file.write(mask, 1)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", (8, 8)), mask)
    raster = read_raster(tmp_path / "m.tif")
    assert raster.transform.tolist() == [2, 0, 100, 0, -2, 200]
    assert "32654" in raster.crs


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_pictures_are_read_exactly(tmp_path, suffix):
    Image.fromarray(PICTURE).save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_rgb(tmp_path / f"a.{suffix}"), PICTURE)
    raster = read_raster(tmp_path / f"a.{suffix}")
    assert np.isnan(raster.transform).all()
    assert raster.crs == ""


def test_alpha_is_left_out(tmp_path):
    alpha = np.dstack([PICTURE, np.full((40, 30), 255, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), PICTURE)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "bmp"])
@pytest.mark.parametrize("left", [0.0, 0.5])
def test_truncated_pictures_are_named(tmp_path, suffix, left, caplog):
    path = tmp_path / f"broken.{suffix}"
    Image.fromarray(PICTURE).save(path)
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"broken\.{suffix}.*cannot be read") as caught:
        read_rgb(path)
    assert "\n" not in str(caught.value)
    assert not [r for r in caplog.records if r.name.startswith("rasterio")]


@pytest.mark.parametrize(
    "picture", [PICTURE[..., 0], PICTURE.astype(np.uint16)[..., 0]]
)
def test_pictures_of_other_kinds_are_refused(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png.*8 bits, received 1 band of uint"):
        read_rgb(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(30, 40), (41, 30)])
def test_masks_of_another_size_are_refused(tmp_path, size):
    Image.fromarray(np.zeros((40, 30), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png.*received \(40, 30\)"):
        read_mask(tmp_path / "m.png", size)


def test_coloured_masks_are_refused(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"received .* 3 bands"):
        read_mask(tmp_path / "m.png", (40, 30))


@pytest.mark.parametrize(
    ("values", "fault"),
    [([0, 2], "received 2"), ([0, 1, 255], "received 255"), ([0, 38], "received 38"),
     ([0.0, 0.5], "received 0.5"), ([0, np.nan], "received nan"), ([-1, 1], "-1")],
)  # fmt: skip
def test_other_labels_are_refused(values, fault):
    with pytest.raises(DataError, match=f"`m`.*{fault}"):
        binary(np.array(values), "m")


@pytest.mark.parametrize(
    "values", [[0, 0], [0, 1], [0, 255], [255, 255], [False, True]]
)
def test_binary_labels(values):
    np.testing.assert_array_equal(binary(np.array(values), "m"), np.array(values) != 0)


def test_arrays_are_opened_and_not_read(tmp_path):
    np.save(tmp_path / "a.npy", PICTURE)
    array = open_array(tmp_path / "a.npy")
    assert isinstance(array, np.memmap)
    np.testing.assert_array_equal(array, PICTURE)


@pytest.mark.parametrize("fault", ["truncated", "objects", "text"])
def test_broken_arrays_are_named(tmp_path, fault):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}]) if fault == "objects" else PICTURE)
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:500])
    elif fault == "text":
        path.write_text("no array")
    with pytest.raises(DataError, match=r"a\.npy` cannot be read as a NumPy array"):
        open_array(path)


def test_tables_are_read_by_column_name(tmp_path):
    path = epath.Path(tmp_path / "t.csv")
    path.write_bytes("\ufeffid,split,note\r\na,train\r\nb,test,é\r\n".encode())
    rows = read_table(path, ("split", "id"))
    assert [row["id"] for row in rows] == ["a", "b"]
    assert rows[0]["note"] == "" and rows[1]["note"] == "é"
    path.write_text("id\tn\nx,y\t2\n")
    assert read_table(path, ("id", "n"), "\t") == [{"id": "x,y", "n": "2"}]


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"id,part\na,train\n", "received id, part: it lacks the columns split"),
     (b"id,split\n", "received id, split: no row"), (b"", "received nothing"),
     (b"id,split\n\xff\xfe", "cannot be read as a table")],
)  # fmt: skip
def test_other_tables_are_refused(tmp_path, content, fault):
    path = epath.Path(tmp_path / "t.csv")
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"t\.csv.*{fault}") as caught:
        read_table(path, ("id", "split"))
    assert "\n" not in str(caught.value)


def test_pictures_of_another_size_are_refused_where_the_size_is_known(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    with pytest.raises(
        DataError, match=r"a\.png` must have 40 x 40 .*received 40 x 30"
    ):
        read_rgb(tmp_path / "a.png", 40)
    Image.fromarray(PICTURE[:30]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png", 30), PICTURE[:30])


def test_values_that_are_no_numbers_are_refused_and_counted():
    values = np.arange(6.0).reshape(2, 3)
    assert finite(values, "x").dtype == np.float32
    values[0, 1], values[1, 2] = np.nan, -np.inf
    with pytest.raises(DataError, match="`x` must hold finite values, received 2"):
        finite(values, "x")
    # What float32 cannot hold is no number either.
    with np.errstate(over="ignore"), pytest.raises(DataError, match="received 1"):
        finite(np.array([1e300]), "x")

"""Products of Sentinel-2 and containers of arrays are images like any other."""

import shutil

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from landslide_tf.errors import DataError
from landslide_tf.raster.bands import find_bands, known_bands
from landslide_tf.raster.composed import folder_of
from landslide_tf.raster.dem import DemFiles, open_dem
from landslide_tf.raster.grid import Window, rows_of
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.outputs import check_outputs, files_behind
from landslide_tf.raster.scene import make_scene
from landslide_tf.raster.scene_reader import SceneReader
from tests.mapping import map_files as files
from tests.raster.sentinel2_files import CELLS, made_bands, write_product, zipped

BANDS = ["blue", "green", "red", "nir", "B11", "B8A", "B1"]
STORED = ["B02", "B03", "B04", "B08", "B11", "B8A", "B01"]
WHOLE = Window(0, 0, 120, 120)


def read(path, bands=BANDS, window=WHOLE, **options):
    scene = make_scene("s", path, bands=bands, factors=[], **options)
    with SceneReader(scene) as reader:
        return reader.read(window)


def on_ten_metres(path, resampling):
    """A file of a product on cells of 10 m, by GDAL's warper."""
    with rasterio.open(path) as source:
        times = round(source.res[0] / 10)
        shape = (source.height * times, source.width * times)
        transform = source.transform @ rasterio.Affine.scale(1 / times)
        with WarpedVRT(
            source, crs=source.crs, transform=transform, height=shape[0],
            width=shape[1], resampling=resampling, src_nodata=0,
        ) as view:  # fmt: skip
            return view.read(1)


def image_file(product, band):
    (found,) = product.rglob(f"*{band}*.jp2")
    return found


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_a_product_is_read_by_reflectance_on_its_finest_grid(tmp_path, level):
    stored = made_bands(level)
    product = write_product(tmp_path, stored, level=level)
    metadata = product / f"MTD_MSIL{level}.xml"
    expected = {
        band: values.repeat(CELLS[band] // 10, 0).repeat(CELLS[band] // 10, 1)
        for band, values in stored.items()
    }
    for path in (product, metadata, zipped(product)):
        pixels = read(path)
        assert pixels.valid.all()
        for at, band in enumerate(STORED):
            values = (expected[band].astype(float) - 1000) / 10000
            coarse = CELLS[band] > 10
            # Cubic convolution changes single cells, and means hardly.
            found = pixels.image[..., at]
            assert np.allclose(found.mean(), values.mean(), atol=2e-4)
            assert coarse or np.allclose(found, values, atol=1e-6)


def test_archives_and_folders_of_any_name_are_products(tmp_path):
    product = write_product(tmp_path, made_bands())
    archive = zipped(product).rename(tmp_path / "download (1).zip")
    renamed = product.rename(tmp_path / "may")
    for path in (archive, renamed, str(renamed) + "/"):
        assert known_bands(path) == {"blue": 2, "green": 3, "red": 4, "nir": 8}


def test_coarser_bands_are_resampled_as_by_gdals_warper(tmp_path):
    product = write_product(tmp_path, made_bands())
    with open_raster(product, "image") as dataset:
        for band in ("B11", "B01"):
            number = dataset.descriptions.index(band) + 1
            found = dataset.read(number).astype(int)
            warped = on_ten_metres(image_file(product, band), Resampling.cubic)
            inside = slice(12, -12)  # edges have no cells beyond, which both fill in
            assert np.abs(found - warped)[inside, inside].max() <= 1


def test_windows_are_parts_of_the_whole(tmp_path):
    product = write_product(tmp_path, made_bands())
    with open_raster(product, "image") as dataset:
        whole = dataset.read()
        for window in rows_of(dataset.shape, 17):
            part = dataset.read(window=window.box)
            assert (part == whole[:, window.row : window.row + window.height]).all()


def test_bands_have_their_numbers_with_and_without_zeros(tmp_path):
    product = write_product(tmp_path, made_bands())
    short, long = (
        find_bands([product], ["a", "b"], {"a": one, "b": two})
        for one, two in (("B2", "B8A"), ("B02", "b8a"))
    )
    assert short == long
    with pytest.raises(DataError, match="`B10` is not found among its 12 bands"):
        find_bands([product], ["B10"])


@pytest.mark.parametrize(
    ("baseline", "offset", "added"),
    [("05.09", -1000, -0.1), ("04.00", -500, -0.05), ("03.01", None, 0.0)],
)
def test_offsets_are_those_of_the_processing_baseline(
    tmp_path, baseline, offset, added
):
    product = write_product(tmp_path, made_bands(), baseline=baseline, offset=offset)
    with open_raster(product, "image") as dataset:
        assert set(dataset.offsets[:12]) == {added}
        assert set(dataset.scales[:12]) == {0.0001}
        assert set(dataset.units[:12]) == {"reflectance"}


def test_a_new_product_without_offsets_is_refused(tmp_path):
    product = write_product(tmp_path, made_bands(), offset=None)
    with pytest.raises(DataError, match=r"baseline 05\.09 do, received nothing"):
        known_bands(product)


def test_clouds_and_their_shadows_have_no_data(tmp_path):
    stored = made_bands()
    classes = stored["SCL"]
    classes[:12, :] = np.arange(12)[:, None]
    pixels = read(write_product(tmp_path, stored), ["red", "B11"])
    rows = pixels.valid.all(axis=1)
    assert (pixels.valid.any(axis=1) == rows).all()
    hidden = {row // 2 for row in np.flatnonzero(~rows)}
    assert hidden == {0, 1, 3, 8, 9, 10}


def test_cells_without_data_are_not_mixed_into_others(tmp_path):
    stored = made_bands("1C")
    for band, cell in CELLS.items():
        if band in stored:
            stored[band][:, : 240 // cell] = 0  # west of the swath
    pixels = read(write_product(tmp_path, stored, level="1C"), ["red", "B11"])
    assert not pixels.valid[:, :24].any()
    assert pixels.valid[:, 24:].all()
    low = stored["B11"][:, 12:].min() / 10000 - 0.1
    assert pixels.image[..., 1][pixels.valid].min() > low - 0.02


def test_coarser_scenes_are_means_of_products(tmp_path):
    stored = made_bands()
    pixels = read(
        write_product(tmp_path, stored), ["red"], Window(0, 0, 60, 60), gsd=20
    )
    means = stored["B04"].reshape(60, 2, 60, 2).mean(axis=(1, 3)) / 10000 - 0.1
    assert np.allclose(pixels.image[..., 0], means, atol=1e-4)


def test_what_is_missing_of_a_product_is_one_line(tmp_path):
    product = write_product(tmp_path, made_bands())
    whole = image_file(product, "B04_10m").read_bytes()
    image_file(product, "B04_10m").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"S2B_MSIL2A.*truncated or corrupt"):
        read(product, ["red"])
    image_file(product, "B04_10m").unlink()
    with pytest.raises(DataError, match="`red` is not found among its 11 bands"):
        read(product, ["red"])
    assert read(product, ["blue"]).valid.all()
    shutil.rmtree(product / "GRANULE")
    with pytest.raises(DataError, match="S2B_MSIL2A"):
        read(product, ["red"])


def test_the_bands_of_a_part_of_a_product_keep_their_cells(tmp_path):
    stored = made_bands()
    product = write_product(tmp_path, stored)
    for path in product.rglob("R10m/*.jp2"):
        path.unlink()
    pixels = read(product, ["B11"], Window(0, 0, 60, 60))
    values = stored["B11"] / 10000 - 0.1
    assert np.allclose(pixels.image[..., 0], values, atol=1e-6)


def test_a_truncated_jpeg_2000_is_told(tmp_path):
    """GDAL's own threads lose the error, and would give other numbers."""
    image = image_file(write_product(tmp_path, made_bands()), "B04_10m")
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated or corrupt"):
        read(image, ["grey"])


def test_outputs_stay_out_of_products(tmp_path):
    product = write_product(tmp_path, made_bands())
    metadata, archive = product / "MTD_MSIL2A.xml", zipped(product)
    image = image_file(product, "B04_10m")
    for name in (product, metadata):
        assert folder_of(name) == product
        assert image in files_behind(name)
        for output in (product / "map.tif", product / "GRANULE/map.tif", image):
            with pytest.raises(DataError, match=r"is read|which is read"):
                check_outputs([output], [name])
    with pytest.raises(DataError, match="is read and cannot be written over"):
        check_outputs([archive], [archive])
    check_outputs([tmp_path / "map.tif"], [product, metadata, archive])


def arrays(folder, driver, count=2, **options):
    """Writes a container of several arrays of one grid; returns it and the values."""
    values = np.arange(1, 1 + count * 1200).reshape(count, 30, 40).astype(np.uint16)
    if driver == "netCDF":
        path = folder / "scene.nc"
        plain = files.write(folder / "plain.tif", values, nodata=7)
        rasterio.shutil.copy(plain, path, driver=driver)
        return path, values
    path = folder / "scene.zarr"
    for number, band in enumerate(values, 1):
        plain = files.write(folder / f"{number}.tif", band[None], nodata=7)
        more = {"APPEND_SUBDATASET": "YES"} if number > 1 else {}
        rasterio.shutil.copy(
            plain, path, driver=driver, ARRAY_NAME=f"B0{number}", **more, **options
        )
    return path, values


@pytest.mark.parametrize("driver", ["netCDF", "Zarr"])
def test_arrays_of_a_container_are_bands_of_one_image(tmp_path, driver):
    path, values = arrays(tmp_path, driver)
    names = ["Band1", "Band2"] if driver == "netCDF" else ["B01", "B02"]
    pixels = read(path, names[::-1], Window(0, 0, 30, 40))
    assert (np.moveaxis(pixels.image, -1, 0) == values[::-1]).sum() == 2 * 1200 - 2
    assert np.argwhere(~pixels.valid).tolist() == [[0, 6]]  # 7 is tagged as no data
    one = find_bands([path], names[:1])[0].number
    assert one == 1


@pytest.mark.parametrize("codec", ["NONE", "ZLIB", "BLOSC", "ZSTD"])
def test_one_array_is_an_image_and_a_dem(tmp_path, codec):
    path, values = arrays(tmp_path, "Zarr", count=1, COMPRESS=codec)
    for dem in (DemFiles(path), DemFiles(path, nodata=9)):
        opened = open_dem(dem)
        with opened.dataset as dataset:
            assert dataset.read(1)[1, 1] == values[0, 1, 1]


def test_arrays_of_several_grids_are_named(tmp_path):
    path, _ = arrays(tmp_path, "Zarr")
    other = files.write(tmp_path / "other.tif", np.ones((1, 10, 10), np.uint16))
    rasterio.shutil.copy(
        other, path, driver="Zarr", ARRAY_NAME="DEM", APPEND_SUBDATASET="YES"
    )
    with pytest.raises(DataError, match=r"one of `ZARR:.*B01`, `.*B02`, `.*DEM`"):
        known_bands(path)
    assert find_bands([f"ZARR:{path}:/DEM"], ["grey"])[0].number == 1


def test_stores_that_gdal_cannot_read_are_one_line(tmp_path):
    path, _ = arrays(tmp_path, "Zarr", count=1)
    (array,) = path.glob("B01/.zarray")
    array.write_text(array.read_text().replace('"<u2"', '"<u9"'))
    (path / ".zmetadata").unlink()
    with pytest.raises(DataError, match="must be a raster that can be read"):
        known_bands(path)
    empty = tmp_path / "empty.zarr"
    empty.mkdir()
    with pytest.raises(DataError, match="must be a raster that can be read"):
        known_bands(empty)
    with pytest.raises(DataError, match="lies in"):
        check_outputs([path / "map.tif"], [path])


def test_scenes_of_one_date_are_read_as_a_vrt(tmp_path):
    """Two tiles side by side, joined as `gdalbuildvrt` does."""
    values = np.arange(1, 1 + 800).reshape(1, 20, 40).astype(np.uint16)
    for number in (0, 1):
        files.write(
            tmp_path / f"{number}.tif", values[..., 20 * number : 20 * number + 20],
            transform=files.NORTH_UP @ rasterio.Affine.translation(20 * number, 0),
            names=["red"],
        )  # fmt: skip
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{k}.tif</SourceFilename>'
        f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="20" '
        f'ySize="20"/><DstRect xOff="{20 * k}" yOff="0" xSize="20" '
        'ySize="20"/></SimpleSource>'
        for k in (0, 1)
    )
    geo = ", ".join(map(str, files.NORTH_UP.to_gdal()))
    path = tmp_path / "date.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="40" rasterYSize="20"><SRS>{files.CRS}</SRS>'
        f"<GeoTransform>{geo}</GeoTransform>"
        '<VRTRasterBand dataType="UInt16" band="1"><Description>red</Description>'
        f"{sources}</VRTRasterBand></VRTDataset>"
    )
    pixels = read(path, ["red"], Window(0, 0, 20, 40))
    assert (pixels.image[..., 0] == values[0]).all()

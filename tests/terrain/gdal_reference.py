"""The GDAL library inside the rasterio wheel, called as `gdaldem` calls it."""

import ctypes
import functools
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import MemoryFile


@functools.cache
def library():
    """The loaded library, or None where rasterio does not bring its own."""
    package = Path(rasterio.__file__).parent
    found = sorted((package.parent / "rasterio.libs").glob("libgdal*"))
    found += sorted((package / ".dylibs").glob("libgdal*"))
    try:
        gdal = ctypes.CDLL(str(found[0]))
        gdal.GDALDEMProcessing  # noqa: B018 - the lookup raises when absent
    except (IndexError, OSError, AttributeError):
        return None
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    gdal.GDALOpen.restype, gdal.GDALOpen.argtypes = pointer, [text, number]
    gdal.GDALClose.argtypes = [pointer]
    gdal.GDALDEMProcessingOptionsNew.restype = pointer
    gdal.GDALDEMProcessingOptionsNew.argtypes = [ctypes.POINTER(text), pointer]
    gdal.GDALDEMProcessingOptionsFree.argtypes = [pointer]
    gdal.GDALDEMProcessing.restype = pointer
    gdal.GDALDEMProcessing.argtypes = [text, pointer, text, text, pointer, pointer]
    gdal.GDALAllRegister()
    return gdal


def process(source, target, mode, *options):
    """Runs `gdaldem MODE source target OPTIONS`."""
    gdal = library()
    words = [str(o).encode() for o in options]
    argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    parsed = gdal.GDALDEMProcessingOptionsNew(argv, None)
    dataset = gdal.GDALOpen(str(source).encode(), 0)
    assert parsed and dataset
    result = gdal.GDALDEMProcessing(
        str(target).encode(), dataset, mode.encode(), None, parsed, None
    )
    assert result
    for handle in (result, dataset):
        gdal.GDALClose(handle)
    gdal.GDALDEMProcessingOptionsFree(parsed)


def gdaldem(dem, cell, mode, *options, nodata=None):
    """Returns what gdaldem makes of an array, in its own dtype and nodata."""
    east, north = cell
    profile = {
        "driver": "GTiff",
        "height": dem.shape[0],
        "width": dem.shape[1],
        "count": 1,
        "dtype": dem.dtype,
        "crs": "EPSG:32633",
        "transform": rasterio.Affine(east, 0, 5e5, 0, -north, 5e6),
        "nodata": nodata,
    }
    with MemoryFile() as source, MemoryFile() as target:
        with source.open(**profile) as dataset:
            dataset.write(np.ascontiguousarray(dem), 1)
        process(source.name, target.name, mode, *options)
        with rasterio.open(target.name) as dataset:
            return dataset.read(1)

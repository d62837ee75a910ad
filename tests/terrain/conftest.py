"""The GDAL reference as a fixture."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def gdaldem():
    """`gdaldem(dem, cell, mode, *options, nodata=None)` of the GDAL in rasterio."""
    path = Path(__file__).with_name("gdal_reference.py")
    spec = importlib.util.spec_from_file_location("gdal_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.library() is None:
        pytest.skip("rasterio brings no GDAL library that exports GDALDEMProcessing")
    return module.gdaldem

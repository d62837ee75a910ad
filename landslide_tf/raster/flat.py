"""Flat files of pixels: what rasters are while they are made.

GDAL keeps in memory where the blocks of a compressed GeoTIFF lie, and writes it when it
closes the file: a process that is killed leaves a file that lacks them. In a flat file
the place of a pixel follows from its band, row and column alone, so that whatever was
written is found again. GDAL reads it through a VRT beside it.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import numpy as np
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from landslide_tf.raster.layer import Layer, created
from landslide_tf.terrain import Grid

_SOURCES = ("SimpleSource", "ComplexSource")


class FlatRaster:
    """Pixels of a raster in a file of their own, band by band and row by row.

    The disk must have place for all of them when the file is made, so that a full one
    is told at the beginning.

    Args:
        path: The file; made where it is not there, else kept as it is.
        shape: Rows and columns.
        layer: What the raster is to say of itself.

    Raises:
        OSError: If the file cannot be made, or the disk is full.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from landslide_tf.raster.flat import FlatRaster
    >>> from landslide_tf.raster.layer import Layer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     layer = Layer("int16", -1, ["step"])
    ...     with FlatRaster(Path(folder, "steps.raw"), (4, 3), layer) as flat:
    ...         flat.write(2, np.array([[[1, 2, 3]]], np.int16))
    ...         flat.read(1, 2).tolist()
    [[[0, 0, 0], [1, 2, 3]]]
    """

    def __init__(self, path: Path, shape: tuple[int, int], layer: Layer) -> None:
        self.path, self.layer = path, layer
        self._shape, self._dtype = shape, np.dtype(layer.dtype)
        size = len(layer.names) * shape[0] * self._line
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._file: IO[bytes] = os.fdopen(descriptor, "r+b")
        try:
            os.posix_fallocate(descriptor, 0, size)
        except BaseException:
            self._file.close()
            raise

    @property
    def _line(self) -> int:
        return self._shape[1] * self._dtype.itemsize

    def _at(self, band: int, row: int) -> int:
        return (band * self._shape[0] + row) * self._line

    def write(self, row: int, values: NDArray[Any]) -> None:
        """Writes whole rows.

        Args:
            row: The first of them.
            values: (bands, h, W), of the layer's type.

        Raises:
            OSError: If the disk does not take them.
        """
        for band, rows in enumerate(np.ascontiguousarray(values, self._dtype)):
            self._file.seek(self._at(band, row))
            self._file.write(rows.data)
        self._file.flush()

    def read(self, row: int, height: int) -> NDArray[Any]:
        """Reads whole rows, (bands, h, W)."""
        values = np.empty((len(self.layer.names), height, self._shape[1]), self._dtype)
        for band, rows in enumerate(values):
            self._file.seek(self._at(band, row))
            found = self._file.read(rows.nbytes)
            rows[:] = np.frombuffer(found, self._dtype).reshape(rows.shape)
        return values

    def view(
        self, path: Path, grid: Grid, *, upside_down: bool = False, band: int = 0
    ) -> Path:
        """Writes the VRT through which GDAL reads the file.

        Args:
            path: The VRT, in the same folder.
            grid: The grid that it says.
            upside_down: Whether the last row of the file is the first of the grid.
            band: The only band of it, from 1; 0 = all.

        Returns:
            The VRT.
        """
        first, step = (self._shape[0] - 1, -1) if upside_down else (0, 1)
        root = ElementTree.fromstring(_described(grid, self.layer))
        for number, element in enumerate(root.findall("VRTRasterBand")):
            if band and number + 1 != band:
                root.remove(element)
                continue
            element.set("subClass", "VRTRawRasterBand")
            element.set("band", "1" if band else str(number + 1))
            for source in itertools.chain(*map(element.findall, _SOURCES)):
                element.remove(source)
            source = ElementTree.SubElement(
                element, "SourceFilename", relativeToVRT="1"
            )
            source.text = self.path.name
            for name, value in (
                ("ImageOffset", self._at(number, first)),
                ("PixelOffset", self._dtype.itemsize),
                ("LineOffset", step * self._line),
            ):
                ElementTree.SubElement(element, name).text = str(value)
        path.write_text(ElementTree.tostring(root, encoding="unicode"), "utf-8")
        return path

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> FlatRaster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _described(grid: Grid, layer: Layer) -> bytes:
    """Returns the VRT of a GeoTIFF that says what a layer says, and holds nothing."""
    with MemoryFile(ext=".tif") as memory, MemoryFile(ext=".vrt") as view:
        created(memory.name, grid, layer, sparse=True).close()
        rasterio.shutil.copy(memory.name, view.name, driver="VRT")
        return view.read()

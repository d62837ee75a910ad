"""Images made of several rasters: products of Sentinel-2, containers of arrays.

What GDAL opens as a list of rasters becomes one VRT of their bands, which reads of them
what is asked for. Apart from `opening`, its only caller, for what it knows of formats.
"""

from __future__ import annotations

import contextlib
import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import rasterio
from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from landslide_tf.errors import LISTED, DataError
from landslide_tf.raster.names import FilePath, full_text, is_remote, short_name

_METADATA = re.compile(r"(MTD_MSIL(1C|2A)|S2\w_\w+_MTD_SAFL(1C|2A)\w*)\.xml")
_LEVEL = re.compile(r"S2\w_MSIL(1C|2A)_\w+\.SAFE")
_ZARR = (".zgroup", ".zarray", ".zmetadata", "zarr.json")

# Bands of Sentinel-2 by GDAL's names. Only what is meant by a colour is called one.
_SENTINEL2 = {"B1": "B01", "B2": "B02_blue", "B3": "B03_green", "B4": "B04_red"}
_SENTINEL2 |= {"B5": "B05", "B6": "B06", "B7": "B07", "B8": "B08_nir", "B8A": "B8A"}
_SENTINEL2 |= {"B9": "B09", "B10": "B10", "B11": "B11", "B12": "B12"}
_DIVISORS = ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE",
             "QUANTIFICATION_VALUE")  # fmt: skip
_ADDED = ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
_WITH_OFFSETS = 4.0  # processing baselines from here on say what is added
# Scene classes that show no ground: no data, defective, shadows of clouds, clouds of
# middle and high probability, cirrus.
_HIDDEN = (0, 1, 3, 8, 9, 10)
_CLASSES = 12
# In stored values 0 is no data and this number a saturated cell: neither is measured.
_SATURATED = _OPAQUE = 65535


def container_name(path: FilePath) -> str:
    """Returns the name under which GDAL opens a product or a container of arrays.

    Args:
        path: The folder or archive of a product of Sentinel-2, the address of a Zarr
            store, or any other name.

    Returns:
        The product's metadata file, or GDAL's name of the store; other names as they
        are.

    >>> from landslide_tf.raster.composed import container_name
    >>> container_name("scene.tif"), container_name("https://host/scene.zarr")
    ('scene.tif', 'ZARR:"/vsicurl/https://host/scene.zarr"')
    """
    text = full_text(path)
    if is_remote(text):
        bare = text.rstrip("/")
        if level := _LEVEL.fullmatch(short_name(bare)):
            return f"{bare}/MTD_MSIL{level[1]}.xml"
        if bare.startswith(("https://", "http://")) and bare.endswith(".zarr"):
            return f'ZARR:"/vsicurl/{bare}"'
        return text
    if os.path.isdir(text):  # false, and no error, for names too long for a path
        found = [name for name in os.listdir(text) if _METADATA.fullmatch(name)]
        return os.path.join(text, found[0]) if len(found) == 1 else text
    if text.lower().endswith(".zip") and os.path.isfile(text):
        inside = _metadata_in(text)
        return text if inside is None else f"/vsizip/{text}/{inside}"
    return text


def folder_of(path: FilePath) -> Path | None:
    """Returns the folder whose files make one image, None where a name has none.

    >>> from landslide_tf.raster.composed import folder_of
    >>> folder_of("scene.tif") is None
    True
    """
    text = os.fspath(path)
    if os.path.isfile(text) and _METADATA.fullmatch(os.path.basename(text)):
        return Path(text).parent
    if not os.path.isdir(text):
        return None
    is_zarr = any(os.path.exists(os.path.join(text, name)) for name in _ZARR)
    return Path(text) if is_zarr or container_name(text) != text else None


def composed(container: DatasetReader, name: str) -> str:
    """Returns the image that the rasters of a container make, as a VRT.

    Args:
        container: What GDAL opened: no bands, but a list of rasters.
        name: What it is called in messages.

    Returns:
        The text of the VRT, or the name of the only raster.

    Raises:
        DataError: If there are no rasters, or they do not make one image.

    >>> import tempfile, warnings
    >>> import rasterio, rasterio.shutil
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.composed import composed
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 2, 2)
    >>> write_plain("/vsimem/two.tif", grid, Layer("uint8", 0, ["red", "nir"]), [])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = folder + "/two.nc"
    ...     rasterio.shutil.copy("/vsimem/two.tif", path, driver="netCDF")
    ...     with warnings.catch_warnings(action="ignore"):  # it has no grid itself
    ...         with rasterio.open(path) as container:
    ...             view = composed(container, "image")
    ...     with rasterio.open(view) as dataset:
    ...         dataset.descriptions
    ('Band1', 'Band2')
    """
    if container.driver == "SENTINEL2":
        return _sentinel2(container, name)
    rasters = container.subdatasets
    if not rasters:
        raise DataError(f"{name} must hold a raster, received a file without one.")
    if len(rasters) == 1:
        return rasters[0]
    every = [_Raster.of(raster) for raster in rasters]
    # Coordinates are arrays, too, of one dimension or none.
    opened = [raster for raster in every if min(raster.place[2]) > 1] or every
    first = opened[0]
    if any(other.place != first.place for other in opened):
        listed = ", ".join(f"`{raster.name}`" for raster in opened[:LISTED])
        raise DataError(
            f"{name} must hold arrays of one grid, received {len(opened)} of several: "
            f"name what is meant, one of {listed}."
        )
    bands = [
        _band(
            raster.dtypes[k],
            _source(raster, k + 1, first),
            name=short_name(raster.name) + f"_{k + 1}" * (len(raster.dtypes) > 1),
            nodata=raster.nodata[k],
            scale=raster.scales[k],
            offset=raster.offsets[k],
            unit=raster.units[k] or "",
        )
        for raster in opened
        for k in range(len(raster.dtypes))
    ]
    return _view(first, bands)


@dataclass(frozen=True)
class _Raster:
    """What a raster of a container says of itself, by band."""

    name: str
    place: tuple[str, tuple[float, ...], tuple[int, int]]
    """System, transform in GDAL's order, and shape."""
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    units: tuple[str | None, ...]
    tags: tuple[dict[str, str], ...]
    files: tuple[str, ...]
    blocks: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, name: str) -> _Raster:
        with rasterio.open(name) as dataset:
            crs = "" if dataset.crs is None else dataset.crs.to_wkt()
            return cls(
                name,
                (crs, dataset.transform.to_gdal(), dataset.shape),
                dataset.dtypes,
                dataset.nodatavals,
                dataset.scales,
                dataset.offsets,
                dataset.units,
                tuple(dataset.tags(k) for k in dataset.indexes),
                tuple(dataset.files),
                tuple(dataset.block_shapes),
            )

    @property
    def cell(self) -> float:
        return self.place[1][1]

    def has(self, band: str) -> bool:
        """Whether the image of a band of Sentinel-2 is there; GDAL reads 0 else."""
        end = re.compile(rf"_{band}(_\d+m)?\.jp2$")
        return any(end.search(path) for path in self.files)


def _sentinel2(product: DatasetReader, name: str) -> str:
    """Returns all bands of a product on its finest grid.

    Coarser bands are resampled by cubic convolution, as files of other cells are
    elsewhere. The scene classification of level 2A is where the image is transparent.
    """
    rasters, facts = _rasters_of(product, name), product.tags()
    divisors = [float(facts[key]) for key in _DIVISORS if key in facts]
    if not divisors:
        raise DataError(
            f"{name} must say what its values are divided by, received metadata "
            "without QUANTIFICATION_VALUE: download the product again."
        )
    scale = 1 / divisors[0]
    found: dict[str, tuple[_Raster, int]] = {}
    for raster in rasters:
        for number, tags in enumerate(raster.tags, 1):
            band = tags.get("BANDNAME", "")
            image = _SENTINEL2.get(band, band)[:3]
            if band in (*_SENTINEL2, "SCL") and raster.has(image):
                found.setdefault(band, (raster, number))
    classes = found.pop("SCL", None)
    if not found:
        raise DataError(f"{name} must hold images of bands, received none.")
    first = min((raster for raster, _ in found.values()), key=lambda r: r.cell)
    baseline = float(facts.get("PROCESSING_BASELINE", 0))
    made = [
        _band(
            "uint16",
            _source(*found[band], first, nodata=0),
            name=called,
            nodata=_SATURATED,
            scale=scale,
            offset=_added(*found[band], baseline, name) * scale,
            unit="reflectance",
        )
        for band, called in _SENTINEL2.items()
        if band in found
    ]
    if classes is not None:
        shown = ",".join(
            f"{k}:{0 if k in _HIDDEN else _OPAQUE}" for k in range(_CLASSES)
        )
        source = _source(*classes, first, table=shown)
        made.append(_band("uint16", source, colour="Alpha"))
    return _view(first, made)


def _added(raster: _Raster, number: int, baseline: float, name: str) -> float:
    """Returns what is added to the stored values of a band."""
    tags = raster.tags[number - 1]
    added = [float(tags[key]) for key in _ADDED if key in tags]
    if baseline >= _WITH_OFFSETS and not added:
        raise DataError(
            f"{name} must say what is added to its values, as products of baseline "
            f"{baseline:05.2f} do, received nothing for {tags['BANDNAME']}: download "
            "it again, or update rasterio."
        )
    return sum(added[:1])


def _rasters_of(product: DatasetReader, name: str) -> list[_Raster]:
    """Returns the rasters of a product by cell size, the finest first."""
    found = {}
    for raster in product.subdatasets:
        if match := re.search(r":(\d+)m:(EPSG_\d+)$", raster):
            found[int(match[1]), match[2]] = raster
    systems = sorted({system for _, system in found})
    if len(systems) != 1:
        listed = ", ".join(systems) or "no raster"
        raise DataError(
            f"{name} must lie in one coordinate system, received {listed}: download "
            "its tiles one by one."
        )
    rasters = []
    for key in sorted(found):
        # Of a product that was downloaded in part, others may be there.
        with contextlib.suppress(RasterioError):
            rasters.append(_Raster.of(found[key]))
    if not rasters:
        raise DataError(f"{name} must hold images of bands, received none.")
    corners = {(raster.place[1][0], raster.place[1][3]) for raster in rasters}
    if len(corners) != 1:
        raise DataError(f"{name} must have one corner for all bands: it is damaged.")
    return rasters


def _metadata_in(archive: str) -> str | None:
    """Returns the metadata file of the product in an archive, None without one."""
    try:
        with zipfile.ZipFile(archive) as file:
            names = file.namelist()
    except (OSError, zipfile.BadZipFile):
        return None
    found = [
        entry
        for entry in names
        if entry.count("/") <= 1 and _METADATA.fullmatch(entry.rpartition("/")[2])
    ]
    return found[0] if len(found) == 1 else None


def _view(first: _Raster, bands: Sequence[str]) -> str:
    crs, transform, (height, width) = first.place
    place = f"<GeoTransform>{', '.join(map(repr, transform))}</GeoTransform>"
    if crs:
        place = f"<SRS>{escape(crs)}</SRS>{place}"
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{place}'
        f"{''.join(bands)}</VRTDataset>"
    )


def _band(
    dtype: str,
    source: str,
    *,
    name: str = "",
    nodata: float | None = None,
    scale: float = 1.0,
    offset: float = 0.0,
    unit: str = "",
    colour: str = "",
) -> str:
    said = {
        "Description": escape(name),
        "UnitType": escape(unit),
        "NoDataValue": "" if nodata is None else repr(float(nodata)),
        "ColorInterp": colour,
        "Offset": repr(offset) if offset != 0 else "",
        "Scale": repr(scale) if scale != 1 else "",
    }
    lines = "".join(f"<{key}>{value}</{key}>" for key, value in said.items() if value)
    return f"<VRTRasterBand dataType={_quoted(dtype)}>{lines}{source}</VRTRasterBand>"


def _source(
    raster: _Raster,
    number: int,
    first: _Raster,
    *,
    nodata: float | None = None,
    table: str = "",
) -> str:
    """Returns a band of a raster on the grid of the first, resampled where need be.

    Args:
        raster: The raster.
        number: Its band, from 1.
        first: The raster with the grid.
        nodata: Stored value that is left out, so that the band has its own there.
        table: What each value becomes; such a band is not resampled.
    """
    (_, _, (height, width)), times = raster.place, raster.cell / first.cell
    dtype, (block_height, block_width) = raster.dtypes[number - 1], raster.blocks[0]
    name, kind, how, more = raster.name, "SimpleSource", "", ""
    properties = (
        f'<SourceProperties RasterXSize="{width}" RasterYSize="{height}" '
        f"DataType={_quoted(dtype)} "
        f'BlockXSize="{block_width}" BlockYSize="{block_height}"/>'
    )
    if table:
        kind, more = "ComplexSource", f"<LUT>{table}</LUT>"
    elif nodata is not None:
        kind, more = "ComplexSource", f"<NODATA>{nodata:g}</NODATA>"
    if nodata is not None and times != 1:
        # GDAL weights cells by a band's own tag: the source's, through a view of it.
        inner = _source(raster, number, raster)
        plain = replace(raster, place=("", raster.place[1], raster.place[2]))
        name, number = _view(plain, [_band(dtype, inner, nodata=nodata)]), 1
        how, properties = ' resampling="cubic"', ""
    size = f'xSize="{width}" ySize="{height}"'
    onto = f'xSize="{width * times:g}" ySize="{height * times:g}"'
    return (
        f'<{kind}{how}><SourceFilename relativeToVRT="0">{escape(name)}'
        f"</SourceFilename><SourceBand>{number}</SourceBand>{properties}"
        f'<SrcRect xOff="0" yOff="0" {size}/><DstRect xOff="0" yOff="0" {onto}/>'
        f"{more}</{kind}>"
    )


def _quoted(dtype: str) -> str:
    """Returns GDAL's name of a type of numbers, as an attribute."""
    return quoteattr(str(typename_fwd[dtype_rev[dtype]]))

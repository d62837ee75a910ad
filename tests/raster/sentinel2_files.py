"""Small products of Sentinel-2 in the layout of real ones, with JPEG 2000 files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine

SYSTEM = "EPSG:32633"
CORNER = (500_000, 4_600_020)
NAMES = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10",
         "B11", "B12")  # fmt: skip
CELLS = dict.fromkeys(("B02", "B03", "B04", "B08"), 10) | {
    "B05": 20, "B06": 20, "B07": 20, "B8A": 20, "B11": 20, "B12": 20, "SCL": 20,
    "B01": 60, "B09": 60, "B10": 60,
}  # fmt: skip


def write_product(
    folder: Path,
    bands: Mapping[str, NDArray[Any]],
    *,
    level: str = "2A",
    baseline: str = "05.09",
    offset: int | None = -1000,
    quantification: int = 10000,
) -> Path:
    """Writes a product of one tile.

    Args:
        folder: Where.
        bands: Stored values by band, uint16, or uint8 of `SCL`, (h, w) at the band's
            own resolution.
        level: `"1C"` or `"2A"`.
        baseline: Version of the processing.
        offset: What is added to stored values; None = the metadata do not say, as
            before baseline 04.00.
        quantification: What the sum is divided by.

    Returns:
        The folder of the product.
    """
    date, tile = "20230823T095559", "T33TWG"
    name = f"S2B_MSIL{level}_{date}_N{baseline.replace('.', '')}_R122_{tile}_{date}"
    product = folder / f"{name}.SAFE"
    granule = f"L{level}_{tile}_A033753_{date}"
    listed = []
    for band, values in bands.items():
        cell = CELLS[band]
        end = f"R{cell}m/{tile}_{date}_{band}_{cell}m" if level == "2A" else (
            f"{tile}_{date}_{band}"
        )  # fmt: skip
        listed.append(f"GRANULE/{granule}/IMG_DATA/{end}")
        _write_image(product / f"{listed[-1]}.jp2", values, cell)
    metadata = _metadata(level, baseline, name, listed, offset, quantification)
    (product / f"MTD_MSIL{level}.xml").write_text(metadata)
    place = product / "GRANULE" / granule / "MTD_TL.xml"
    place.write_text(_place(level, bands))
    return product


def zipped(product: Path) -> Path:
    """Packs a product as it is downloaded: its folder in an archive of its name."""
    archive = product.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(product.rglob("*")):
            file.write(path, path.relative_to(product.parent))
    return archive


def _write_image(path: Path, values: NDArray[Any], cell: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="JP2OpenJPEG",
        height=values.shape[0],
        width=values.shape[1],
        count=1,
        dtype=values.dtype,
        crs=SYSTEM,
        transform=Affine(cell, 0, CORNER[0], 0, -cell, CORNER[1]),
        QUALITY="100",
        REVERSIBLE="YES",
        BLOCKXSIZE=64,
        BLOCKYSIZE=64,
    ) as dataset:
        dataset.write(values, 1)


def _metadata(
    level: str,
    baseline: str,
    name: str,
    listed: list[str],
    offset: int | None,
    quantification: int,
) -> str:
    images = "".join(f"<IMAGE_FILE>{path}</IMAGE_FILE>" for path in listed)
    kind = "RADIO_ADD_OFFSET" if level == "1C" else "BOA_ADD_OFFSET"
    around = (
        "Radiometric_Offset_List" if level == "1C" else "BOA_ADD_OFFSET_VALUES_LIST"
    )
    offsets = ""
    if offset is not None:
        each = "".join(
            f'<{kind} band_id="{k}">{offset}</{kind}>' for k in range(len(NAMES))
        )
        offsets = f"<{around}>{each}</{around}>"
    quantity = f'QUANTIFICATION_VALUE unit="none">{quantification}</'
    divisor = f"<{quantity}QUANTIFICATION_VALUE>"
    if level == "2A":
        divisor = (
            f"<QUANTIFICATION_VALUES_LIST><BOA_{quantity}BOA_QUANTIFICATION_VALUE>"
            '<AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>'
            "</QUANTIFICATION_VALUES_LIST>"
        )
    spectral = "".join(
        f'<Spectral_Information bandId="{k}" physicalBand="B{band[1:].lstrip("0")}">'
        f"<RESOLUTION>{CELLS[band]}</RESOLUTION></Spectral_Information>"
        for k, band in enumerate(NAMES)
    )
    schema = f"https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_User_Product xmlns:n1="{schema}" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="{schema}">
<n1:General_Info><Product_Info>
<PRODUCT_START_TIME>2023-08-23T09:55:59.024Z</PRODUCT_START_TIME>
<PRODUCT_STOP_TIME>2023-08-23T09:55:59.024Z</PRODUCT_STOP_TIME>
<PRODUCT_URI>{name}.SAFE</PRODUCT_URI>
<PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>
<PRODUCT_TYPE>S2MSI{level}</PRODUCT_TYPE>
<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Datatake><SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME></Datatake>
<Query_Options completeSingleTile="true">
<PRODUCT_FORMAT>SAFE_COMPACT</PRODUCT_FORMAT></Query_Options>
<Product_Organisation><Granule_List>
<Granule granuleIdentifier="S2B_OPER_MSI_L{level}_TL_2BPS_T33TWG_N{baseline}" \
imageFormat="JPEG2000">{images}</Granule>
</Granule_List></Product_Organisation></Product_Info>
<Product_Image_Characteristics>
<Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
<SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
<Special_Values><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
<SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX></Special_Values>
{divisor}{offsets}
<Spectral_Information_List>{spectral}</Spectral_Information_List>
</Product_Image_Characteristics></n1:General_Info>
</n1:Level-{level}_User_Product>
"""


def _place(level: str, bands: Mapping[str, NDArray[Any]]) -> str:
    height, width = next(
        tuple(size * CELLS[band] // 10 for size in values.shape)
        for band, values in bands.items()
    )
    sizes = "".join(
        f'<Size resolution="{cell}"><NROWS>{height * 10 // cell}</NROWS>'
        f"<NCOLS>{width * 10 // cell}</NCOLS></Size>"
        for cell in (10, 20, 60)
    )
    corners = "".join(
        f'<Geoposition resolution="{cell}"><ULX>{CORNER[0]}</ULX><ULY>{CORNER[1]}</ULY>'
        f"<XDIM>{cell}</XDIM><YDIM>-{cell}</YDIM></Geoposition>"
        for cell in (10, 20, 60)
    )
    schema = f"https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-{level}_Tile.xsd"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_Tile_ID xmlns:n1="{schema}">
<n1:General_Info/><n1:Geometric_Info><Tile_Geocoding metadataLevel="Brief">
<HORIZONTAL_CS_NAME>WGS84 / UTM zone 33N</HORIZONTAL_CS_NAME>
<HORIZONTAL_CS_CODE>{SYSTEM}</HORIZONTAL_CS_CODE>
{sizes}{corners}
</Tile_Geocoding></n1:Geometric_Info>
</n1:Level-{level}_Tile_ID>
"""


def made_bands(level: str = "2A", side: int = 120) -> dict[str, NDArray[Any]]:
    """Makes stored values of all bands: smooth ground, its scene classes all 4."""
    draw = np.random.default_rng(7)
    found: dict[str, NDArray[Any]] = {}
    for band, cell in CELLS.items():
        size = side * 10 // cell
        if band == "SCL":
            found[band] = np.full((size, size), 4, np.uint8)
        elif band != "B10" or level == "1C":
            noise = draw.integers(0, 400, (size, size))
            found[band] = (1500 + 100 * NAMES.index(band) + noise).astype(np.uint16)
    if level == "1C":
        del found["SCL"]
    return found

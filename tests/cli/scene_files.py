"""A folder of all kinds of scene files, and what is in a folder."""

import hashlib
import json

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio import Affine

from tests.mapping import map_files as files

PLACE = Affine(2, 0, 500_000, 0, -2, 4_600_000)
TAGS = {"CLASSES": json.dumps(["background", "landslide"]), "LANDSLIDE_CLASS": "1"}


def polygons(path, layer, *boxes, driver="GPKG"):
    """Writes squares that lie on the scene, as a user's own file."""
    squares = [shapely.box(x, y, x + 20, y + 20) for x, y in boxes]
    pyogrio.raw.write(
        path, geometry=shapely.to_wkb(np.array(squares, object)),
        field_data=[np.array(["road"] * len(boxes), object)],
        fields=np.array(["kind"], object), geometry_type="Polygon", crs=files.CRS,
        driver=driver, layer=layer,
    )  # fmt: skip
    return path


def vrt(path, source):
    """Writes a VRT of four bands of a file beside it."""
    with rasterio.open(path.with_name(source)) as dataset:
        count, (height, width) = dataset.count, dataset.shape
        wkt, a = dataset.crs.to_wkt(), dataset.transform
        names = dataset.descriptions
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{n}"><Description>{names[n - 1]}'
        f'</Description><SimpleSource><SourceFilename relativeToVRT="1">{source}'
        f"</SourceFilename><SourceBand>{n}</SourceBand></SimpleSource></VRTRasterBand>"
        for n in range(1, count + 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{wkt}</SRS>'
        f"<GeoTransform>{a.c},{a.a},{a.b},{a.f},{a.d},{a.e}</GeoTransform>{bands}"
        "</VRTDataset>"
    )
    return path


def state(folder):
    """What is in a folder: the checksum of each file, None of a folder, by name."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        if p.is_file()
        else None
        for p in sorted(folder.rglob("*"))
    }


def write_scene_files(folder):
    """Writes a scene, its DEM, VRTs of it, two maps and polygons into a new folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    colours = rng.integers(20, 200, (4, 48, 64)).astype(np.uint8)
    names = ("red", "green", "blue", "nir")
    files.write(folder / "scene.tif", colours, names=names, transform=PLACE)
    heights = np.cumsum(rng.normal(0.5, 1, (1, 48, 64)), axis=1).astype(np.float32)
    files.write(folder / "dem.tif", heights, transform=PLACE)
    vrt(vrt(folder / "inner.vrt", "scene.tif").with_name("outer.vrt"), "inner.vrt")
    for number in (1, 2):
        classes = np.zeros((1, 48, 64), np.uint8)
        classes[0, 5:25, 5:25] = 1
        classes[0, 34:40, 40 : 36 + 8 * number] = number == 2
        path = files.write(
            folder / f"map{number}.tif", classes, transform=PLACE, nodata=255
        )
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**TAGS)
    cloudy = np.zeros((1, 48, 64), np.uint8)
    cloudy[0, :4] = 1
    files.write(folder / "mask.tif", cloudy, transform=PLACE)
    place = (500_010, 4_599_950)
    polygons(folder / "truth.geojson", "truth", place, driver="GeoJSON")
    polygons(folder / "truth.gpkg", "truth", place)
    polygons(folder / "truth.shp", "truth", place, driver="ESRI Shapefile")
    for path in folder.iterdir():
        path.chmod(0o444)
    return folder

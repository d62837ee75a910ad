"""Files of an inventory's statistics: densities and JSON."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from rasterio.crs import CRS

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path, write_text
from landslide_tf.inventory.statistics import Statistics
from landslide_tf.outputs import check_own
from landslide_tf.raster.cog import Layer, write_cog
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.outputs import check_outputs
from landslide_tf.terrain import Grid

PAGE = "Regions and dates"
"""Heading that every page of an inventory has."""

_BANDS = ["landslides_per_km2", "landslide_share", "mapped_m2"]


def check_statistics(
    database: str | Path,
    *,
    density: Path | None = None,
    out: Path | None = None,
    report: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Checks the names of output files before anything is read.

    Args:
        database: The inventory.
        density: GeoTIFF of the densities to write.
        out: JSON file to write.
        report: Page to write.
        overwrite: Whether any file there is replaced.

    Raises:
        DataError: If one is the inventory, or is there and is no such result.

    >>> from pathlib import Path
    >>> from landslide_tf.inventory import check_statistics
    >>> check_statistics("alps.gpkg", density=Path("density.tif"))
    """
    check_outputs([density, out, report], [database])
    if density is not None and density.suffix.lower() not in (".tif", ".tiff"):
        raise DataError(f"`{density}` must end in .tif: densities are a GeoTIFF.")
    check_own(density, "densities", _is_density, overwrite=overwrite)
    check_own(out, "statistics", _is_statistics, overwrite=overwrite)
    check_own(report, "page", _is_page, overwrite=overwrite)


def _is_density(path: Path) -> bool:
    with open_raster(path, "densities") as dataset:
        return list(dataset.descriptions) == _BANDS


def _is_statistics(path: Path) -> bool:
    content = json.loads(path.read_text(encoding="utf-8"))
    return {"sizes", "groups", "power_law", "magnitude"} <= set(content)


def _is_page(path: Path) -> bool:
    return PAGE in path.read_text(encoding="utf-8")


def write_density(statistics: Statistics, path: Path) -> None:
    """Writes the map of densities as a cloud optimised GeoTIFF.

    Args:
        statistics: The statistics.
        path: The file: landslides a km², share of the ground, mapped m² of each cell.

    Raises:
        DataError: If it cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.inventory import *
    >>> outline = shapely.MultiPolygon([shapely.box(15, 46, 15.02, 46.01)])
    >>> facts = {"id": "a", "region": "ALPS", "date_max": "2024-05-01"}
    >>> none = Landslides(np.array([], object), {name: [] for name in FIELDS})
    >>> found = inventory_statistics(none, [Scene(facts, outline)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "density.tif")
    ...     write_density(found, path)
    ...     check_statistics("alps.gpkg", density=path)  # its own: may be replaced
    """
    grid = statistics.density
    bands = np.stack([grid.per_km2, grid.share, grid.mapped_m2]).astype(np.float32)
    height, width = bands.shape[1:]
    system = CRS.from_wkt(statistics.system)
    place = Grid(system, grid.transform, height, width)
    layer = Layer("float32", float("nan"), _BANDS)
    with (
        tempfile.TemporaryDirectory(prefix="landslide-tf-") as folder,
        atomic_path(path) as temporary,
    ):
        scratch = Path(folder, "plain.tif")
        write_cog(temporary, place, layer, [(0, bands)], scratch=scratch)


def write_statistics(statistics: Statistics, path: Path) -> None:
    """Writes statistics as JSON.

    Args:
        statistics: The statistics.
        path: The file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.inventory import *
    >>> outline = shapely.MultiPolygon([shapely.box(15, 46, 15.02, 46.01)])
    >>> facts = {"id": "a", "region": "ALPS", "date_max": "2024-05-01"}
    >>> none = Landslides(np.array([], object), {name: [] for name in FIELDS})
    >>> found = inventory_statistics(none, [Scene(facts, outline)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "statistics.json")
    ...     write_statistics(found, path)
    ...     '"number": 0' in path.read_text()
    True
    """
    write_text(path, json.dumps(statistics.as_dict(), indent=2) + "\n")

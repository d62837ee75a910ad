"""Statistics of inventories against numbers made by hand."""

import dataclasses
import json

import numpy as np
import pytest
import rasterio
import shapely

from landslide_tf import inventory
from landslide_tf.errors import DataError
from landslide_tf.inventory import (
    FIELDS,
    Landslides,
    Query,
    Scene,
    check_statistics,
    inventory_statistics,
    landslide_magnitude,
    write_density,
    write_statistics,
)
from landslide_tf.report import write_inventory_page


def made(number=400, seed=0):
    """Landslides of known sizes on two overlapping grounds, one of them of 2025."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((15.001, 46.001), (15.099, 46.049), (number, 2))
    areas = 1280 / rng.gamma(1.4, size=number)
    half = np.sqrt(areas) / 2 / 111_000
    boxes = shapely.box(*(points - half[:, None]).T, *(points + half[:, None]).T)
    columns = {name: [None] * number for name in FIELDS}
    columns |= {
        "id": [str(k) for k in range(number)],
        "region": ["ALPS"] * number,
        "date_max": ["2024-05-31"] * number,
        "area_m2": areas.tolist(),
        "rule": [""] * number,
    }
    grounds = {
        "2024-05-31": shapely.box(15, 46, 15.1, 46.05),
        "2025-05-31": shapely.box(15.05, 46, 15.15, 46.05),
    }
    scenes = [
        Scene(
            {"id": date, "region": "ALPS", "date_max": date}, shapely.MultiPolygon([g])
        )
        for date, g in grounds.items()
    ]
    return Landslides(np.array(boxes, object), columns), scenes


@pytest.fixture(scope="module")
def found():
    return inventory_statistics(*made(), bootstrap=20)


def test_numbers_and_grounds(found):
    landslides, scenes = made()
    areas = landslides.numbers("area_m2")
    geod = inventory_area([scene.outline for scene in scenes])
    assert found.sizes.number == 400
    assert found.sizes.total_m2 == pytest.approx(areas.sum())
    assert found.mapped_m2 == pytest.approx(geod, rel=1e-4)
    assert found.repeated_m2 == pytest.approx(found.mapped_m2 / 3, rel=1e-3)
    assert found.sizes.per_km2 == pytest.approx(400 / (geod / 1e6), rel=1e-4)
    assert [(g.date, g.sizes.number) for g in found.groups] == [
        ("2024-05-31", 400), ("2025-05-31", 0),
    ]  # fmt: skip
    # A mapped ground without landslides is known to have none.
    assert found.groups[1].sizes.density == 0


def inventory_area(outlines):
    import pyproj

    whole = shapely.segmentize(shapely.union_all(outlines), 1e-3)
    return abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(whole)[0])


def test_sizes_and_magnitude(found):
    areas = made()[0].numbers("area_m2")
    gamma = found.inverse_gamma
    assert gamma.rho_interval[0] < 1.4 < gamma.rho_interval[1]
    law = found.power_law
    expected = landslide_magnitude(areas, cutoff=law.x_min, beta=-law.exponent)
    assert found.magnitude == expected
    given = inventory_statistics(*made(), cutoff=3000, beta=-2.4, bootstrap=0)
    assert given.magnitude == landslide_magnitude(areas, cutoff=3000, beta=-2.4)
    with pytest.raises(DataError, match="both, or neither"):
        inventory_statistics(*made(), cutoff=3000)


def test_densities_add_up_to_the_landslides(found):
    grid = found.density
    number = np.nansum(grid.per_km2 * grid.mapped_m2 / 1e6)
    assert number == pytest.approx(400)
    # Boxes of degrees are narrower than wide: their own area is what they cover.
    covered = np.nansum(grid.share * grid.mapped_m2)
    shapes = made()[0].geometries
    assert covered == pytest.approx(
        sum(inventory_area([shape]) for shape in shapes), rel=1e-3
    )


def test_rejected_landslides_and_boxes_count_not():
    landslides, scenes = made()
    columns = dict(landslides.columns)
    columns["rule"] = ["lwr", "", *[""] * 398]
    landslides = dataclasses.replace(landslides, columns=columns)
    west = Query(box=(15, 46, 15.05, 46.05))
    part = inventory_statistics(landslides, scenes[:1], query=west, bootstrap=0)
    assert part.sizes.number == 399
    assert part.mapped_m2 == pytest.approx(
        inventory_area([shapely.box(*west.box)]), 1e-3
    )
    few = landslides.where(np.arange(400) < 5)
    some = inventory_statistics(few, scenes, bootstrap=0)
    assert (some.sizes.number, some.power_law, some.magnitude) == (4, None, None)
    with pytest.raises(DataError, match="No mapped scene"):
        inventory_statistics(landslides, [])


def test_files(found, tmp_path):
    path, out, page = (tmp_path / n for n in ("d.tif", "s.json", "page.html"))
    write_density(found, path)
    write_statistics(found, out)
    write_inventory_page(page, "Alps & more", found)
    with rasterio.open(path) as dataset:
        np.testing.assert_allclose(dataset.read(2), found.density.share, rtol=1e-6)
        assert dataset.transform == found.density.transform
        assert dataset.crs.is_projected
    told = json.loads(out.read_text())
    assert told["power_law"]["x_min"] == found.power_law.x_min
    text = page.read_text()
    assert "Alps &amp; more" in text and "inverse gamma" in text
    assert text.count("2025-05-31") == 1 and "http://" not in text.replace(
        "http://www.w3.org", ""
    )
    names = {"density": path, "out": out, "report": page}
    check_statistics(tmp_path / "inventory.gpkg", **names)  # its own
    for name, file in names.items():
        file.write_text("mine")
        with pytest.raises(DataError, match="is not the"):
            check_statistics(tmp_path / "inventory.gpkg", **{name: file})


def test_an_inventory_without_landslides_has_a_page(tmp_path):
    landslides, scenes = made()
    none = landslides.where(np.zeros(400, bool))
    found = inventory.inventory_statistics(none, scenes)
    page = write_inventory_page(tmp_path / "page.html", "None", found)
    assert "No landslide was mapped" in page.read_text()
    assert found.lines()[0].startswith("landslides: 0 of 0.0000 km²")

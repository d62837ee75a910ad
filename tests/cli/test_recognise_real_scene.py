"""The scheme on a real scene, where cleared ground stands for landslides."""

import json

import keras
import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.features
import shapely

from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.objects import DEFAULT_RULES, read_rules
from landslide_tf.raster.polygons import write_polygons

BANDS = ("B3_red", "B4_nir", "B5_swir1")


@pytest.fixture(scope="module")
def scene(shared):
    """Folder, three bands, 0 where nothing is labelled, 1 for others, 2 for cleared."""
    folder = shared / "data" / "scenes" / "landsat5_para"
    _, _, wkb, (classes,) = pyogrio.raw.read(folder / "polygons.geojson")
    labelled = [
        (shape, 1 + int(name == "cleared"))
        for shape, name in zip(shapely.from_wkb(wkb), classes, strict=True)
    ]
    with rasterio.open(folder / "image.tif") as dataset:
        numbers = [dataset.descriptions.index(name) + 1 for name in BANDS]
        image = dataset.read(numbers).astype(float)
        labels = rasterio.features.rasterize(
            labelled, out_shape=dataset.shape, transform=dataset.transform
        )
    return folder, image, labels


@pytest.fixture(scope="module")
def model(scene, tmp_path_factory):
    """A network that is Fisher's discriminant (1936) of the northern half."""
    _, image, labels = scene
    half = len(labels) // 2
    other, cleared = (image[:, :half][:, labels[:half] == k].T for k in (1, 2))
    within = np.concatenate([other - other.mean(0), cleared - cleared.mean(0)])
    weights = np.linalg.solve(np.cov(within.T), cleared.mean(0) - other.mean(0))
    middle = weights @ (cleared.mean(0) + other.mean(0)) / 2
    given = keras.Input((None, None, 3), name="image")
    layer = keras.layers.Conv2D(1, 1, activation="sigmoid")
    network = keras.Model({"image": given}, layer(given))
    layer.set_weights([weights.reshape(1, 1, 3, 1), np.array([-middle])])
    folder = tmp_path_factory.mktemp("model")
    network.save(folder / "model.keras")
    ModelMetadata(
        name="discriminant", builder="unet", arguments={},
        inputs=[Band(name=name) for name in ("red", "nir", "swir1")],
        classes=["landslide"], landslide_class="sigmoid",
    ).write(folder)  # fmt: skip
    return folder


def halves(folder, image):
    """Writes the northern and the southern half of an image as polygons."""
    with rasterio.open(image) as dataset:
        west, south, east, north = dataset.bounds
        middle = dataset.xy(dataset.height // 2, 0, offset="ul")[1]
        system = dataset.crs.to_wkt()
    for name, low, high in (("north", middle, north), ("south", south, middle)):
        box = np.array([shapely.box(west, low, east, high)], object)
        path = folder / f"{name}.gpkg"
        write_polygons(path, "GPKG", box, {"id": [1]}, system, layer=name)
        yield path


def test_bounds_searched_in_the_north_are_scored_in_the_south(
    command, scene, model, tmp_path
):
    folder, _, labels = scene
    north, south = halves(tmp_path, folder / "image.tif")
    out = tmp_path / "out"
    code, printed, err = command(
        *("recognise", model, "--image", folder / "image.tif"),
        *("--dem", folder / "dem.tif", "--reference", folder / "polygons.geojson"),
        *("--positive", "cleared", "--outside", "ignore", "--within", south),
        *("--validation", north, "--target-iou", "1", "--out", out),
    )
    assert code == 0, err
    summary = json.loads((out / "summary.json").read_text())
    ious = summary["validation_iou"]
    assert len(ious) > 1 and ious == sorted(ious)
    with rasterio.open(out / "mask.tif") as dataset:
        mask = dataset.read(1) == 1
    half = len(labels) // 2
    for part, expected in (
        (np.s_[:half], ious[-1]),
        (np.s_[half:], summary["stages"][-1]["pixels"]["qp"]),
    ):
        found, there = mask[part] & (labels[part] > 0), labels[part] == 2
        assert (found & there).sum() / (found | there).sum() == pytest.approx(expected)
    assert summary["stages"][-1]["pixels"]["qp"] > 0.5
    kept = pyogrio.read_info(out / "landslides.gpkg", force_feature_count=True)
    assert kept["features"] == summary["stages"][-1]["objects"] > 0
    assert read_rules(out / "rules.yaml") != DEFAULT_RULES
    assert "IoU on the validation part" in printed

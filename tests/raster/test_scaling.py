"""One rule brings values to their unit, one rule to a model's scale."""

import numpy as np
import pytest
import rasterio

from landslide_tf.errors import DataError
from landslide_tf.metadata import Band
from landslide_tf.raster.bands import BandSource
from landslide_tf.raster.scaling import bright_value, choose_scale, unit_of
from tests.mapping import map_files as files


def of(scale=1.0, limits=(0, 255)):
    return [Band(name="red", unit="reflectance", scale=scale, range=limits)]


def test_the_scale_is_that_of_training_where_the_values_fit():
    fractions = np.array([[0.0], [0.4]])
    assert choose_scale(fractions, of(255), None) == 255
    assert choose_scale(fractions * 200, of(255), None) == 1
    assert choose_scale(fractions.astype(np.float32), of(1, (0, 1)), None) == 1
    # Ranges as the model takes them: 5 % of the range is no offence, 6 % is.
    assert choose_scale(np.array([[1.05]]), of(255), None) == 255
    with pytest.raises(DataError, match=r"from 0 to 1 as in training, received 1\.07"):
        choose_scale(np.array([[1.07], [300.0]])[:1], of(255), None)


def test_what_is_not_known_of_bands_leaves_values_alone():
    assert choose_scale(np.array([[9e9]]), [Band(name="red")], None) == 1
    assert choose_scale(np.empty((0, 1)), of(255), "auto") == 255


@pytest.mark.parametrize("wanted", [0, -1, np.nan, np.inf, "dark"])
def test_a_scale_that_means_nothing_is_refused(wanted):
    with pytest.raises(DataError, match="Expected `scale`"):
        choose_scale(np.array([[1.0]]), of(), wanted)


def test_auto_brings_the_brightest_hundredth_to_the_end_of_the_range():
    values = np.random.default_rng(0).gamma(2, 800, (5000, 1))
    scale = choose_scale(values, of(255), "auto")
    assert ((values * scale) > 255).mean() == pytest.approx(0.01, abs=1e-3)
    assert scale == 255 / bright_value(values)
    assert choose_scale(np.zeros((9, 1)), of(255), "auto") == 255


@pytest.mark.parametrize(
    ("units", "scale", "expected"),
    [
        ("", 1.0, ""),
        ("kelvin", 1.0, ""),  # as stored
        ("", 1e-4, "calibrated"),
        ("1", 1e-4, "calibrated"),
        ("reflectance", 1e-4, "reflectance"),
    ],
)
def test_the_unit_is_that_of_the_file_where_its_tags_are_used(
    tmp_path, units, scale, expected
):
    path = files.write(tmp_path / "image.tif", np.ones((2, 3, 3), np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.units, dataset.scales = (units,) * 2, (1.0, scale)
    assert unit_of([BandSource(name, path, k) for k, name in ((1, "a"), (2, "b"))]) == (
        expected
    )

"""`terrain` from the command line."""

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from tests.mapping import map_files as files


@pytest.fixture
def scene(tmp_path):
    """An image, and elevations in two tiles, in feet."""
    heights = np.add.outer(np.arange(40.0), np.arange(60.0)) * 10 / 0.3048
    east = files.NORTH_UP @ Affine.translation(30, 0)
    files.write(tmp_path / "w.tif", heights[None, :, :30])
    files.write(tmp_path / "e.tif", heights[None, :, 30:], transform=east)
    bands = np.full((2, 40, 60), 50, np.uint8)
    bands[1] = 150
    files.write(tmp_path / "image.tif", bands, names=("red", "nir"))
    return tmp_path


def test_all_layers_come_into_a_folder(command, scene):
    tiles, out = (scene / "w.tif", scene / "e.tif"), scene / "out"
    given = ("terrain", *tiles, "--image", scene / "image.tif", "--dem-unit", "foot")
    for _ in range(2):  # the same again replaces its own result
        code, text, err = command(*given, "--out", out)
        assert code == 0, err
        names = ["slope", "aspect", "hillshade", "ndvi"]
        assert text.splitlines() == [str(out / f"{name}.tif") for name in names]
    values = {}
    for name in names:
        with rasterio.open(out / f"{name}.tif") as dataset:
            values[name] = dataset.read(1)[20, 30]
    assert values["slope"] == pytest.approx(np.degrees(np.arctan(2**0.5)), abs=1e-4)
    assert values["aspect"] == pytest.approx(315)  # it falls to the north-west
    assert values["ndvi"] == pytest.approx(0.5)
    alone = scene / "alone.tif"
    code, text, err = command(*given, "--slope", alone)
    assert (code, text.split()) == (0, [str(alone)]), err
    command.refuses(*given, "--slope", scene / "w.tif", message="cannot be written")
    command.refuses("terrain", "--out", out, message="a layer to write")
    none, new = scene / "none.tif", scene / "new"
    command.refuses("terrain", none, "--out", new, message="none.tif")

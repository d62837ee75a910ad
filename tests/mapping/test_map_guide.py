"""The guide from a model to polygons does what it says, on a real scene."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio

from tests.mapping import map_files as files

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "map.md").read_text(encoding="utf-8")


def commands_of(page):
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.mark.integration
@pytest.mark.filterwarnings("default:the model was trained on cells:UserWarning")
def test_the_guide_works_on_a_real_scene(shared, command, tmp_path, monkeypatch):
    scene = shared / "data" / "scenes" / "rmnp"
    shutil.copy(scene / "rmnp-rgb.tif", tmp_path / "image.tif")
    shutil.copy(scene / "rmnp-dem.tif", tmp_path / "dem.tif")
    monkeypatch.chdir(tmp_path)
    calc, mapping, *_of_other_files = commands_of(PAGE)
    page = (DOCS / "methods" / "changes.md").read_text(encoding="utf-8")
    (changes,) = (line for line in commands_of(page) if line[1] == "changes")
    rio = "from rasterio.rio.main import main_group; main_group()"
    plain = tmp_path / "no_tag"  # an image that tags no value for no data
    plain.mkdir()
    values = np.uint8([[[10, 20]], [[30, 60]], [[5, 5]]])
    files.write(plain / "image.tif", values)
    for folder in (plain, tmp_path):
        subprocess.run(
            [sys.executable, "-c", rio, *calc[1:]], check=True, timeout=600, cwd=folder
        )
    with rasterio.open(plain / "ndvi.tif") as dataset:
        np.testing.assert_allclose(dataset.read(1), [[0.5, 0.5]])
    shutil.rmtree(plain)
    code, text, err = command(*mapping[1:])
    assert code == 0, err
    assert "warning: the model was trained on cells of 2 m" in err
    made = {path.name for path in tmp_path.iterdir()} - {"image.tif", "dem.tif"}
    table = "".join(line for line in PAGE.splitlines() if line.startswith("|"))
    told = set(re.findall(r"`(\w+\.(?:tif|gpkg|qml|html|tif\.aux\.xml))`", table))
    assert made == told | {"ndvi.tif"}
    with rasterio.open("map.tif") as dataset, rasterio.open("image.tif") as image:
        assert (dataset.crs, dataset.transform) == (image.crs, image.transform)
        classes, seen = dataset.read(1), image.dataset_mask() > 0
    assert (classes[~seen] == 255).all() and (classes != 255).mean() > 0.3
    meta, _, shapes, columns = pyogrio.raw.read("landslides.gpkg")
    assert f"{len(shapes)} polygons" in text and len(shapes) > 0
    for name in re.findall(r"`([a-z0-9]+_(?:m2|m|deg|prob|min|max))`", PAGE):
        assert name in meta["fields"], name
    area = dict(zip(meta["fields"], columns, strict=True))["area_m2"]
    assert area.sum() / np.count_nonzero(classes == 0) < 130 * 170
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(code, names)
    assert len(names["shapes"]) <= len(shapes)
    # Two dates: the same map twice has nothing new.
    for year in ("2020", "2024"):
        shutil.copy("map.tif", f"map_{year}.tif")
        shutil.copy("image.tif", f"image_{year}.tif")
    code, text, err = command(*changes[1:])
    assert code == 0, err
    assert "0 new landslides" in text
    assert "None was found." in Path("changes.html").read_text(encoding="utf-8")

"""What `landslide-tf evaluate-map` says of its inputs."""

import warnings

import numpy as np
import pytest

from tests.mapping import map_files as files
from tests.mapping.test_map_evaluation import class_map
from tests.raster.test_vector import box, layer


@pytest.fixture
def given(tmp_path):
    """A map of 20 landslide pixels."""
    values = np.zeros((20, 20), np.uint8)
    values[2:6, 1:6] = 1
    return ("evaluate-map", class_map(tmp_path / "map.tif", values))


def test_layers_and_fields_are_chosen_and_told(command, given, tmp_path):
    path = layer(tmp_path / "all.gpkg", "outline", [box(0, 0, 20, 20)])
    kinds = np.array(["slide", "lake"], object)
    both = [box(1, 2, 6, 6), box(8, 8, 20, 20)]
    layer(path, "mapped", both, append=True, KIND=kinds)
    command.refuses(
        *given, "--reference", path, message="`outline`, `mapped`; say which"
    )
    chosen = (*given, "--reference", path, "--layer", "mapped")
    command.refuses(*chosen, "--class-field", "x", message="received the fields `KIND`")
    command.refuses(
        *chosen, "--within", path, message=f"say which with `--within {path}:NAME`"
    )
    code, out, err = command(
        *chosen, "--class-field", "kind", "--positive", "slide",
        "--within", f"{path}:outline",
    )  # fmt: skip
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == (
        f"polygons `{path}`: layer `mapped`, 2 polygons, classes from the field `KIND`"
    )
    assert lines[1] == f"polygons `{path}`: layer `outline`, 1 polygon"
    assert "iou 1.0000" in lines[2]
    assert lines[4] == (
        "landslides that touch: 1 found, 0 missed, 0 false (detection 1.0000, quality "
        "1.0000, commission error 0.0000)"
    )
    # Without a choice of the field both polygons are landslide, and it says why.
    code, out, _ = command(*chosen)
    assert "no field `class` for classes (fields: KIND)" in out.splitlines()[0]


def test_a_mask_of_0_and_255(command, given, tmp_path):
    values = np.zeros((1, 20, 20), np.uint8)
    values[0, 2:6, 1:6] = 255
    path = files.write(tmp_path / "mask.tif", values)
    chosen = (*given, "--reference", path, "--out", tmp_path / "e.json")
    command.refuses(
        *chosen,
        message="only 0 and 255 (no label): did you mean `--positive 255`",
    )
    assert not (tmp_path / "e.json").exists()
    code, out, _ = command(*chosen, "--positive", "255")
    assert code == 0 and "recall 1.0000" in out and "nan" not in out.splitlines()[0]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, out, err = command(*chosen, "--positive", "1")
    assert code == 0 and "recall nan" in out
    assert "warning: the reference" in err and "recall has no value" in err


def test_a_reference_that_is_landslide_everywhere_is_warned_of(
    command, given, tmp_path
):
    path = layer(tmp_path / "slide.gpkg", "slide", [box(1, 2, 6, 6)])
    chosen = (*given, "--reference", path, "--outside", "ignore")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, out, err = command(*chosen)
    assert code == 0 and "iou 1.0000" in out
    assert "one class only where it is scored, `landslide`" in err

"""One rule finds bands."""

import re

import numpy as np
import pytest
import rasterio

from landslide_tf.errors import DataError
from landslide_tf.raster.bands import find_bands, known_bands
from tests.mapping import map_files as files

RGB = ("red", "green", "blue")


def image(path, bands, names=(), **options):
    return files.write(path, np.ones((bands, 4, 4), np.uint8), names=names, **options)


def numbers(images, names, given=None):
    return [(s.path, s.number) for s in find_bands(images, names, given)]


def test_numbers_count_the_bands_of_one_file_as_gdal_does(tmp_path):
    # GDAL takes the fourth band of bytes for transparency; who numbers it means data.
    path = image(tmp_path / "a.tif", 4)
    given = {"red": 3, "green": 2, "blue": 1, "nir": 4}
    assert numbers([path], list(given), given) == [(path, k) for k in (3, 2, 1, 4)]
    with pytest.raises(DataError, match="`swir` is not found as `5` among its 3"):
        find_bands([path], ["swir"], {"swir": 5})


def test_numbers_run_through_several_files_without_their_alpha(tmp_path):
    first, second = image(tmp_path / "a.tif", 4), image(tmp_path / "b.tif", 1)
    given = {"red": 1, "nir": 4}
    assert numbers([first, second], ["red", "nir"], given) == [(first, 1), (second, 1)]
    with pytest.raises(DataError, match="`nir`"):
        find_bands([first, second], ["nir"], {"nir": 5})


def test_a_description_wins_over_what_is_known_of_colours(tmp_path):
    path = image(tmp_path / "a.tif", 3, ("red edge", "red", "B8 NIR"))
    assert numbers([path], ["red", "red_edge", "nir"]) == [(path, k) for k in (2, 1, 3)]
    with pytest.raises(DataError, match=r"`green` is not found .*\(red edge, red"):
        find_bands([path], ["green"])


def test_files_of_one_band_are_found_by_their_names(tmp_path):
    paths = [image(tmp_path / f"T32_B0{k}_{n}.tif", 1) for k, n in enumerate(RGB, 2)]
    assert numbers(paths, ("blue", "red")) == [(paths[2], 1), (paths[0], 1)]
    assert numbers(paths, ("b03",)) == [(paths[1], 1)]
    assert find_bands(paths, ()) == ()


def test_order_decides_only_where_nothing_has_a_name(tmp_path):
    path = image(tmp_path / "a.tif", 2)
    assert numbers([path], ("one", "two")) == [(path, 1), (path, 2)]
    with pytest.raises(DataError, match="`one` is not found among its 2 bands"):
        find_bands([path], ("one", "two", "three"))
    named = image(tmp_path / "b.tif", 2, ("one", ""))
    with pytest.raises(DataError, match="`two`"):
        find_bands([named], ("one", "two"))


def taken(caught):
    """What warnings say was taken: (text, colour) pairs."""
    (message,) = {str(warning.message) for warning in caught}
    return re.findall(r"`([^`]+)` as (\w+)", message)


@pytest.mark.parametrize(
    ("stems", "colours"),
    [
        (("B02", "B03", "B04"), ("blue", "green", "red")),  # Sentinel-2, Landsat 8
        (("T32_B04_10m", "T32_B02_10m", "T32_B03_10m"), ("red", "blue", "green")),
        (("LT05_B1", "LT05_B2", "LT05_B3"), ("blue", "green", "red")),  # Landsat 5
        (("B8A", "B04", "B03", "B02"), ("nir", "red", "green", "blue")),
        (("one", "two", "three"), ("red", "green", "blue")),
    ],
)
def test_files_that_name_no_colours_go_by_number_and_that_is_said(
    tmp_path, stems, colours
):
    paths = [image(tmp_path / f"{stem}.tif", 1) for stem in stems]
    expected = dict(zip(colours, paths, strict=True))
    wanted = [name for name in (*RGB, "nir") if name in expected]
    with pytest.warns(UserWarning, match="`--bands`") as caught:
        found = numbers(paths, wanted)
    assert found == [(expected[name], 1) for name in wanted]
    named = [f"{stem}.tif" for stem in stems]
    assert dict(taken(caught)) == dict(zip(named, colours, strict=True))
    # A part of them, as the vegetation index needs, is found likewise.
    with pytest.warns(UserWarning, match="`--bands`"):
        assert numbers(paths, ["red"]) == [(expected["red"], 1)]


def test_bands_of_one_file_go_by_number_where_descriptions_have_them(tmp_path):
    numbered = image(tmp_path / "a.tif", 3, ("B02", "B03", "B04"))
    with pytest.warns(UserWarning, match="`B04` as red"):
        assert known_bands(numbered) == {"blue": 1, "green": 2, "red": 3}
    with pytest.warns(UserWarning, match="`B04` as red"):
        assert numbers([numbered], RGB) == [(numbered, k) for k in (3, 2, 1)]
    # Programs that know no names number from 1.
    plain = image(tmp_path / "b.tif", 3, ("b1", "b2", "b3"))
    assert known_bands(plain) == {"red": 1, "green": 2, "blue": 3}  # as GDAL wrote it
    values, names = np.ones((4, 4, 4), np.uint16), ("b1", "b2", "b3", "b4")
    plain = files.write(tmp_path / "c.tif", values, names=names)
    with pytest.warns(UserWarning, match="`b1` as red"):
        assert known_bands(plain) == {"red": 1, "green": 2, "blue": 3, "nir": 4}


def test_bands_are_chosen_by_name_or_number(tmp_path):
    names = ("B02, 490 nm", "B05 red edge", "B04, 665 nm", "B8A")
    path = image(tmp_path / "a.tif", 4, names)
    choice = {"red": "B04", "nir": "B8A", "edge": "B05 red edge", "blue": 1}
    assert numbers([path], list(choice), choice) == [(path, k) for k in (3, 4, 2, 1)]
    files = [image(tmp_path / f"T32_B0{k}.tif", 1) for k in (2, 3, 4)]
    choice = {"red": "B04", "blue": "B02", "green": 2}
    expected = [(files[k], 1) for k in (2, 0, 1)]
    assert numbers(files, list(choice), choice) == expected
    with pytest.raises(DataError, match=r"`red` is not found as `B07` .*\(T32_B02, "):
        find_bands(files, ["red"], {"red": "B07"})
    # A name of two bands is no choice.
    two = image(tmp_path / "b.tif", 2, ("B04 a", "B04 b"))
    with pytest.raises(DataError, match="not found as `B04`"):
        find_bands([two], ["red"], {"red": "B04"})


def test_a_word_of_a_description_is_enough_and_the_edge_of_red_is_no_red(tmp_path):
    path = image(tmp_path / "a.tif", 3, ("B5_swir1", "B4 red", "B5 red edge"))
    assert numbers([path], ("swir1", "red")) == [(path, 1), (path, 2)]
    with pytest.raises(DataError, match="`red` is not found"):
        find_bands([image(tmp_path / "b.tif", 2, ("B5 red edge", "x"))], ["red"])


def test_numbers_of_a_colour_table_are_refused_with_the_command_that_expands(tmp_path):
    table = {k: (255 - k, k // 2, 7, 255) for k in range(256)}
    path = image(tmp_path / "my scene.tif", 1, ("red",))
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, table)
    expanded = tmp_path / "my scene_rgb.tif"
    expected = f"`gdal_translate -expand rgb '{path}' '{expanded}'`"
    for look in (
        lambda: known_bands(path),
        lambda: find_bands([path], ["red"], {"red": 1}),
    ):
        with pytest.raises(DataError, match=re.escape(expected)):
            look()


def test_a_table_of_greys_says_what_the_values_say(tmp_path):
    path = image(tmp_path / "grey.tif", 1, ("red",))
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {k: (k, k, k, 255) for k in range(256)})
    assert numbers([path], ["red"]) == [(path, 1)]

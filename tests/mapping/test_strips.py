"""A job that ends at any moment goes on to the same files, and reads nothing twice."""

import json

import pytest

from landslide_tf.mapping import MapOptions, Outputs, SceneFiles, map_scene
from landslide_tf.mapping.strips import FinishedStrips
from landslide_tf.raster.flat import FlatRaster
from landslide_tf.raster.scene_reader import SceneReader
from tests.mapping import map_files as files

NAMES = ("stable", "slide")


class Ended(BaseException):
    """The process ends here: nothing after it runs, not even what mends."""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "s.tif"
    return files.write(path, files.chances(60, 40), names=NAMES)


def run(image, folder):
    outputs = Outputs(
        folder / "m.tif", folder / "p.tif", folder / "u.tif", (folder / "m.geojson",)
    )
    options = MapOptions(window=16, overlap=4, min_area=0.0)
    made = map_scene([files.identity()], SceneFiles((image,)), outputs, options)
    return made, {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(image, tmp_path_factory):
    return run(image, tmp_path_factory.mktemp("whole"))


def ended_after(monkeypatch, image, folder, steps, *, within=False):
    """Runs the job until some strips' parts or lines of the journal are written.

    `within` writes half of the next one, as a process may that is killed.
    """
    from landslide_tf.mapping import strips

    left = [steps]
    write, line = FlatRaster.write, strips._line

    def next_step():
        left[0] -= 1
        return left[0] < 0

    def counted_write(self, row, values):
        if next_step():
            if within:
                write(self, row, values[:, : values.shape[1] // 2])
            raise Ended
        write(self, row, values)

    class Journal:
        def __init__(self, file):
            self.file = file

        def write(self, text):
            if next_step():
                if within:
                    self.file.write(text[: len(text) // 2])
                    self.file.flush()
                raise Ended
            self.file.write(text)

        def flush(self):
            self.file.flush()

    enter = FinishedStrips.__enter__

    def entered(self):
        enter(self)
        self._journal = Journal(self._journal)
        return self

    with monkeypatch.context() as patched, pytest.raises(Ended):
        patched.setattr(FlatRaster, "write", counted_write)
        patched.setattr(FinishedStrips, "__enter__", entered)
        run(image, folder)
    assert line is strips._line
    return (folder / "m.tif.parts" / "journal").read_text()


@pytest.mark.integration
@pytest.mark.parametrize("within", [False, True])
def test_it_may_end_between_any_two_writes_and_within_them(
    image, whole, tmp_path, monkeypatch, within
):
    """Five strips of four rasters and a line: 25 writes."""
    made, expected = whole
    assert made.strips == 5
    for steps in range(25):
        folder = tmp_path / str(steps)
        folder.mkdir()
        ended_after(monkeypatch, image, folder, steps, within=within)
        assert [path.name for path in folder.iterdir()] == ["m.tif.parts"]
        again, found = run(image, folder)
        assert again.resumed == steps // 5
        assert found == expected
        assert (again.valid, again.landslide, again.area) == (
            made.valid, made.landslide, made.area,
        )  # fmt: skip


@pytest.mark.parametrize("raster", ["classes", "chances", "uncertainty", "mask"])
def test_pixels_that_the_disk_lost_are_predicted_again(
    image, whole, tmp_path, monkeypatch, raster
):
    """The power went before the file system had flushed what it held."""
    ended_after(monkeypatch, image, tmp_path, 20)
    path = tmp_path / "m.tif.parts" / f"{raster}.raw"
    pixels = bytearray(path.read_bytes())
    pixels[30 * 40 : 31 * 40] = bytes(40)  # of the third strip
    path.write_bytes(pixels)
    again, found = run(image, tmp_path)
    assert again.resumed == 2
    assert found == whole[1]


@pytest.mark.parametrize("fault", ["lost", "empty", "of another strip", "binary"])
def test_a_journal_that_says_nothing_is_no_journal(
    image, whole, tmp_path, monkeypatch, fault
):
    text = ended_after(monkeypatch, image, tmp_path, 20)
    assert [json.loads(line)[0] for line in text.splitlines()] == [0, 1, 2, 3]
    path = tmp_path / "m.tif.parts" / "journal"
    if fault == "lost":
        path.unlink()
    elif fault == "binary":
        path.write_bytes(b"\xff\x00" * 50)
    else:
        path.write_text("" if fault == "empty" else text.split("\n", 1)[1])
    again, found = run(image, tmp_path)
    assert again.resumed == 0
    assert found == whole[1]


def test_other_rasters_are_another_job(image, tmp_path, monkeypatch):
    ended_after(monkeypatch, image, tmp_path, 20)
    options = MapOptions(window=16, overlap=4, min_area=0.0)
    outputs = Outputs(tmp_path / "m.tif")
    made = map_scene([files.identity()], SceneFiles((image,)), outputs, options)
    assert made.resumed == 0
    assert not (tmp_path / "m.tif.parts").exists()


def test_no_strip_is_read_back(image, whole, tmp_path, monkeypatch):
    def read(self, row, height):
        raise AssertionError

    monkeypatch.setattr(FlatRaster, "read", read)
    assert run(image, tmp_path)[1] == whole[1]


def test_each_pixel_of_the_scene_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "s.tif"
    image = files.write(path, files.chances(700, 1300), names=NAMES)
    read, seen = SceneReader.read, []

    def counted(self, window, **how):
        seen.append(window)
        return read(self, window, **how)

    monkeypatch.setattr(SceneReader, "read", counted)
    options = MapOptions(window=256, overlap=64)
    outputs = Outputs(tmp_path / "m.tif")
    map_scene([files.identity()], SceneFiles((image,)), outputs, options)
    assert sum(window.height * window.width for window in seen) == 700 * 1300

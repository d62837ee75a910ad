"""A scene in, a map out: exact, georeferenced, resumable, complete or not there."""

import resource

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from landslide_tf.errors import DataError, ModelError
from landslide_tf.mapping import MapOptions, Member, Outputs, SceneFiles, map_scene
from tests.mapping import map_files as files

SMALL = {"window": 16, "overlap": 4}
NAMES = ("stable", "slide")


def run(members, image, tmp_path, *, options=None, **scene):
    members = [members] if isinstance(members, Member) else members
    outputs = Outputs(
        tmp_path / "map.tif", tmp_path / "chances.tif", tmp_path / "unsure.tif",
        overwrite=True,
    )  # fmt: skip
    images = (image,) if isinstance(image, str) else tuple(image)
    wanted = MapOptions(**(SMALL | {"float32": True} | (options or {})))
    summary = map_scene(members, SceneFiles(images, **scene), outputs, wanted)
    return summary, read(outputs.out)[0], read(outputs.probabilities)[0]


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1), dataset.profile | {"tags": dataset.tags()}


@pytest.mark.parametrize("size", [(1, 1), (7, 37), (16, 16), (53, 17), (1, 40)])
def test_identity_maps_the_scene(tmp_path, size):
    scene = files.chances(*size)
    image = files.write(tmp_path / "scene.tif", scene, names=NAMES)
    summary, classes, chances = run(files.identity(), image, tmp_path)
    np.testing.assert_allclose(chances, scene[1], atol=1e-6)
    np.testing.assert_array_equal(classes, scene[1] > 0.5)
    assert summary.valid == summary.pixels == size[0] * size[1]
    assert summary.landslide == (scene[1] > 0.5).sum()
    assert not list(tmp_path.glob("*.parts")) and not list(tmp_path.glob(".tmp*"))


GRIDS = {
    "north-up": files.NORTH_UP,
    "south-up": Affine(10, 0, 500_000, 0, 10, 4_600_000),
    "west-up": Affine(-10, 0, 500_000, 0, -10, 4_600_000),
    "rotated": Affine(8, 6, 500_000, 6, -8, 4_600_000),
}


@pytest.mark.parametrize("grid", GRIDS)
def test_place_and_pixels_survive_on_any_grid(tmp_path, grid):
    scene = files.chances(37, 21)
    image = files.write(
        tmp_path / "scene.tif", scene, names=NAMES, transform=GRIDS[grid]
    )
    _, classes, chances = run(files.identity(), image, tmp_path)
    np.testing.assert_allclose(chances, scene[1], atol=1e-6)
    np.testing.assert_array_equal(classes, scene[1] > 0.5)
    with rasterio.open(image) as before, rasterio.open(tmp_path / "map.tif") as after:
        assert after.crs.to_wkt() == before.crs.to_wkt()
        assert after.transform == before.transform
        assert after.nodata == 255


def test_a_model_sees_the_scene_with_north_up(tmp_path):
    """A model of direction gives one map, however the rows are stored."""

    def below_is_brighter(inputs):
        image = inputs["image"][..., 1]
        down = np.diff(image, axis=1, append=image[:, -1:]) > 0
        return np.stack([1.0 - down, down], -1).astype(np.float32)

    scene = files.chances(16, 16)
    found = {}
    for name in ("north-up", "south-up"):
        stored = scene if name == "north-up" else scene[:, ::-1]
        transform = files.NORTH_UP
        if name == "south-up":
            transform = transform @ Affine(1, 0, 0, 0, -1, 16)
        image = files.write(
            tmp_path / "scene.tif", stored, names=NAMES, transform=transform
        )
        model = Member(below_is_brighter, files.metadata())
        _, found[name], _ = run(model, image, tmp_path)
    np.testing.assert_array_equal(found["south-up"][::-1], found["north-up"])


def test_nodata_is_never_a_class_and_never_predicted(tmp_path):
    scene = files.chances(40, 40)
    scene[:, :, :20] = -9999
    scene[0, 30, 30] = np.nan
    scene[1, 31, 31] = np.inf
    seen = []

    def predict(inputs):
        seen.append(len(inputs["image"]))
        assert np.isfinite(inputs["image"]).all()
        return np.clip(inputs["image"], 0, 1)

    image = files.write(tmp_path / "s.tif", scene, names=NAMES, nodata=-9999)
    member = Member(predict, files.metadata())
    options = {"overlap": 0, "float32": False}
    summary, classes, chances = run(member, image, tmp_path, options=options)
    valid = (np.isfinite(scene) & (scene != -9999)).all(axis=0)
    np.testing.assert_array_equal(classes != 255, valid)
    np.testing.assert_array_equal(chances != 255, valid)
    np.testing.assert_array_equal(chances[valid], np.rint(scene[1][valid] * 250))
    assert summary.valid == valid.sum()
    assert sum(seen) == 6  # of nine windows three hold nodata only


def test_windows_have_the_size_of_training(tmp_path):
    """A model with global pooling is lost in windows larger than it has ever seen."""
    image = files.write(tmp_path / "s.tif", files.chances(70, 90), names=NAMES)
    seen = []

    def predict(inputs):
        seen.append(inputs["image"].shape[1:3])
        return inputs["image"]

    small = Member(predict, files.metadata(tile=20, stride=8))
    free = {"window": None, "overlap": None}
    summary, *_ = run(small, image, tmp_path, options=free)
    assert (summary.window, summary.overlap, summary.trained) == (24, 8, 20)
    assert max(seen) == (24, 24)
    larger = Member(predict, files.metadata(tile=30))
    assert run([small, larger], image, tmp_path, options=free)[0].window == 32
    assert run(small, image, tmp_path, options={"window": 16})[0].trained == 20
    seen.clear()
    summary, *_ = run(Member(predict, files.metadata()), image, tmp_path, options=free)
    assert (summary.window, summary.trained, set(seen)) == (512, None, {(70, 90)})


def test_a_scene_of_nodata_only_gives_an_empty_map(tmp_path):
    scene = np.full((2, 20, 20), -9999, np.float32)
    image = files.write(tmp_path / "s.tif", scene, names=NAMES, nodata=-9999)
    summary, classes, _ = run(files.identity(), image, tmp_path)
    assert summary.valid == 0 and (classes == 255).all()


def test_bands_by_name_number_file_and_alpha(tmp_path):
    scene = files.chances(20, 20)
    expected = scene[1] > 0.5
    extra = np.zeros((1, 20, 20), np.float32)
    swapped = np.concatenate([scene[1:], extra, scene[:1]])
    image = files.write(tmp_path / "a.tif", swapped, names=("slide", "x", "stable"))
    assert (run(files.identity(), image, tmp_path)[1] == expected).all()
    image = files.write(tmp_path / "b.tif", swapped)
    found = run(files.identity(), image, tmp_path, bands={"stable": 3, "slide": 1})
    assert (found[1] == expected).all()
    with pytest.raises(DataError, match="`stable` is not found among its 3 bands"):
        run(files.identity(), image, tmp_path)
    names = ("scene_slide.tif", "scene_stable.tif")
    single = [
        files.write(tmp_path / n, scene[k : k + 1])
        for n, k in zip(names, (1, 0), strict=True)
    ]
    assert (run(files.identity(), single, tmp_path)[1] == expected).all()
    # GDAL takes the second band of grey images as their alpha.
    alpha = np.where(np.arange(20)[:, None] < 5, 0, 255) + extra
    bytes_ = np.rint([scene[0] * 250, alpha[0], scene[1] * 250]).astype(np.uint8)
    image = files.write(
        tmp_path / "c.tif", bytes_, names=("stable", "", "slide"),
        photometric="minisblack", alpha="yes",
    )  # fmt: skip
    _, classes, _ = run(files.identity(), image, tmp_path, scale=1 / 250)
    assert (classes[:5] == 255).all() and (classes[5:] == expected[5:]).all()


def test_a_fourth_band_with_a_name_is_no_alpha(tmp_path):
    """GDAL writes the fourth band of bytes as alpha unless it is told otherwise."""
    scene = np.zeros((4, 20, 20), np.uint8)
    scene[3, :10] = 250
    image = files.write(tmp_path / "s.tif", scene, names=("a", "b", "c", "nir"))
    bands = [{"name": "a"}, {"name": "nir"}]
    model = Member(lambda i: i["image"] / np.float32(250), files.metadata(inputs=bands))
    with rasterio.open(image) as dataset:
        assert dataset.colorinterp[3].name == "alpha"
    options = {"threshold": 0.5}
    summary, classes, _ = run(model, image, tmp_path, options=options)
    assert summary.valid >= 200 and (classes[:10] == 1).all()


def test_the_scale_is_decided_once_and_checked(tmp_path):
    bands = [{"name": n, "range": (0, 255)} for n in NAMES]
    member = files.identity(inputs=bands)
    dark = np.concatenate([files.chances(20, 20), files.chances(20, 20) * 200], axis=2)
    image = files.write(tmp_path / "a.tif", dark, names=NAMES)
    assert run(member, image, tmp_path)[0].scale == 1
    image = files.write(tmp_path / "b.tif", files.chances(20, 20), names=NAMES)
    with pytest.raises(DataError, match=r"from 0 to 255 as in training.*--scale 255"):
        run(member, image, tmp_path)
    assert run(member, image, tmp_path, scale=255)[0].scale == 255
    image = files.write(tmp_path / "c.tif", files.chances(20, 20) * 4000, names=NAMES)
    with pytest.raises(DataError, match="--scale auto"):
        run(member, image, tmp_path)
    assert run(member, image, tmp_path, scale="auto")[0].scale == pytest.approx(
        255 / 3960, rel=0.05
    )
    fractions = [
        {"name": n, "unit": "1", "scale": 255, "range": (0, 255)} for n in NAMES
    ]
    image = files.write(tmp_path / "d.tif", files.chances(20, 20), names=NAMES)
    assert run(files.identity(inputs=fractions), image, tmp_path)[0].scale == 255


def test_scale_auto_uses_the_offset_that_a_file_tags(tmp_path):
    """As Sentinel-2 from baseline 4 on: reflectance = DN / 10000 - 0.1."""
    bands = [{"name": n, "range": (0, 255)} for n in NAMES]
    seen = Member(lambda i: i["image"] / np.float32(255), files.metadata(inputs=bands))
    stored = np.random.default_rng(3).integers(1000, 6000, (2, 20, 20), np.uint16)
    stored[:, 5, 5] = 1117
    image = files.write(tmp_path / "s.tif", stored, names=NAMES)
    with rasterio.open(image, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4, 1e-4), (-0.1, -0.1)
    physical = stored * 1e-4 - 0.1
    factor = 255 / np.percentile(physical, 99)
    summary, _, chances = run(seen, image, tmp_path, scale="auto")
    assert summary.scale == pytest.approx(factor)
    expected = physical[1] * factor / 255
    np.testing.assert_allclose(chances, np.clip(expected, 0, None), atol=1e-5)
    assert chances[5, 5] * 255 == pytest.approx(0.0117 * factor, abs=0.01)
    with pytest.raises(DataError, match="scale and offset of the file's tags"):
        run(seen, image, tmp_path)
    with pytest.warns(UserWarning, match=r"tags an offset of -0\.1: `--scale 0\.04"):
        run(seen, image, tmp_path, scale=0.04)


def test_no_crs_only_when_it_is_said(tmp_path):
    scene = files.chances(20, 20)
    image = files.write(
        tmp_path / "s.tif", scene, names=NAMES, crs=None, transform=Affine.scale(2, -2)
    )
    with pytest.raises(DataError, match="--allow-no-crs"):
        run(files.identity(), image, tmp_path)
    _, classes, _ = run(files.identity(), image, tmp_path, allow_no_crs=True)
    np.testing.assert_array_equal(classes, scene[1] > 0.5)


class Stopped(Exception):
    """The process ends in the middle."""


def test_a_stopped_job_goes_on_and_gives_the_same_file(tmp_path):
    scene = files.chances(100, 30)
    image = files.write(tmp_path / "s.tif", scene, names=NAMES)
    run(files.identity(), image, tmp_path)
    whole = {p.name: p.read_bytes() for p in tmp_path.glob("*.tif")}
    for name in ("map.tif", "chances.tif", "unsure.tif"):
        (tmp_path / name).unlink()
    calls = []

    def predict(inputs, last=8):
        calls.append(1)
        if len(calls) > last:
            raise Stopped
        return inputs["image"]

    options = {"batch": 1}
    with pytest.raises(Stopped):
        run(Member(predict, files.metadata()), image, tmp_path, options=options)
    assert [p.name for p in tmp_path.glob("*.tif")] == ["s.tif"]
    assert (tmp_path / "map.tif.parts").is_dir()
    calls.clear()
    member = Member(lambda inputs: predict(inputs, 100), files.metadata())
    summary, *_ = run(member, image, tmp_path, options=options)
    assert summary.resumed == 2 and len(calls) < 3 * summary.strips
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.tif")} == whole
    assert not (tmp_path / "map.tif.parts").exists()


def test_strips_of_another_job_are_not_taken(tmp_path):
    image = files.write(tmp_path / "s.tif", files.chances(100, 30), names=NAMES)
    calls = []

    def predict(inputs):
        calls.append(1)
        if len(calls) > 8:
            raise Stopped
        return inputs["image"]

    with pytest.raises(Stopped):
        run(
            Member(predict, files.metadata()), image, tmp_path,
            options={"batch": 1},
        )  # fmt: skip
    scene = files.chances(100, 30, seed=1)
    files.write(tmp_path / "s.tif", scene, names=NAMES)
    summary, classes, _ = run(files.identity(), image, tmp_path, options={"batch": 1})
    assert summary.resumed == 0
    np.testing.assert_array_equal(classes, scene[1] > 0.5)


def test_two_at_once_are_refused(tmp_path):
    image = files.write(tmp_path / "s.tif", files.chances(20, 20), names=NAMES)

    def predict(inputs):
        with pytest.raises(ValueError, match="another process is making this map"):
            run(files.identity(), image, tmp_path)
        return inputs["image"]

    run(Member(predict, files.metadata()), image, tmp_path)


def harmed(path, fault):
    whole = path.read_bytes()
    if fault == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + b"\xff" * 6000 + whole[middle + 6000 :])


@pytest.mark.parametrize("fault", ["truncated", "corrupt in the middle"])
def test_a_broken_image_is_named_and_nothing_is_left(tmp_path, fault):
    path = tmp_path / "s.tif"
    options = {"compress": "deflate", "tiled": True, "blockxsize": 16}
    files.write(path, files.chances(80, 80), names=NAMES, blockysize=16, **options)
    harmed(path, fault)
    with pytest.raises(DataError, match=r"s\.tif`.*(truncated or corrupt|be read)"):
        run(files.identity(), str(path), tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_and_the_strips_stay(tmp_path, monkeypatch):
    from landslide_tf.mapping.strips import FinishedStrips

    def full(self, number, arrays):
        raise OSError(28, "No space left on device")

    image = files.write(tmp_path / "s.tif", files.chances(40, 40), names=NAMES)
    monkeypatch.setattr(FinishedStrips, "write", full)
    with pytest.raises(DataError, match=r"No space left on device.*strips are kept"):
        run(files.identity(), image, tmp_path)
    assert not (tmp_path / "map.tif").exists()


@pytest.mark.parametrize("limit", [2_000, 6_000, 20_000])
def test_files_that_cannot_grow_are_told(tmp_path, limit):
    """What a full disk does to strips and to GDAL, at different places."""
    image = files.write(tmp_path / "s.tif", files.chances(90, 90), names=NAMES)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(DataError, match="cannot be written"):
            run(files.identity(), image, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.glob("*.tif")] == ["s.tif"]
    assert not list(tmp_path.glob(".tmp*"))
    summary, classes, _ = run(files.identity(), image, tmp_path)
    assert (classes != 255).all() and summary.valid == 8100


def test_models_that_do_not_fit(tmp_path):
    image = files.write(tmp_path / "s.tif", files.chances(20, 20), names=NAMES)
    other = files.identity(classes=["background", "scar", "landslide"])
    with pytest.raises(ModelError, match="agree in `classes`"):
        run([files.identity(), other], image, tmp_path)
    with pytest.raises(ModelError, match=r"shape \(.*3\), received"):
        run(other, image, tmp_path)
    broken = Member(lambda i: i["image"] * np.nan, files.metadata())
    with pytest.raises(ModelError, match="NaN or infinity"):
        run(broken, image, tmp_path)
    needs = files.identity(factors=[{"name": "thermal"}])
    with pytest.raises(DataError, match="--factor thermal=FILE"):
        run(needs, image, tmp_path)
    with pytest.raises(DataError, match="--dem FILE"):
        run(files.identity(factors=[files.SLOPE]), image, tmp_path)
    with pytest.raises(DataError, match="multiple of the model's stride 12"):
        run(files.identity(stride=12), image, tmp_path)


def test_the_scene_is_not_written_over(tmp_path):
    path = tmp_path / "map.tif"
    image = files.write(path, files.chances(20, 20), names=NAMES)
    before = path.read_bytes()
    with pytest.raises(DataError, match="cannot be written over"):
        run(files.identity(), image, tmp_path)
    assert path.read_bytes() == before


def test_threshold_temperature_and_sigmoid(tmp_path):
    scene = files.chances(20, 20)
    image = files.write(tmp_path / "s.tif", scene, names=NAMES)
    _, classes, _ = run(files.identity(threshold=0.3), image, tmp_path)
    np.testing.assert_array_equal(classes, scene[1] >= np.float32(0.3))
    _, _, chances = run(files.identity(temperature=2.0), image, tmp_path)
    root = np.sqrt(scene)
    np.testing.assert_allclose(chances, root[1] / root.sum(axis=0), atol=1e-6)
    model = Member(
        lambda inputs: inputs["image"][..., 1:],
        files.metadata(landslide_class="sigmoid"),
    )
    _, classes, _ = run(model, image, tmp_path)
    np.testing.assert_array_equal(classes, scene[1] >= 0.5)

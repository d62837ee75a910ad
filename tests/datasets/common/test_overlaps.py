"""Finding images cut from one picture."""

import itertools

import numpy as np
import pytest

from landslide_tf.datasets.common.overlaps import find_overlaps
from landslide_tf.errors import DataError


def ground(seed, shape=(400, 400)):
    """A picture with structure at every scale, uint8."""
    rng = np.random.default_rng(seed)
    picture = np.zeros(shape)
    for n in (4, 16, 80):
        coarse = rng.normal(size=(shape[0] // n + 1, shape[1] // n + 1))
        picture += np.kron(coarse, np.ones((n, n)))[: shape[0], : shape[1]]
    picture += 0.2 * rng.normal(size=shape)
    return np.clip(128 + 40 * picture, 0, 255).astype(np.uint8)


def cut(picture, corner, size):
    (row, column), (height, width) = corner, size
    return picture[row : row + height, column : column + width]


def pairs(overlaps):
    return {(o.first, o.second) for o in overlaps}


def test_every_pair_cut_with_a_known_shift_is_found():
    rng = np.random.default_rng(0)
    images, places = {}, {}
    for k in range(6):
        picture = ground(k)
        for j in range(5):
            name = f"{k}_{j}"
            corner = tuple(rng.integers(0, 240, 2))
            size = tuple(rng.integers(90, 160, 2))
            images[name], places[name] = cut(picture, corner, size), (k, corner, size)
    wanted = {}
    for one, other in itertools.combinations(sorted(images), 2):
        (k, a, p), (j, b, q) = places[one], places[other]
        sides = [
            min(x + m, y + n) - max(x, y) for x, m, y, n in zip(a, p, b, q, strict=True)
        ]
        # Two lattice cells a side hold four anchors, whatever the shift.
        if k == j and min(sides) > 0:
            wanted[one, other] = (sides, (b[0] - a[0], b[1] - a[1]))
    found = {(o.first, o.second): o for o in find_overlaps(images)}
    sure = {pair for pair, (sides, _) in wanted.items() if min(sides) >= 64}
    assert len(sure) >= 10
    assert sure <= found.keys() <= wanted.keys()
    for pair, overlap in found.items():
        sides, shift = wanted[pair]
        assert overlap.shift == shift
        smaller = min(images[name].size for name in pair)
        assert overlap.overlap_share == pytest.approx(np.prod(sides) / smaller)
        assert overlap.equal_share == 1


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64]
)
def test_any_dtype(dtype):
    picture = ground(1).astype(dtype)
    if np.dtype(dtype).kind == "f":
        picture = picture / 255
        picture[60:70, 60:70] = np.nan  # never equal, and no reason to give up
    images = {
        "a": cut(picture, (3, 5), (120, 100)),
        "b": cut(picture, (30, 40), (120, 90)),
    }
    (overlap,) = find_overlaps(images)
    assert overlap.shift == (27, 35)
    assert (overlap.equal_share < 1) == (np.dtype(dtype).kind == "f")


def test_other_pictures_and_flat_ones_share_nothing():
    images = {str(k): ground(k, (150, 150)) for k in range(5)}
    images |= {f"flat{k}": np.full((150, 150), 7, np.uint8) for k in range(3)}
    low = np.random.default_rng(3).integers(100, 104, (150, 150), dtype=np.uint8)
    images |= {"dull": low, "dull too": low[10:]}  # below 6 grey levels
    assert find_overlaps(images) == []


def test_patterns_that_repeat_are_no_ground():
    stripes = np.tile(np.array([0, 90, 200, 40], np.uint8), (200, 50))
    assert find_overlaps({"a": stripes, "b": stripes[:, :-7]}) == []


def test_common_pixels_must_be_most_of_the_common_rectangle():
    one, other = ground(1, (200, 200)), ground(2, (200, 200))
    logo = ground(9, (100, 100))
    one[:100, :100] = other[:100, :100] = logo
    assert find_overlaps({"a": one, "b": other}) == []
    # The logo is more than half of what is common at another shift.
    assert pairs(find_overlaps({"a": one, "b": other[:120, :120]})) == {("a", "b")}


def test_changed_pixels_do_not_hide_an_overlap():
    picture = ground(4)
    one, other = (
        cut(picture, (0, 0), (200, 200)),
        cut(picture, (20, 10), (180, 190)).copy(),
    )
    other[:80] = 255 - other[:80]
    (overlap,) = find_overlaps({"b": one, "a": other})
    assert (overlap.first, overlap.shift) == ("a", (-20, -10))
    assert overlap.equal_share == pytest.approx(100 / 180, abs=0.01)


def test_images_smaller_than_a_run_are_compared_with_nothing():
    tiny = ground(0)
    images = {"row": tiny[:1], "column": tiny[:, :3], "empty": tiny[:0, :0]}
    assert find_overlaps(images) == []
    assert find_overlaps({}) == []
    with pytest.raises(DataError, match="`colour`"):
        find_overlaps({"colour": np.zeros((40, 40, 3), np.uint8)})


def test_tiles_of_the_published_martian_set(shared):
    green = {}
    folder = shared / "data" / "mmls"
    for path in sorted(folder.glob("*.npz")):
        pack = np.load(path)
        both = path.stem == "shared_train_test"
        for part in ("train", "test") if both else (path.stem.split("_")[0],):
            for name, tile in zip(pack["name"], pack["rgb"], strict=True):
                place = "_".join(str(name).removesuffix(".tif").split("_")[-2:])
                green[f"{part}_{place}"] = tile[1]
    assert len(green) == 275 + 31 + 62
    tiles = ("14_24", "15_24", "19_23", "21_44", "24_44", "25_42")
    found = find_overlaps(green)
    assert pairs(found) == {(f"test_{t}", f"train_{t}") for t in tiles}
    assert all(o.shift == (0, 0) and o.equal_share == 1 for o in found)

"""The eight operations: geometry, angles, and agreement with recomputation."""

import itertools

import numpy as np
import pytest
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.terrain import (
    DIHEDRAL,
    aspect,
    dihedral,
    dihedral_aspect,
    dihedral_factors,
    dihedral_mean,
    dihedral_transform,
    slope,
)

# Independent of the code: the NumPy call that the name promises.
NUMPY = {
    "identity": lambda a: a,
    "rot90": lambda a: np.rot90(a, 1),
    "rot180": lambda a: np.rot90(a, 2),
    "rot270": lambda a: np.rot90(a, 3),
    "flip_left_right": np.fliplr,
    "flip_up_down": np.flipud,
    "transpose": lambda a: a.swapaxes(0, 1),
    "anti_transpose": lambda a: np.rot90(a, 2).swapaxes(0, 1),
}
SWAPS = {"rot90", "rot270", "transpose", "anti_transpose"}


def relief(height=23, width=31, seed=0):
    rng = np.random.default_rng(seed)
    return np.cumsum(np.cumsum(rng.standard_normal((height, width)), 0), 1)


def angle_distance(a, b):
    return np.abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("name", DIHEDRAL)
@pytest.mark.parametrize("trailing", [(), (3,), (2, 2)])
def test_geometry_is_numpys(name, trailing):
    array = np.arange(5 * 7 * int(np.prod(trailing))).reshape(5, 7, *trailing)
    np.testing.assert_array_equal(dihedral(array, name), NUMPY[name](array))


def test_the_eight_are_a_group():
    array = np.arange(9).reshape(3, 3)
    images = {dihedral(array, name).tobytes() for name in DIHEDRAL}
    assert len(images) == len(DIHEDRAL) == 8
    for a, b in itertools.product(DIHEDRAL, repeat=2):
        assert dihedral(dihedral(array, a), b).tobytes() in images


@pytest.mark.parametrize("name", DIHEDRAL)
@pytest.mark.parametrize("method", ["horn", "zevenbergen_thorne"])
@pytest.mark.parametrize("cell", [(10.0, 10.0), (10.0, 20.0)])
def test_factors_of_the_turned_model_are_the_turned_factors(name, method, cell):
    dem = relief()
    dem[8:14, 9:16] = 3.0  # level ground
    dem[3, 4] = np.nan
    kwargs = {"method": method, "dtype": np.float64}
    turned_cell = cell[::-1] if name in SWAPS else cell
    both = [
        np.stack([slope(d, c, **kwargs), aspect(d, c, **kwargs)], axis=-1)
        for d, c in ((dem, cell), (dihedral(dem, name), turned_cell))
    ]
    expected = dihedral_factors(both[0], ("slope", "aspect"), name)[1:-1, 1:-1]
    got = both[1][1:-1, 1:-1]
    np.testing.assert_allclose(got[..., 0], expected[..., 0], atol=1e-9)
    level = got[..., 1] == -1
    assert level.sum() >= 8
    np.testing.assert_array_equal(level, expected[..., 1] == -1)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    assert np.nanmax(angle_distance(got[..., 1], expected[..., 1])) < 1e-9


@pytest.mark.parametrize("name", DIHEDRAL)
def test_sine_and_cosine_turn_as_the_angle_does(name):
    angle = np.random.default_rng(1).uniform(0, 360, (6, 9))
    radians = np.radians(angle)
    pair = np.stack([np.cos(radians), angle, np.sin(radians)], axis=-1)
    pair[2, 3] = (0, -1, 0)  # level
    out = dihedral_factors(pair, ("aspect_cos", "aspect", "aspect_sin"), name)
    back = np.degrees(np.arctan2(out[..., 2], out[..., 0]))
    level = out[..., 1] == -1
    assert level.sum() == 1
    np.testing.assert_array_equal(out[level], [[0, -1, 0]])
    assert angle_distance(back, out[..., 1])[~level].max() < 1e-9


# alpha' of the published table for a slope that faces 30 degrees.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("identity", 30),
        ("rot90", 300),
        ("rot180", 210),
        ("rot270", 120),
        ("flip_left_right", 330),
        ("flip_up_down", 150),
        ("transpose", 240),
        ("anti_transpose", 60),
    ],
)
def test_azimuths_by_hand(name, expected):
    out = dihedral_aspect(np.full((2, 2), 30.0, np.float32), name)
    np.testing.assert_array_equal(out, np.float32(expected))
    assert out.dtype == np.float32


@pytest.mark.parametrize("name", DIHEDRAL)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_result_stays_in_range(name, dtype):
    values = [0, 1e-7, 45, 90, 180, 270, np.nextafter(dtype(360), dtype(0))]
    out = dihedral_aspect(np.array([values], dtype), name)
    assert out.dtype == dtype
    assert ((out >= 0) & (out < 360)).all()


def test_input_is_not_changed():
    factors = np.random.default_rng(2).uniform(0, 90, (4, 4, 2)).astype(np.float32)
    before = factors.copy()
    for name in DIHEDRAL:
        dihedral_factors(factors, ("slope", "aspect"), name)[...] = 0
    np.testing.assert_array_equal(factors, before)


def test_other_kinds_move_only():
    factors = np.random.default_rng(3).normal(size=(4, 5, 3))
    kinds = ["slope", "ndvi", ["standardise", 1.0, 2.0]]
    np.testing.assert_array_equal(
        dihedral_factors(factors, kinds, "rot90"), np.rot90(factors)
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dihedral(np.zeros((2, 2)), "rot45"), "rot45.*Did you mean"),
        (lambda: dihedral(np.zeros(3), "rot90"), r"height, width.*\(3,\)"),
        (lambda: dihedral_aspect(np.zeros((2, 2), int), "rot90"), "float.*int64"),
        (
            lambda: dihedral_factors(np.zeros((2, 2, 2)), ("aspect",), "rot90"),
            "1 `kinds`",
        ),
        (
            lambda: dihedral_factors(np.zeros((2, 2, 1)), ("aspect_sin",), "rot90"),
            "together",
        ),
    ],
)
def test_errors_are_one_line(call, words):
    with pytest.raises(DataError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", DIHEDRAL)
@pytest.mark.parametrize("shape", [(4, 4), (3, 5)])
def test_pixels_stay_where_they_lie(name, shape):
    transform = Affine(2, 0.5, 100, 0.25, -3, 50)
    rows, columns = np.indices(shape) + 0.5
    expected = dihedral(np.stack(transform @ (columns, rows), axis=-1), name)
    rows, columns = np.indices(expected.shape[:2]) + 0.5
    found = dihedral_transform(transform, shape, name) @ (columns, rows)
    np.testing.assert_allclose(np.stack(found, axis=-1), expected)


def test_the_mean_over_eight_sides_has_no_direction():
    rng = np.random.default_rng(4)
    slope, aspect = rng.uniform(0, 60, (2, 5, 7)), rng.uniform(0, 360, (2, 5, 7))
    inputs = {
        "image": rng.uniform(0, 255, (2, 5, 7, 1)),
        "factors": np.stack([slope, aspect], axis=-1),
    }

    def predict(seen):
        north = np.cos(np.radians(seen["factors"][..., 1:]))
        first_row = seen["image"] * 0
        first_row[:, 0] = 1
        return np.concatenate([seen["factors"][..., :1], north, first_row], axis=-1)

    found = dihedral_mean(predict, inputs, ("slope", "aspect"))
    np.testing.assert_allclose(found[..., 0], slope, rtol=1e-6)
    np.testing.assert_allclose(found[..., 1], 0, atol=1e-6)
    # Each side is the first row in two of eight, a corner in twice as many.
    sides = np.zeros((5, 7))
    for part in np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]:
        sides[part] += 2 / 8
    np.testing.assert_allclose(found[..., 2], [sides, sides], rtol=1e-6)

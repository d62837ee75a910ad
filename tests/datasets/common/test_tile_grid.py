"""Tiles of a grid that overlap by a half."""

import itertools

import numpy as np

from landslide_tf.datasets.common.tile_grid import (
    Place,
    near,
    pairs_with_equal_quarters,
    quarter_digests,
    rebuild_grid,
    starts,
)


def tiles_of(picture, rows, columns, name="t"):
    """Tiles of 64 pixels cut with a step of 32, by a name that hides their place."""
    return {
        f"{name}{(7 * r + 3 * c) % 23:02}": (
            r,
            c,
            picture[32 * r :, 32 * c :][:64, :64],
        )
        for r in range(rows)
        for c in range(columns)
    }


def noise(seed, size=160):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def test_places_are_those_the_tiles_were_cut_from():
    one, other = tiles_of(noise(1), 3, 2, "a"), tiles_of(noise(2), 2, 4, "b")
    digests = {n: quarter_digests(tile) for n, (*_, tile) in (one | other).items()}
    places, contradictions = rebuild_grid(digests)
    assert contradictions == 0
    for tiles in (one, other):
        for name, (row, column, _) in tiles.items():
            assert places[name] == Place(min(tiles), column, row)


def test_links_that_contradict_are_counted_and_repeats_left_out():
    # Each tile lies one step right of the one before; X says that of a and c, too.
    digests = {
        "a": {(0, 1): b"A", (1, 1): b"X"},
        "b": {(0, 0): b"A", (0, 1): b"B"},
        "c": {(0, 0): b"B", (1, 0): b"X"},
    }
    places, contradictions = rebuild_grid(digests)
    assert places["b"] == Place("a", 1, 0)
    assert contradictions == 1
    # One corner of two tiles: it does not say where they lie.
    same = {"x": {(0, 0): b"same"}, "y": {(0, 0): b"same"}}
    places, contradictions = rebuild_grid(same)
    assert (places, contradictions) == ({n: Place(n, 0, 0) for n in same}, 0)


def test_neighbours():
    assert near([]) == set()
    assert near([(0, 0)]) == set(itertools.product((-1, 0, 1), repeat=2))
    assert near([(0, 0), (0, 1)]) == set(itertools.product((-1, 0, 1), (-1, 0, 1, 2)))


def test_quarters_find_neighbours_of_a_half_overlapping_grid():
    picture = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    picture[96:, 96:] = 0
    tiles = {
        (r, c): picture[32 * r : 32 * r + 64, 32 * c : 32 * c + 64]
        for r in range(4)
        for c in range(4)
    }
    found = pairs_with_equal_quarters({k: quarter_digests(t) for k, t in tiles.items()})
    wanted = {}
    for one, other in itertools.combinations(sorted(tiles), 2):
        row, column = other[0] - one[0], other[1] - one[1]
        if abs(row) <= 1 and abs(column) <= 1:
            common = [(r, c) for r in range(2) for c in range(2)]
            moved = {(r + row, c + column) for r, c in common} & set(common)
            # The corner of one colour says nothing about where it lies.
            cells = {(other[0] + r - row, other[1] + c - column) for r, c in moved}
            textured = [cell for cell in cells if min(cell) < 3]
            if textured:
                wanted[one, other] = len(textured) / 4
    assert found == wanted


def test_tiles_begin_so_that_they_cover_the_image():
    assert starts(10, 10, 10) == [0]
    assert starts(25, 10, 10) == [0, 10, 15]
    assert starts(30, 10, 5) == [0, 5, 10, 15, 20]
    for length, size, stride in itertools.product(range(8, 40), (8,), (3, 8)):
        seen = {
            start + k for start in starts(length, size, stride) for k in range(size)
        }
        assert seen == set(range(length))

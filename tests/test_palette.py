import itertools

import numpy as np

from landslide_tf.palette import IGNORE, LANDSLIDE, NEUTRAL, class_palette

SIX = ["landslide", "building", "forest", "water", "road", "bare"]


def test_land_cover_has_its_customary_colours():
    expected = [
        (230, 0, 0), (255, 170, 0), (0, 115, 38), (0, 77, 168), (130, 130, 130),
        (215, 194, 158),
    ]  # fmt: skip
    colours = class_palette(SIX)
    assert colours.dtype == np.uint8
    assert colours.tolist() == [list(colour) for colour in expected]
    assert class_palette(["Bare_land", "forest/vegetation"]).tolist() == [
        [215, 194, 158],
        [0, 115, 38],
    ]


def test_binary_sets_are_red_over_a_neutral_ground():
    for names in (
        ["background", "landslide"],
        ["non-landslide", "Landslide"],
        ["no landslide", "landslides"],
    ):
        assert class_palette(names).tolist() == [list(NEUTRAL), list(LANDSLIDE)]


def test_all_colours_differ_and_do_not_depend_on_chance():
    names = [*SIX, "bare soil", *(f"thing {i}" for i in range(20)), "vegetation"]
    colours = class_palette(names)
    assert len({tuple(c) for c in colours.tolist()}) == len(names)
    assert (colours == class_palette(names)).all()
    few = class_palette(["landslide", "a", "b", "c", "d", "e"]).astype(float)
    for one, other in itertools.combinations([*few, np.array(IGNORE, float)], 2):
        assert np.linalg.norm(one - other) >= 60


def test_no_classes_give_an_empty_palette():
    assert class_palette([]).shape == (0, 3)

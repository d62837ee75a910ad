import numpy as np
import pytest
from PIL import Image

from landslide_tf import palette
from landslide_tf.errors import DataError
from landslide_tf.report import Picture, class_palette, prediction_grid

CLASSES = ["background", "landslide"]
PANEL, GAP, LEFT, TOP = 240, 6, 22, 24  # pixels, as drawn


def make_picture(height=40, width=40, **changes):
    truth = np.zeros((height, width), np.uint8)
    truth[10:20, 10:20] = 1
    truth[:4, :4] = 255
    prediction = np.zeros((height, width), np.uint8)
    prediction[10:20, 20:30] = 1
    factors = np.full((height, width, 2), 30.0, np.float32)
    factors[-4:, -4:] = np.nan
    values = {
        "id": "region/tile_1",
        "image": np.full((height, width, 3), (40, 90, 40), np.uint8),
        "truth": truth,
        "prediction": prediction,
        "factors": factors,
        "factor_names": ("slope", "curvature"),
    }
    return Picture(**(values | changes))


def draw(path, pictures, landslide_class=1, **options):
    prediction_grid(pictures, CLASSES, landslide_class, path, **options)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def panel(drawn, column, row=0):
    top = TOP + row * (PANEL + GAP)
    left = LEFT + column * (PANEL + GAP)
    return drawn[top : top + PANEL, left : left + PANEL]


def count(pixels, colour):
    return (np.abs(pixels - np.array(colour)).max(axis=-1) <= 1).sum()


def test_columns_hold_what_they_say(tmp_path):
    drawn = draw(tmp_path / "grid.png", [make_picture(), make_picture()])
    image, slope, truth, prediction, outlines = (panel(drawn, i) for i in range(5))
    scale = PANEL / 40
    assert count(image, (40, 90, 40)) == PANEL**2
    # Slope of 30 in 0..60 is the middle of its map, one colour.
    assert len(np.unique(slope[20:100, 20:100].reshape(-1, 3), axis=0)) == 1
    for labels, left in ((truth, 10), (prediction, 20)):
        assert count(labels, palette.LANDSLIDE) == 100 * scale**2
        middle = labels[round(15 * scale), round((left + 5) * scale)]
        assert tuple(middle) == palette.LANDSLIDE
    # Ignored truth pixels have no class colour; the prediction is shown there.
    corner = slice(2, round(3.5 * scale))
    assert count(truth[corner, corner], palette.NEUTRAL) == 0
    assert count(prediction[corner, corner], palette.NEUTRAL) > 0
    # Nodata of the factor is grey.
    missing = slope[-round(3 * scale) : -2, -round(3 * scale) : -2]
    assert np.ptp(missing, axis=-1).max() <= 1

    assert outlines[round(15 * scale), round(15 * scale)].tolist() == [40, 90, 40]
    truth_half, prediction_half = outlines[:, :119], outlines[:, 121:]
    assert count(truth_half, palette.TRUTH_OUTLINE) > 100
    assert count(truth_half, palette.PREDICTION_OUTLINE) == 0
    assert count(prediction_half, palette.PREDICTION_OUTLINE) > 100
    assert count(prediction_half, palette.TRUTH_OUTLINE) == 0


def test_meeting_outlines_are_white(tmp_path):
    picture = make_picture()
    same = make_picture(prediction=np.where(picture.truth == 1, 1, 0).astype(np.uint8))
    outlines = panel(draw(tmp_path / "grid.png", [same]), 4)
    assert count(outlines, palette.BOTH_OUTLINE) > 100
    assert count(outlines, palette.TRUTH_OUTLINE) == 0
    assert count(outlines, palette.PREDICTION_OUTLINE) == 0


def test_outlines_of_large_scenes_survive_scaling(tmp_path):
    mask = np.zeros((1500, 1000), np.uint8)
    mask[300:1200, 300:700] = 1
    mask[20, 20] = 1  # far below a pixel of the panel
    large = Picture(
        id="scene",
        image=np.zeros((1500, 1000, 3), np.uint8),
        truth=np.zeros_like(mask),
        prediction=mask,
    )
    drawn = draw(tmp_path / "grid.png", [large])
    outline = 2 * 2 * (900 + 400) * PANEL / 1500  # two pixels wide
    shown = count(panel(drawn, 3), palette.PREDICTION_OUTLINE)
    assert count(panel(drawn, 3)[:10, 40:50], palette.PREDICTION_OUTLINE) == 1
    assert shown == pytest.approx(outline, rel=0.05)


def test_the_landslide_class_is_the_one_given(tmp_path):
    first = make_picture(prediction=np.zeros((40, 40), np.uint8))
    flipped = panel(draw(tmp_path / "a.png", [first], landslide_class=0), 4)
    # Only along the ignored corner, which is no class, does the truth have no outline.
    assert count(flipped, palette.PREDICTION_OUTLINE) == 2 * 24 * 2 - 2 * 2
    sigmoid = draw(tmp_path / "b.png", [make_picture()], landslide_class="sigmoid")
    assert (sigmoid == draw(tmp_path / "c.png", [make_picture()])).all()


def test_sizes_mix_and_truth_and_factors_may_be_absent(tmp_path):
    plain = make_picture(30, 90, truth=None, factors=None, factor_names=())
    drawn = draw(tmp_path / "grid.png", [plain])
    assert drawn.shape[1] == LEFT + 3 * (PANEL + GAP)  # no truth, no factor
    tiny = Picture(
        id="tiny",
        image=np.zeros((1, 5, 3), np.uint8),
        prediction=np.ones((1, 5), np.uint8),
    )
    names = ("slope", "curvature", "unheard of")
    drawn = draw(tmp_path / "grid.png", [plain, make_picture(), tiny], factors=names)
    assert drawn.shape[1] == LEFT + 6 * (PANEL + GAP)


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, [make_picture(id="with $math_ and ünïcode")])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert {p.name for p in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_factors_without_any_value_are_drawn(tmp_path):
    nothing = np.full((40, 40, 2), np.nan, np.float32)
    names = ("slope", "curvature")
    drawn = draw(tmp_path / "g.png", [make_picture(factors=nothing)], factors=names)
    for column in (1, 2):
        assert np.ptp(panel(drawn, column), axis=-1).max() <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((40, 40, 3), np.float32)}, "must be uint8"),
        ({"image": np.zeros((40, 40, 4), np.uint8)}, "must be uint8"),
        ({"prediction": np.zeros((40, 41), np.uint8)}, "`prediction` of picture"),
        ({"truth": np.zeros((40, 40, 1), np.uint8)}, "`truth` of picture"),
        ({"factor_names": ("slope",)}, "one name a factor"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        make_picture(**changes)


def test_labels_without_a_name_and_wrong_counts_are_refused(tmp_path):
    bad = make_picture(prediction=np.full((40, 40), 7, np.uint8))
    with pytest.raises(DataError, match=r"below 2.*received 7"):
        draw(tmp_path / "grid.png", [bad])
    for pictures in ([], [make_picture()] * 61):
        with pytest.raises(DataError, match="1 to 60 examples"):
            draw(tmp_path / "grid.png", pictures)
    assert list(tmp_path.iterdir()) == []


def test_drawing_leaves_pyplot_alone(tmp_path):
    import matplotlib

    before = matplotlib.get_backend(auto_select=False)
    draw(tmp_path / "grid.png", [make_picture()])
    assert matplotlib.get_backend(auto_select=False) == before


def test_class_panels_use_the_palette(tmp_path):
    colours = class_palette(CLASSES)
    drawn = draw(tmp_path / "grid.png", [make_picture()])
    assert count(panel(drawn, 3), colours[0]) > 0.9 * (1600 - 100) * 36

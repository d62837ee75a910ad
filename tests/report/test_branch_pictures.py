"""Why branches decide as they do, as pictures."""

import numpy as np
import pytest
from PIL import Image

from landslide_tf.errors import DataError
from landslide_tf.report import BranchPicture, branch_grid


def picture(name="a", branches=("h", "s")):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (40, 30, 3), "uint8")
    looked = np.zeros((2, 2))
    looked[0, 1] = 3.0
    return BranchPicture(
        id=name,
        truth=1,
        image=image,
        saliency=random.uniform(size=(40, 30)),
        branches=dict.fromkeys(branches, (image[:32, :30], looked)),
        probabilities={**dict.fromkeys(branches, 0.7), "fused": 0.9},
        weights={b: 1 / len(branches) for b in branches},
    )


def test_pictures_show_every_image_and_branch(tmp_path):
    path = branch_grid([picture("a"), picture("b")], tmp_path / "p.png")
    with Image.open(path) as drawn:
        assert drawn.width > 5 * 150 and drawn.height > 2 * 150
        assert np.asarray(drawn).std() > 20


def test_pictures_that_are_wrong_are_refused(tmp_path):
    for pictures in ([], [picture()] * 41, [picture(), picture(branches=("h",))]):
        with pytest.raises(DataError):
            branch_grid(pictures, tmp_path / "p.png")
    good = picture()
    with pytest.raises(DataError, match="`saliency` of picture `a`"):
        BranchPicture(**{**vars(good), "saliency": np.zeros((4, 4))})
    with pytest.raises(DataError, match="must be uint8"):
        BranchPicture(**{**vars(good), "image": np.zeros((40, 30, 3))})


def test_a_branch_is_warm_where_it_looked(tmp_path):
    """Black images: what is red to yellow comes from the map alone."""
    looked = np.zeros((4, 4))
    looked[:, 3] = 5.0
    black = np.zeros((40, 40, 3), np.uint8)
    given = {**vars(picture()), "image": black, "saliency": np.zeros((40, 40))}

    def drawn(**changes):
        path = branch_grid([BranchPicture(**given | changes)], tmp_path / "p.png")
        return np.asarray(Image.open(path).convert("RGB")).astype(int)

    def warm(pixels):
        red, green, blue = np.moveaxis(pixels, -1, 0)
        return (red > 100) & (green > 0.8 * red) & (green < red) & (blue < 5)

    one = drawn(branches={"h": (black, looked), "s": (black, 0 * looked)})
    columns = np.flatnonzero(warm(one).any(axis=0))
    # Only in the branch that looked, and only in its right half.
    third = one.shape[1] * np.array([2, 3]) / 5
    assert third.mean() < columns.min() and columns.max() < third[1]
    # Each map is scaled by its own maximum.
    other = drawn(branches={"h": (black, looked / 100), "s": (black, 0 * looked)})
    assert (one == other).all()


def test_saliency_is_drawn_from_black_to_white(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 40), (40, 1))
    red = np.full((40, 40, 3), (200, 0, 0), np.uint8)
    branches = {"h": (red, np.zeros((2, 2)))}
    one = BranchPicture(
        **{**vars(picture(branches=("h",))), "image": red, "saliency": ramp,
           "branches": branches}
    )  # fmt: skip
    pixels = np.asarray(Image.open(branch_grid([one], tmp_path / "p.png")).convert("L"))
    middle = pixels[pixels.shape[0] // 2 + 10]
    part = middle[len(middle) // 4 : len(middle) // 2]
    inside = part[np.argmin(part) : np.argmin(part) + 60]
    assert inside[0] < 10 and (np.diff(inside.astype(int)) >= 0).all()

"""CSV files of branches: the released form, joins, and what is refused."""

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.train.evidential.predictions import (
    Predictions,
    join,
    read_branches,
    read_predictions,
    write_predictions,
)

RELEASED = """\
File,Pre_label,True_label,Success,non-landslide,landslide
data/test/landslide/df003.png,landslide,landslide,True,0.1,0.9
data\\test\\non-landslide\\fyb1.2.png,landslide,non-landslide,False,0.25,0.75
"""


def predictions(stems, labels, seed=0):
    landslide = np.random.default_rng(seed).uniform(size=len(stems))
    return Predictions(
        tuple(f"made/{stem}.png" for stem in stems),
        np.array(labels),
        np.stack([1 - landslide, landslide], axis=1),
    )


def test_the_released_form_is_read(tmp_path):
    (tmp_path / "h.csv").write_text(RELEASED)
    found = read_predictions(tmp_path / "h.csv")
    assert found.stems == ("df003", "fyb1.2")
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(found.probabilities, [[0.1, 0.9], [0.25, 0.75]])


def test_every_digit_survives(tmp_path):
    written = predictions(["a", "b", "c"], [0, 1, 1])
    further = {"weight_h": np.array([1 / 3, 0.5, 1.0])}
    path = write_predictions(written, tmp_path / "h.csv", further)
    lines = path.read_text().splitlines()
    assert lines[0] == (
        "File,Pre_label,True_label,Success,non-landslide,landslide,weight_h"
    )
    assert lines[1].endswith(",0.3333333333333333")
    found = read_predictions(path)
    assert found.files == written.files
    np.testing.assert_array_equal(found.probabilities, written.probabilities)


def test_labels_and_success_are_written_and_a_tie_is_no_landslide(tmp_path):
    tied = Predictions(("a.png",), np.array([1]), np.array([[0.5, 0.5]]))
    text = write_predictions(tied, tmp_path / "h.csv").read_text()
    assert "a.png,non-landslide,landslide,False,0.5,0.5" in text


def test_shuffled_rows_and_other_folders_join_to_the_same(tmp_path):
    stems = ["c", "a", "b"]
    first, second = predictions(stems, [1, 0, 1]), predictions(stems, [1, 0, 1], 1)
    order = [2, 0, 1]
    shuffled = Predictions(
        tuple(f"elsewhere/{stems[n]}.jpg" for n in order),
        second.labels[order],
        second.probabilities[order],
    )
    one, two = join({"h": first, "s": second}), join({"h": first, "s": shuffled})
    assert one.stems == two.stems == ("a", "b", "c")
    # Branches that call the images alike keep their names; others join by the stem.
    assert sorted(one.files) == sorted(first.files) and two.files == ()
    assert [file.rsplit("/")[-1].split(".")[0] for file in one.files] == ["a", "b", "c"]
    assert one.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    np.testing.assert_array_equal(two.of("s")[0], second.probabilities[1])


def test_branches_of_other_images_or_labels_are_refused(tmp_path):
    stems = [f"image{n}" for n in range(8)]
    write_predictions(predictions(stems, [0] * 8), tmp_path / "h.csv")
    write_predictions(predictions(stems[1:], [0] * 7), tmp_path / "s.csv")
    with pytest.raises(DataError, match=r"1 that only one has: `image0`"):
        read_branches(tmp_path, ("h", "s"))
    write_predictions(predictions(stems, [0] * 2 + [1] * 6), tmp_path / "s.csv")
    with pytest.raises(DataError, match=r"agree on `True_label`.* 6 images") as caught:
        read_branches(tmp_path, ("h", "s"))
    # Five of them by name.
    assert str(caught.value).count("`image") == 5
    with pytest.raises(DataError, match=r"v\.csv` does not exist"):
        read_branches(tmp_path, ("h", "v"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("True_label", "Label", "`True_label` is missing"),
        ("landslide,True", "slide,True", "line 2"),
        ("0.1,0.9", "0.1,none", "expected a number"),
        ("0.1,0.9", "0.1,0.8", "sum of 1"),
        ("0.1,0.9", "-0.1,1.1", "sum of 1"),
        ("0.1,0.9", "nan,0.9", "sum of 1"),
        ("fyb1.2", "df003", "two rows for the image `df003`"),
        (RELEASED, RELEASED.splitlines()[0], "must have rows"),
        (RELEASED, "", "must have rows"),
    ],
)
def test_files_that_are_wrong_are_named(old, new, words, tmp_path):
    text = RELEASED.replace(",landslide,True", ",landslide,True")
    assert old in text
    (tmp_path / "h.csv").write_text(text.replace(old, new))
    with pytest.raises(DataError, match=words):
        read_predictions(tmp_path / "h.csv")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "h.csv").write_bytes(b"\xff\xfe\x00File")
    with pytest.raises(DataError, match="is not a CSV file"):
        read_predictions(tmp_path / "h.csv")

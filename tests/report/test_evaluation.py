import csv
import json
import math

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.metrics.scores import Scores
from landslide_tf.objects import ObjectCounts
from landslide_tf.report import Picture, write_evaluation

DASH = "\u2013"
CLASSES = ["landslide", "building", "forest", "water", "road", "bare"]
# Xia et al. 2021 has no example; the values were worked out by hand.
MATRIX = [
    [50, 0, 0, 0, 2, 8], [1, 20, 0, 0, 4, 0], [0, 0, 100, 1, 0, 3],
    [0, 0, 2, 30, 0, 0], [3, 2, 0, 0, 15, 0], [6, 0, 4, 0, 1, 48],
]  # fmt: skip


def arguments(matrix=MATRIX, **changes):
    counts = ObjectCounts(tp=1, fp=4, fn=3, match="iou")
    none = ObjectCounts(tp=0, fp=0, fn=0, match="pixel")
    objects = {
        c.match: {"tp": c.tp, "fp": c.fp, "fn": c.fn, **c.scores().as_dict()}
        for c in (counts, none)
    }
    labels = np.zeros((20, 20), np.uint8)
    picture = Picture(
        id="a", image=np.zeros((20, 20, 3), np.uint8), prediction=labels, truth=labels
    )
    values = {
        "title": "FSTF-Net on a test",
        "scores": Scores.from_matrix(matrix, class_names=CLASSES).as_dict(),
        "objects": objects,
        "classes": CLASSES,
        "landslide_class": 0,
        "pictures": [picture],
        "facts": {"run": "runs/a|b", "examples": 40, "loss": math.nan},
    }
    return values | changes


def read_markdown_table(text, heading):
    lines = text.split(f"## {heading}\n")[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return [table[0], *table[2:]]


def test_all_files_hold_the_worked_numbers(tmp_path):
    files = write_evaluation(tmp_path / "report", **arguments())
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "evaluation.md", "evaluation.json", "evaluation.csv", "pictures.png",
    }  # fmt: skip
    assert set(files) == {"markdown", "json", "csv", "pictures"}

    text = files["markdown"].read_text()
    header, landslide, *_ = read_markdown_table(text, "Classes")
    assert header[:5] == ["class", "precision", "recall", "F1", "IoU"]
    assert landslide == [
        "landslide", "0.8333", "0.8333", "0.8333", "0.7143", "0.9333", "60",
    ]  # fmt: skip
    averages = dict(zip(*read_markdown_table(text, "Averages"), strict=True))
    assert averages["mean IoU"] == "0.7524"
    assert averages["overall accuracy"] == "0.8767"
    assert averages["G-mean"] == "0.8460"
    assert read_markdown_table(text, "Confusion matrix")[6][1:] == [
        "6", "0", "4", "0", "1", "48",
    ]  # fmt: skip
    header, iou, pixel = read_markdown_table(text, "Landslide objects")
    assert iou == [
        "iou", "1", "4", "3", "0.2500", "0.1250", "0.7500", "0.8000", "1.0000",
    ]  # fmt: skip
    assert pixel[4:] == [DASH] * 5
    assert "runs/a\\|b" in text
    assert "![" in text and "(pictures.png)" in text

    record = json.loads(files["json"].read_text())
    assert record["scores"]["miou"] == pytest.approx(0.752413, abs=1e-6)
    assert record["scores"]["confusion_matrix"] == MATRIX
    assert record["objects"]["pixel"]["dp"] is None
    assert record["facts"]["loss"] is None
    assert record["landslide_class"] == 0

    with files["csv"].open(newline="") as file:
        rows = {tuple(r[:3]): r[3] for r in csv.reader(file)}
    assert float(rows["average", "", "oa"]) == pytest.approx(0.876667, abs=1e-6)
    assert float(rows["class", "bare", "iou"]) == pytest.approx(0.685714, abs=1e-6)
    assert rows["average", "", "pixels"] == "300"
    assert rows["confusion", "landslide", "bare"] == "8"
    assert rows["object", "pixel", "ce"] == ""
    assert rows["object", "iou", "fp"] == "4"


def test_the_landslide_has_the_name_of_the_labels(tmp_path):
    classes = ["cleared", *CLASSES[1:]]
    scores = Scores.from_matrix(MATRIX, class_names=classes).as_dict()
    changes = {"scores": scores, "classes": classes, "pictures": []}
    files = write_evaluation(tmp_path, **arguments(**changes))
    text = files["markdown"].read_text()
    assert "## Cleared objects" in text and "landslide" not in text.lower()


def test_absent_classes_are_undefined_not_zero(tmp_path):
    matrix = np.zeros((6, 6), int)
    matrix[0, 0] = 10
    files = write_evaluation(tmp_path, **arguments(matrix, pictures=[], objects={}))
    text = files["markdown"].read_text()
    assert read_markdown_table(text, "Classes")[2][1:5] == [DASH] * 4
    assert "Landslide objects" not in text
    assert "pictures.png" not in text
    assert set(files) == {"markdown", "json", "csv"}
    assert "NaN" not in files["json"].read_text()


def test_a_second_report_replaces_the_first(tmp_path):
    write_evaluation(tmp_path, **arguments())
    files = write_evaluation(tmp_path, **arguments(title="Second"))
    assert files["markdown"].read_text().startswith("# Second\n")
    assert len(list(tmp_path.iterdir())) == 4


def test_scores_of_other_classes_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match="must be of the classes"):
        write_evaluation(tmp_path, **arguments(classes=CLASSES[::-1]))
    assert list(tmp_path.iterdir()) == []

import csv
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.metrics import Scores
from landslide_tf.objects import ObjectCounts
from landslide_tf.report import (
    Picture,
    learning_curves,
    write_evaluation,
    write_run_page,
)

HOSTILE = '<script>alert("x")</script> & `<b>`'
EPOCHS = """epoch,learning_rate,loss,landslide_iou,val_loss,val_landslide_iou,seconds
0,0.01,1.5,0.125,1.75,nan,3.0
1,0.001,1.25,0.25,,,2.5
2,0.0001,0.875,0.5,1.0,0.375,2.25
"""
COUNTS = {"tp": 1, "fp": 0, "fn": 0}
VOID = {"meta", "img", "br", "input"}


class Page(HTMLParser):
    """Reads a page strictly and keeps titles of points, cells and attributes."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.text, self.titles = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "circle" in self.open:
            self.titles.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def evaluation(tmp_path):
    matrix = np.array([[40, 10], [30, 920]])
    image = np.zeros((16, 16, 3), np.uint8)
    labels = np.zeros((16, 16), np.uint8)
    folder = tmp_path / "report" / "validation"
    write_evaluation(
        folder,
        title=f"A model {HOSTILE}",
        scores=Scores.from_matrix(matrix, class_names=["slide", "rest"]).as_dict(),
        objects={"iou": {**COUNTS, **ObjectCounts(1, 0, 0, "iou").scores().as_dict()}},
        classes=["slide", "rest"],
        landslide_class=0,
        pictures=[Picture(id="a", image=image, prediction=labels, truth=labels)],
        facts={"data": "made/up:validation", "threshold": "argmax"},
    )
    return folder


def write(tmp_path, **changes):
    arguments = {
        "title": "Run one",
        "facts": {"recipe": "A test", "epochs": "3 of 5", "temperature": 1.25},
        "epochs": list(csv.DictReader(EPOCHS.splitlines())),
        "recipe": "description: A test\ntraining:\n  epochs: 5\n",
        "environment": {"versions": {"keras": "3.15.1"}, "gpus": [], "threads": 1},
        "evaluations": [],
    }
    return write_run_page(tmp_path / "report.html", **{**arguments, **changes})


def test_every_number_of_the_curves_is_that_of_the_file(tmp_path):
    page = Page(write(tmp_path))
    found = {}
    for title in page.titles:
        line, epoch, value = re.fullmatch(r"(\w+), epoch (\d+): (\S+)", title).groups()
        found.setdefault(line, []).append((int(epoch) - 1, float(value)))
    rows = list(csv.DictReader(EPOCHS.splitlines()))
    names = [svg["aria-label"] for svg in page.all("svg")]
    assert names == ["loss", "landslide_iou", "learning_rate"]
    expected = {"training": [], "validation": []}
    for name in names:
        for line, key in (("training", name), ("validation", f"val_{name}")):
            for number, row in enumerate(rows):
                value = float(row.get(key) or "nan")
                if math.isfinite(value):
                    expected[line].append((number, value))
    assert found == expected
    text = "".join(page.text)
    assert "0.8750" in text and "2.2500" in text  # the log table


def test_scores_pictures_environment_and_recipe_are_shown(tmp_path, evaluation):
    page = Page(write(tmp_path, evaluations=[evaluation]))
    text = "".join(page.text)
    scores = json.loads((evaluation / "evaluation.json").read_text())["scores"]
    for shown in (
        "slide IoU, made/up:validation",
        "Slide objects",
        f"{scores['classes']['slide']['iou']:.4f}",  # 0.5
        f"{scores['miou']:.4f}",
        "920",
        "made/up:validation",
        "versions.keras",
        "3.15.1",
        "epochs: 5",
        "3 of 5",
        "1.25",
    ):
        assert shown in text, shown
    assert "landslide IoU" not in text and "Landslide objects" not in text
    (image,) = page.all("img")
    assert image["src"].startswith("data:image/png;base64,") and image["alt"]


def test_nothing_is_loaded_from_outside(tmp_path, evaluation):
    path = write(tmp_path, evaluations=[evaluation])
    page = Page(path)
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"https?://|@import|url\(", path.read_text())


def test_hostile_text_stays_text(tmp_path, evaluation):
    rows = [{"epoch": "0", f"loss{HOSTILE}": "0.5", "val_x": HOSTILE}]
    path = write(
        tmp_path,
        title=HOSTILE,
        facts={HOSTILE: HOSTILE},
        epochs=rows,
        recipe=f"{HOSTILE}</code></pre>",
        environment={HOSTILE: {HOSTILE: [HOSTILE]}},
        evaluations=[evaluation],
    )
    page = Page(path)
    assert not page.all("script") and not page.all("b")
    assert '<script>alert("x")</script>' in "".join(page.text)


def test_a_run_that_has_hardly_begun_has_a_page(tmp_path):
    page = Page(write(tmp_path, epochs=[], environment={}, facts={}))
    assert page.all("svg") == []
    page = Page(write(tmp_path, epochs=[{"epoch": "0", "loss": "nan"}]))
    assert page.titles == []


def test_a_harmed_evaluation_is_named_and_leaves_the_page(tmp_path, evaluation):
    path = write(tmp_path, evaluations=[evaluation])
    before = path.read_bytes()
    for harm in ("", "{", '{"scores": {}}', "[]"):
        (evaluation / "evaluation.json").write_text(harm)
        with pytest.raises(DataError, match=r"evaluation\.json") as caught:
            write(tmp_path, evaluations=[evaluation])
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report", "report.html"]


def test_curves_are_a_chart_a_metric():
    rows = [
        {"epoch": str(e), "loss": str(1 / (e + 1)), "val_loss": "" if e % 2 else "0.5",
         "val_miou": "nan", "learning_rate": str(0.1**e), "note": "text"}
        for e in range(5)
    ]  # fmt: skip
    loss, rate = learning_curves(rows)  # what never has a number has no chart
    assert (loss.title, loss.log) == ("loss", False)
    # An epoch without validation does not break the line.
    assert [line.points for line in loss.lines] == [
        [(e + 1, 1 / (e + 1)) for e in range(5)],
        [(1, 0.5), (3, 0.5), (5, 0.5)],
    ]
    assert (rate.title, rate.log) == ("learning_rate", True)
    assert [chart.title for chart in learning_curves(rows, ("miou", "loss"))] == [
        "loss"
    ]
    assert learning_curves([{**rows[0], "learning_rate": "0"}])[1].log is False


def test_without_numbers_there_are_no_curves():
    for rows in ([], [{"epoch": "0", "loss": ""}]):
        assert learning_curves(rows) == []

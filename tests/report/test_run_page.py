import csv
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.metrics import Scores
from landslide_tf.report import Picture, write_evaluation, write_run_page
from landslide_tf.report.chart import Chart, Line, svg

HOSTILE = '<script>alert("x")</script> & `<b>`'
EPOCHS = """epoch,learning_rate,loss,landslide_iou,val_loss,val_landslide_iou,seconds
0,0.01,1.5,0.125,1.75,nan,3.0
1,0.001,1.25,0.25,,,2.5
2,0.0001,0.875,0.5,1.0,0.375,2.25
"""
VOID = {"meta", "img", "br"}


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
        objects={},
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


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "points",
    [
        [(1, 0.5)],
        [(1, 1e-9), (2, 1e9)],
        [(1, 2.0), (2, 2.0)],
        [(1, 0.0), (2, 5.0)],
        [(1, -3.0), (1000, 7.0)],
        [(1, math.nan), (2, math.inf)],
    ],
)
def test_every_point_and_label_lies_within_the_chart(points, log):
    text = svg(Chart(title="t", lines=[Line("a", points)], log=log))
    finite = [p for p in points if math.isfinite(p[1])]
    assert text.count("<circle") == len(finite)
    assert "nan" not in text and "inf" not in text
    for name, limit in (("x", 340), ("y", 220), ("cx", 340), ("cy", 220)):
        for value in re.findall(rf' {name}="([^"]+)"', text):
            assert 0 <= float(value) <= limit
    assert len(re.findall('class="end"', text)) >= 2  # a value and the axis's name


def test_higher_values_are_drawn_higher():
    text = svg(
        Chart(title="t", lines=[Line("a", [(1, 1), (2, 10), (3, 100)])], log=True)
    )
    tops = [float(value) for value in re.findall(r'cy="([^"]+)"', text)]
    assert tops[0] - tops[1] == pytest.approx(tops[1] - tops[2], abs=0.2)
    assert tops[0] > tops[1] > tops[2]

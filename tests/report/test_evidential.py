"""The report of branches and fusion: tables, page and pictures."""

import csv
import json

import numpy as np
import pytest

from landslide_tf.metrics import IMAGE_SCORES
from landslide_tf.report import BranchPicture, write_evidential

METHODS = ("original", "h", "probability_mean", "inverse")


def row(method, accuracy, spread=0.01):
    scores = dict.fromkeys(IMAGE_SCORES, accuracy)
    spreads = {f"{score}_sd": spread for score in IMAGE_SCORES}
    gain = None if method == "original" else accuracy - 0.8
    return {
        "method": method,
        **scores,
        **spreads,
        "confusion": [[10, 2], [3, 15]],
        "difference": gain,
        "low": None if gain is None else gain - 0.05,
        "high": None if gain is None else gain + 0.05,
    }


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


@pytest.fixture
def report(tmp_path):
    values = (0.8, 0.75, 0.85, 0.82)
    rows = [row(m, v) for m, v in zip(METHODS, values, strict=True)]
    bins = [
        {"confidence": 0.6, "accuracy": 0.55, "pixels": 4},
        {"confidence": None, "accuracy": None, "pixels": 0},
        {"confidence": 0.95, "accuracy": 1.0, "pixels": 26},
    ]
    return write_evidential(
        tmp_path / "report",
        title="Branches <on> Bijie",
        facts={"data": "bijie", "test images": 30},
        rows=rows,
        raw=[row("original", 0.8, None), row("h", 0.75, None)],
        temperatures={"original": [1.25, 0.5], "h": [2.0, 1.0]},
        reliability=dict.fromkeys(METHODS, bins),
        degraded={m: {"none": 0.8, "noise 5": 0.7} for m in METHODS},
        pictures=[picture()],
    )


def test_tables_say_what_was_measured(report):
    text = report["markdown"].read_text()
    assert "| mean of probabilities | 0.850 ± 0.010 |" in text
    assert "+0.050 [+0.000, +0.100]" in text
    minus = chr(0x2212)
    assert f"| {minus}0.050 [{minus}0.100, +0.000] |" in text
    assert "| branch original | 10 | 2 | 3 | 15 |" in text
    assert "1.25, 0.50" in text and "noise 5" in text
    with report["csv"].open() as stream:
        rows = list(csv.DictReader(stream))
    assert [r["method"] for r in rows] == list(METHODS)
    assert float(rows[2]["accuracy"]) == 0.85 and rows[0]["difference"] == ""
    record = json.loads(report["json"].read_text())
    assert record["methods"][1]["confusion"] == [[10, 2], [3, 15]]
    assert record["degraded"]["h"]["noise 5"] == 0.7


def test_the_page_stands_alone(report):
    page = report["page"].read_text()
    assert "Branches &lt;on&gt; Bijie" in page
    assert page.count("<svg") == len(METHODS)  # a reliability diagram each
    # An empty bin is no point.
    assert page.count("confidence 0.6: 0.55") == len(METHODS)
    assert 'src="data:image/png;base64' in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_without_degradations_and_pictures_there_are_none(tmp_path):
    files = write_evidential(
        tmp_path,
        title="t",
        facts={},
        rows=[row("h", 0.5, None)],
        raw=[row("h", 0.5, None)],
        temperatures={"h": [1.0]},
        reliability={},
        degraded={},
    )
    page = files["page"].read_text()
    assert "pictures" not in files and "Noise and blur" not in page
    assert "±" not in files["markdown"].read_text().split("drawn with")[1]

"""Tables that compare runs, from summaries whose numbers are plain to see."""

import json
import math

import pytest

from landslide_tf.report import write_benchmark, write_curve

DASH, MINUS = "\u2013", "\u2212"


def row(name, mean, std=0.01, **changes):
    values = {
        "name": name,
        "data": "made/up:test",
        "images": 12,
        "seeds": [0, 1, 2],
        "mean": {"miou": mean, "oa": 0.9},
        "std": {"miou": std, "oa": std},
        "published": None,
        "difference": None,
        "only": None,
    }
    return values | changes


def table(text, number=0):
    """Rows of the cells of a Markdown table, its header first."""
    blocks = [b for b in text.split("\n\n") if b.lstrip().startswith("| ")]
    lines = blocks[number].strip().splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    return [cells[0], *cells[2:]]


def difference(**values):
    return {"estimate": -0.0125, "low": -0.04, "high": 0.015} | values


@pytest.fixture
def summary():
    found = {"miou": difference(), "oa": difference(estimate=math.nan)}
    rows = [
        row("first", 0.75, published={"oa": 0.875}),
        row("one seed", 0.5, None, seeds=[0]),
        row("other", 0.7375, difference=found),
        row("nothing", math.nan, data="other:test", images=3),
    ]
    bootstrap = {"level": 0.95, "samples": 1000}
    return {
        "scores": ["miou", "oa"], "bootstrap": bootstrap, "rows": rows, "tables": [],
    }  # fmt: skip


def test_means_spreads_and_published_scores(summary, tmp_path):
    files = write_benchmark(tmp_path, title="A\n title", summary=summary)
    text = files["markdown"].read_text()
    assert text.startswith("# A title\n\nData: made/up:test (12 images), other:test (3")
    assert table(text) == [
        ["model", "seeds", "mean IoU", "overall accuracy"],
        ["first", "3", "0.7500 ± 0.0100", "0.9000 ± 0.0100"],
        ["first, published", DASH, DASH, "0.8750"],
        ["one seed", "1", "0.5000", "0.9000"],
        ["other", "3", "0.7375 ± 0.0100", "0.9000 ± 0.0100"],
        ["nothing", "3", DASH, "0.9000 ± 0.0100"],
    ]


def test_a_table_in_the_form_of_a_paper_has_its_rows_beside_ours(summary, tmp_path):
    own = {"mean": {"road": 0.5, "DP": math.nan}, "std": {"road": 0.25, "DP": None}}
    rows = [
        {"name": "first", "published": {"DP": 0.85}, **own},
        {"name": "other", "published": {}, **own},
    ]
    table_3 = {
        "title": "Table 3", "note": "Read it.", "columns": ["road", "DP"], "rows": rows,
    }  # fmt: skip
    summary["tables"] = [table_3]
    summary["rows"][0]["only"] = "landslide"
    text = write_benchmark(tmp_path, title="T", summary=summary)["markdown"].read_text()
    assert "made/up:test holds one class only, `landslide`" in text
    assert "## Table 3\n\nRead it.\n" in text
    assert table(text, 1) == [
        ["model", "road", "DP"],
        ["first", "0.5000 ± 0.2500", DASH],
        ["first, published", DASH, "0.8500"],
        ["other", "0.5000 ± 0.2500", DASH],
    ]


def test_differences_have_intervals_where_the_images_are_the_same(summary, tmp_path):
    text = write_benchmark(tmp_path, title="T", summary=summary)["markdown"].read_text()
    assert "## Difference to first\n\nIn brackets: 95% interval of 1000 paired" in text
    assert table(text, 1) == [
        ["model", "mean IoU", "overall accuracy"],
        ["one seed", DASH, DASH],
        ["other", f"{MINUS}0.0125 [{MINUS}0.0400, +0.0150]", DASH],
        ["nothing", DASH, DASH],
    ]


def test_a_single_row_is_compared_with_nothing(summary, tmp_path):
    summary["rows"] = summary["rows"][:1]
    files = write_benchmark(tmp_path, title="T", summary=summary)
    assert "Difference" not in files["markdown"].read_text()
    record = json.loads(files["json"].read_text())
    assert (record["title"], record["rows"][0]["mean"]["miou"]) == ("T", 0.75)


def test_a_curve_has_a_row_a_number_of_samples(tmp_path):
    names = ("landslide_iou", "landslide_f1", "miou", "oa")
    further = {
        "mean_recall": 0.8,
        "mean_f1": 0.79,
        "precision": {"landslide": 0.79, "road": math.nan},
        "objects": {"dp": 0.81, "qp": 0.7, "oe": 0.19, "ce": 0.16},
    }
    points = [
        {
            "samples": count,
            "target": {n: 0.1 * k + count / 100 for k, n in enumerate(names)} | further,
            "source": dict.fromkeys(names, 0.5),
        }
        for count in (0, 8)
    ]
    files = write_curve(tmp_path / "new", title="Curve", points=points)
    text = files["markdown"].read_text()
    own = ["0.7900", DASH, "0.8000", "0.7900"], ["0.8100", "0.7000", "0.1900", "0.1600"]
    assert table(text) == [
        ["samples", "landslide IoU", "landslide F1", "mean IoU", "overall accuracy",
         "landslide IoU on the source", "mean IoU on the source"],
        ["0", "0.0000", "0.1000", "0.2000", "0.3000", "0.5000", "0.5000"],
        ["8", "0.0800", "0.1800", "0.2800", "0.3800", "0.5000", "0.5000"],
    ]  # fmt: skip
    assert table(text, 1) == [
        ["samples", "landslide", "road", "mean recall", "mean F1", "overall accuracy",
         "DP", "QP", "OE", "CE"],
        ["0", *own[0], "0.3000", *own[1]],
        ["8", *own[0], "0.3800", *own[1]],
    ]  # fmt: skip
    record = json.loads(files["json"].read_text())
    assert record["title"] == "Curve"
    assert record["points"][0]["target"]["precision"]["landslide"] == 0.79

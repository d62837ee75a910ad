"""The comparison of continual methods, from a summary worked out by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from landslide_tf.report import write_continual
from landslide_tf.report.pictures import save_figure

NAN = float("nan")
DASH, MINUS = "\u2013", "\u2212"


def numbers(mean, spread=0.05):
    """Mean, spread and interval of a scalar or of nested lists."""
    mean = np.asarray(mean, float)
    return {
        "mean": mean.tolist(),
        "std": None if spread is None else np.full_like(mean, spread).tolist(),
        "low": (mean - 0.1).tolist(),
        "high": (mean + 0.1).tolist(),
    }


def entry(about, matrix, zero_shot, scores):
    score = {"matrix": matrix, "zero_shot": zero_shot, "scores": scores}
    return {"about": about, "seeds": [0, 1], "iou": score, "f1": score}


@pytest.fixture
def summary():
    scores = {
        "final_average": numbers(0.45),
        "forgetting": numbers(-0.2),
        "forgetting_per_region": numbers([0.25]),
    }
    after = numbers([[0.5, NAN], [0.25, 0.75]])
    before = numbers([[NAN, 0.125], [NAN, NAN]])
    nothing = numbers([[NAN, NAN], [NAN, NAN]])
    once = numbers([[NAN, NAN], [0.5, 0.625]], None)
    return {
        "title": "Two\nregions",
        "regions": ["NORTH", "SOUTH"],
        "test_examples": [7, 9],
        "seeds": [0, 1],
        "bootstrap": {"level": 0.9, "samples": 50, "over": "test examples"},
        "revisions": ["0123456789abcdef"],
        "remark": "A remark.",
        "methods": {
            "tsmu": entry("one decoder a region", after, before, scores),
            "joint_all": entry("all at once", once, nothing, {}),
        },
        "cross": dict.fromkeys(("iou", "f1"), numbers([[0.5, 0.25], [0.125, 0.75]])),
    }


def cells(text, caption, method):
    """The cells of a method's row in the table below a caption."""
    below = text.split(f"{caption}", 1)[1].split("\n\n")[1]
    line = next(x for x in below.splitlines() if x.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def value(mean, spread=" ± 0.050"):
    text = f"{mean:.3f}{spread} [{mean - 0.1:.3f}, {mean + 0.1:.3f}]"
    return text.replace("-", MINUS)


def test_averages_final_scores_and_forgetting(summary, tmp_path):
    text = write_continual(tmp_path, summary=summary)["markdown"].read_text()
    assert text.startswith("# Two regions\n")
    assert cells(text, "IoU: averages over the regions.", "tsmu") == [
        "2", value(0.45), DASH, value(-0.2), DASH, DASH, DASH,
    ]  # fmt: skip
    final = "Final IoU by region"
    assert cells(text, final, "tsmu") == [value(0.25), value(0.75)]
    assert cells(text, final, "joint_all") == [value(0.5, ""), value(0.625, "")]
    # Each region's own network on its own region.
    assert cells(text, final, "fresh") == [value(0.5), value(0.75)]
    assert cells(text, "Forgetting by region", "tsmu") == [value(0.25), DASH]
    # A table that would be empty is left out.
    assert "Intransigence" not in text and "less a fresh network's" not in text


def test_matrices_show_regions_to_come_in_parentheses(summary, tmp_path):
    text = write_continual(tmp_path, summary=summary)["markdown"].read_text()
    assert cells(text, "`tsmu`; in parentheses", "after NORTH") == [
        value(0.5),
        f"({value(0.125)})",
    ]
    joint = text.split("`joint_all`; in parentheses", 1)[1].split("`fresh`: the")[0]
    assert "after NORTH" not in joint and "after SOUTH" in joint
    assert cells(text, "`fresh`: the network of one region", "SOUTH") == [
        value(0.125),
        value(0.75),
    ]


def test_what_was_compared_is_told(summary, tmp_path):
    files = write_continual(tmp_path, summary=summary)
    text, page = files["markdown"].read_text(), files["page"].read_text()
    for told in (
        "NORTH (7 test examples), SOUTH (9 test examples)",
        "Seeds 0, 1: mean",
        "90% interval of 50 bootstrap resamples of the test examples",
        "A remark.",
        "Revision 0123456789ab.",
    ):
        assert told in text and told in page
    assert "nan" not in text and 'src="data:image/png;base64' in page
    assert json.loads(files["json"].read_text())["remark"] == "A remark."
    summary |= {"remark": None, "revisions": []}
    text = write_continual(tmp_path, summary=summary)["markdown"].read_text()
    assert "Revision" not in text and "None" not in text


def test_the_picture_names_its_regions(summary, tmp_path, monkeypatch):
    drawn = []
    place = "landslide_tf.report.continual.save_figure"
    monkeypatch.setattr(
        place, lambda *args, **options: drawn.append(args) or save_figure(*args)
    )
    write_continual(tmp_path, summary=summary)
    axes = drawn[0][0].axes
    names = {
        axis.get_title(): [t.get_text() for t in axis.get_yticklabels()]
        for axis in axes
    }
    assert names["tsmu"] == ["NORTH", "SOUTH"]
    for axis in axes:
        assert [t.get_text() for t in axis.get_xticklabels()] == ["NORTH", "SOUTH"]
        assert axis.get_xlabel() == "tested on"
    told = {axis.get_title(): axis.get_ylabel() for axis in axes}
    up_to = "trained up to"
    assert told == {"tsmu": up_to, "joint_all": up_to, "fresh": "trained on"}


def test_the_picture_has_a_square_a_number(summary, tmp_path):
    path = write_continual(tmp_path, summary=summary)["picture"]
    drawn = np.asarray(Image.open(path).convert("RGB")).astype(int)
    # Ends and middle of matplotlib's viridis at 0.125, 0.5 and 0.75.
    for colour in ((71, 44, 122), (33, 145, 140), (94, 201, 98)):
        assert (np.abs(drawn - colour).max(axis=-1) <= 3).sum() > 300, colour

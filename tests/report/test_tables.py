import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.report import csv_text, format_cell, json_text, markdown_table

DASH = "\u2013"
MINUS = "\u2212"


def test_markdown_aligns_numbers_and_escapes_bars():
    text = markdown_table(["a|b", "n"], [["x|y\nz", 0.5], ["w", math.nan]], digits=2)
    assert (
        text
        == "| a\\|b | n |\n| :--- | ---: |\n| x\\|y z | 0.50 |\n| w | " + DASH + " |\n"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, DASH), (math.nan, DASH), (np.float32("nan"), DASH), (0.12345, "0.1235"),
        (-1.0, f"{MINUS}1.0000"), (1234567, "1\u202f234\u202f567"), (np.int64(5), "5"),
        (math.inf, "∞"), (-math.inf, f"{MINUS}∞"), (True, "yes"), ("text", "text"),
    ],
)  # fmt: skip
def test_cells_for_readers(value, expected):
    assert format_cell(value) == expected


def test_csv_keeps_every_digit_and_leaves_the_undefined_empty():
    text = csv_text(
        ["a", "b"], [["x,y", 1 / 3], [None, math.nan], ["z", np.float64(2)]]
    )
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [["a", "b"], ["x,y", repr(1 / 3)], ["", ""], ["z", "2.0"]]
    assert float(rows[1][1]) == 1 / 3


def test_json_is_valid_without_nan():
    value = {
        "nan": math.nan, "inf": [math.inf, -math.inf], "array": np.array([1.5, np.nan]),
        "scalar": np.float32("nan"), "count": np.int64(3), "path": Path("a") / "b",
        "nested": ({"x": np.bool_(True)},), "text": "Größe",
    }  # fmt: skip

    def refuse(name):
        raise AssertionError(name)

    read = json.loads(json_text(value), parse_constant=refuse)
    assert read == {
        "nan": None, "inf": [None, None], "array": [1.5, None], "scalar": None,
        "count": 3, "path": "a/b", "nested": [{"x": True}], "text": "Größe",
    }  # fmt: skip
    with pytest.raises(TypeError):
        json_text({"set": {1}})


def test_a_row_of_another_length_is_refused():
    for write in (markdown_table, csv_text):
        with pytest.raises(DataError, match=r"Row 1 must have 2 cells"):
            write(["a", "b"], [[1, 2], [3]])

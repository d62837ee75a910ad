"""The page of results is what its command writes from the records, and loses none."""

import json
import re
from pathlib import Path

import pytest

from tests.benchmarks import results

ROOT = Path(__file__).parent.parent
WORDS = (results.FOLDER / "results.md.jinja").read_text(encoding="utf-8")
PAGE = results.PAGE.read_text(encoding="utf-8")


def test_the_page_is_what_the_records_say():
    assert results.page() == PAGE, "Run `python -m tests.benchmarks.results`."


def test_every_table_is_on_the_page():
    named = set(re.findall(r'table\("(\w+)"\)', WORDS))
    assert named | {"mmlsv2_published"} == set(results.tables())


def test_a_changed_record_changes_the_page(tmp_path, monkeypatch):
    folder = tmp_path / "benchmarks"
    for path in results.FOLDER.rglob("*"):
        if path.suffix in {".json", ".yaml", ".jinja"}:
            copy = folder / path.relative_to(results.FOLDER)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    policies = folder / "kept" / "policies.json"
    record = json.loads(policies.read_text())
    record["rows"][0][1]["mean"] += 0.1
    policies.write_text(json.dumps(record))
    monkeypatch.setattr(results, "FOLDER", folder)
    changed = results.page()
    assert changed != PAGE and "0.779 ± 0.015" in changed


def test_every_table_has_a_command_in_its_section():
    """The nearest code block before a table is in the same part of the page."""
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[2:]:
        assert "| --- |" not in part or "```bash" in part, part.splitlines()[0]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0.5, "0.500"),
        (-0.5, "\N{MINUS SIGN}0.500"),
        (3, "3"),
        (None, ""),
        ({"mean": 0.5, "std": None}, "0.500"),
        ({"mean": 0.5, "std": 0.25}, "0.500 ± 0.250"),
        ({"value": 0.5, "low": 0.25, "high": 0.75}, "0.500 [0.250, 0.750]"),
        (
            {"estimate": 0.5, "low": -0.25, "high": 0.75},
            "+0.500 [\N{MINUS SIGN}0.250, +0.750]",
        ),
    ],
)
def test_cells(cell, text):
    assert results.shown(cell) == text

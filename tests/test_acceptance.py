"""The acceptance list names tests that are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIST = ROOT / "tests" / "ACCEPTANCE.md"


def rows():
    """The tests of every number."""
    found = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if cells := re.fullmatch(r"\| ([ELMT]?\d+) \| (.+) \| (.+) \|", line):
            number, _property, tests = cells.groups()
            assert number not in found, number
            names = re.findall(r"`([^`]+)`", tests)
            assert ", ".join(f"`{name}`" for name in names) == tests
            found[number] = names
    return found


@cache
def defined_in(path):
    """Names of the tests that a file defines, those of its classes included."""
    names = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = [v for v in inside if isinstance(v, ast.FunctionDef)]
        names |= {prefix + v.name for v in functions if v.name.startswith("test_")}
    return names


def test_every_number_has_tests():
    landslide_net = {f"L{n}" for n in (*range(1, 14), *range(15, 18))}
    maps = {f"M{n}" for n in range(1, 18)}
    evidential = {f"E{n}" for n in range(1, 14)}
    updates = {f"T{n}" for n in range(1, 15)}
    numbers = {str(n) for n in range(1, 24)} | landslide_net | maps | evidential
    numbers |= updates
    assert set(rows()) == numbers
    for names in rows().values():
        assert names and len(set(names)) == len(names)


@pytest.mark.parametrize(
    "test", sorted({t for names in rows().values() for t in names})
)
def test_exists(test):
    path, _, name = test.partition("::")
    assert name in defined_in(path)

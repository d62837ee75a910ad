"""Golden values of the evidential method."""

import json

import pytest


@pytest.fixture(scope="session")
def golden(shared):
    path = shared / "specs" / "golden" / "evidential_fusion.json"
    return json.loads(path.read_text(encoding="utf-8"))

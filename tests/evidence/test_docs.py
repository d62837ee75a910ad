"""The page about evidence: its code runs and its table is what the code gives."""

import re
from pathlib import Path

import numpy as np

from landslide_tf.evidence import fuse_branches

PAGE = Path(__file__).parents[2] / "docs" / "methods" / "evidential.md"


def test_the_code_runs():
    # The second block builds networks at full width: their own tests do that small.
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0]
    names = {}
    exec(code, names)
    assert names["result"].probabilities.shape == (1, 2)
    assert names["saliency"].shape == (64, 64)


def test_the_table_of_variants_is_current():
    lines = PAGE.read_text("utf-8").splitlines()
    start = next(i for i, v in enumerate(lines) if v.startswith("| P(landslide)"))
    columns = [v.strip() for v in lines[start].split("|")[2:-1]]
    rows = lines[start + 2 : start + 10]
    for row in rows:
        branches, *shown = row.split("|")[1:-1]
        landslide = np.array([float(v) for v in branches.split(",")])
        probabilities = np.stack([1 - landslide, landslide], axis=-1)
        for variant, value in zip(columns, shown, strict=True):
            found = fuse_branches(probabilities, variant).probabilities[1]
            assert f"{found:.4f}" == value.strip(), (row, variant)

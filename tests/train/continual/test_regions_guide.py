"""The guide to regions: its code runs, its commands and keys are there."""

import re
from pathlib import Path

from landslide_tf.train import load_continual_recipe
from landslide_tf.train.continual.methods import stage_names

PAGE = (Path(__file__).parents[3] / "docs/methods/tsmu.md").read_text("utf-8")


def test_the_code_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(code, names)
    assert names["probabilities"].shape == (2, 32, 32, 1)


def test_recipes_stages_and_keys_are_current():
    (name,) = re.findall(r"continual train (\w+) --out", PAGE)
    changes = re.findall(r"--set (\S+)`", PAGE)
    assert len(changes) == 2
    recipe = load_continual_recipe(name, changes)
    listed = re.findall(r"^\| `(\d_\w+)`", PAGE, re.MULTILINE)
    recorded = load_continual_recipe(name)
    assert listed == [s for s in stage_names(recorded) if s != "0_evaluate"]
    assert "1_record" not in stage_names(recipe)
    assert load_continual_recipe("tsmu_ecoregions")

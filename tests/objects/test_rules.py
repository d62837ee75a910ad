"""The geologic filter against bounds tried by hand."""

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.objects import (
    ATTRIBUTES,
    DEFAULT_RULES,
    Rule,
    apply_rules,
    fit_geologic_rules,
    read_rules,
    write_rules,
)


def made_up(seed, number):
    random = np.random.default_rng(seed)
    table = {name: random.gamma(2.0, 10.0, number) for name in ATTRIBUTES}
    for name in ATTRIBUTES[::3]:
        table[name][random.random(number) < 0.2] = np.nan
    return table


def test_every_object_is_kept_or_has_its_reasons_in_the_order_tried():
    table = made_up(0, 200)
    rules = [*DEFAULT_RULES, Rule("max", "solidity", 15, {"area_px": 20, "lwr": 9})]
    found = apply_rules(table, rules, 200)
    for index, names in enumerate(found.rejected_by):
        expected = []
        for rule in rules:
            if any(not table[k][index] >= v for k, v in rule.where.items()):
                continue
            value = table[rule.attribute][index]
            low = rule.side == "min" and value < rule.bound
            high = rule.side == "max" and value > rule.bound
            if low or high:
                expected.append(rule.name)
        assert list(names) == expected
    assert found.kept.tolist() == [not names for names in found.rejected_by]
    slope = int(np.isnan(table["slope_mean_deg"]).sum())
    assert found.not_evaluated.get("min_slope_mean_deg", 0) == slope


def test_no_rule_and_unknown_attributes_keep_everything():
    assert apply_rules({}, DEFAULT_RULES, 3).kept.all()
    assert apply_rules({}, DEFAULT_RULES, 3).not_evaluated["max_lwr"] == 3
    assert apply_rules(made_up(1, 5), (), 5).kept.all()


def test_bounds_are_those_that_the_spec_names():
    found = {rule.name: (rule.bound, dict(rule.where)) for rule in DEFAULT_RULES}
    assert found == {
        "min_area_m2": (100, {}),
        "min_area_px": (16, {}),
        "max_lwr": (12, {}),
        "max_rectangularity": (0.95, {"area_px": 64}),
        "min_slope_mean_deg": (8, {}),
        "min_relief_m": (5, {}),
        "min_probability": (0.5, {}),
    }


@pytest.mark.parametrize("seed", range(3))
def test_fitted_bounds_reject_more_false_than_true_objects_where_they_were_learned(
    seed,
):
    random = np.random.default_rng(seed)
    landslide = np.arange(300) < 150
    table = {
        # Roads are long; nothing else tells the two apart.
        "lwr": np.where(
            landslide, random.uniform(1, 6, 300), random.uniform(3, 40, 300)
        ),
        "solidity": random.uniform(0.5, 1, 300),
    }
    rules = fit_geologic_rules(table, landslide)
    assert "max_lwr" in {rule.name for rule in rules}
    for attribute in {rule.attribute for rule in rules}:
        own = [rule for rule in rules if rule.attribute == attribute]
        low, high = np.quantile(table[attribute][landslide], [0.02, 0.98])
        assert sorted(rule.bound for rule in own) == pytest.approx([low, high])
        rejected = ~apply_rules(table, own, 300).kept
        assert rejected[~landslide].sum() > rejected[landslide].sum()
    kept = apply_rules(table, rules, 300).kept
    assert kept[landslide].mean() >= 0.9


def test_rules_return_from_their_file(tmp_path):
    rules = (*DEFAULT_RULES, Rule("max", "solidity", 0.25, {"area_px": 20.0}))
    path = tmp_path / "rules.yaml"
    write_rules(rules, path)
    assert read_rules(path) == rules


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_lenght_m: 3", "Did you mean `max_length_m`"),
        ("lwr: 3", "cannot be `lwr`"),
        ("max_lwr: long", "must be a number or null, received `long`"),
        ("max_lwr: yes", "must be a number"),
        ("max_lwr: {least: 3}", "must hold `bound`"),
        ("max_lwr: {bound: 3, where: {max_area_px: 3}}", "`where` cannot be `max`"),
        ("- max_lwr", "must hold lines"),
        ("max_lwr: [", "cannot be read"),
    ],
)
def test_what_is_no_rule_is_one_line(tmp_path, text, message):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_rules(path)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("landslide", [[True, True], [False, False]])
def test_nothing_is_learned_of_one_kind(landslide):
    with pytest.raises(DataError, match="landslides of 2 objects"):
        fit_geologic_rules({"lwr": [1.0, 2.0]}, landslide)

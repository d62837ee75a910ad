"""Fusion of branches against golden values, and its promises."""

import itertools

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.evidence import (
    RULES,
    VARIANTS,
    Masses,
    branch_masses,
    combine_branches,
    fuse_branches,
    sharpen,
)

EXTREMES = (0.0, 1e-12, 0.5, 1 - 1e-12, 1.0)
# P(landslide) of three branches, and after released, inverse, support, mean.
COMPARISON = {
    (1, 1, 0): (0.9938, 0.9938, 0.9938, 0.8889),
    (1, 1, 0.5): (0.5, 1.0, 0.9973, 0.9896),
    (1, 0.9, 0.2): (0.0984, 0.9992, 0.9754, 0.9168),
    (0.999999, 0.999, 0.01): (0.0, 0.9945, 0.9934, 0.8890),
    (0.0003, 0.0025, 0.9153): (1.0, 0.0015, 0.0092, 0.1041),
    (0.02, 0.8, 0.8): (0.9981, 0.2917, 0.9374, 0.7689),
    (0.98, 0.4, 0.4): (0.1762, 0.9972, 0.5206, 0.7015),
    (0.6, 0.6, 0.6): (0.8241, 0.8241, 0.8241, 0.8241),
}


def two_classes(landslide):
    landslide = np.asarray(landslide, float)
    return np.stack([1 - landslide, landslide], axis=-1)


@pytest.fixture
def cases(golden):
    return golden["fusion_cases"]["cases"]


def test_every_golden_case_in_one_call(cases):
    probabilities = two_classes([case["p_landslide"] for case in cases])
    bba = np.stack([m.values for m in branch_masses(probabilities)], axis=1)
    np.testing.assert_allclose(bba, [c["bba"] for c in cases], rtol=0, atol=1e-12)
    for variant in VARIANTS:
        result = fuse_branches(probabilities, variant)
        for index, case in enumerate(cases):
            loose = variant == "released" and case["ill_conditioned"]
            atol = 1e-3 if loose else 1e-12
            expected = case[variant]
            for key, found in (
                ("weights", result.weights),
                ("prob", result.probabilities),
            ):
                np.testing.assert_allclose(
                    found[index], expected[key], rtol=0, atol=atol, err_msg=case["name"]
                )
            assert result.label[index] == expected["label"], case["name"]
            vacuity, average = expected["combined"][2], expected["average"]
            np.testing.assert_allclose(result.vacuity[index], vacuity, atol=atol)
            conflict = 2 * average[0] * average[1]
            np.testing.assert_allclose(result.conflict[index], conflict, atol=atol)


def test_comparison_of_the_variants():
    probabilities = two_classes(list(COMPARISON))
    columns = ("released", "inverse", "support", "mean")
    found = [fuse_branches(probabilities, v).probabilities[:, 1] for v in columns]
    expected = list(COMPARISON.values())
    np.testing.assert_allclose(np.transpose(found), expected, rtol=0, atol=5.1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_promises_of_every_variant(variant):
    rng = np.random.default_rng(2)
    probabilities = two_classes(rng.uniform(size=(40, 3)))
    result = fuse_branches(probabilities, variant)
    np.testing.assert_allclose(result.weights.sum(axis=-1), 1, rtol=0, atol=1e-12)
    assert result.weights.min() >= 0
    np.testing.assert_allclose(result.probabilities.sum(axis=-1), 1, atol=1e-12)
    for order in itertools.permutations(range(3)):
        other = fuse_branches(probabilities[:, order], variant)
        np.testing.assert_allclose(
            other.probabilities, result.probabilities, atol=1e-12
        )
        np.testing.assert_allclose(other.weights, result.weights[:, order], atol=1e-12)
    swapped = fuse_branches(probabilities[..., ::-1], variant)
    np.testing.assert_allclose(
        swapped.probabilities[:, ::-1], result.probabilities, atol=1e-12
    )
    same = fuse_branches(np.repeat(probabilities[:, :1], 3, axis=1), variant)
    np.testing.assert_allclose(same.weights, 1 / 3, atol=1e-12)
    ignorant = fuse_branches(np.full((3, 2), 0.5), variant)
    np.testing.assert_allclose(ignorant.probabilities, 0.5, atol=1e-12)
    assert ignorant.label == 0


@pytest.mark.parametrize("branches", [2, 3, 5])
@pytest.mark.parametrize("rule", RULES)
def test_saturated_branches_give_numbers(rule, branches):
    combinations = list(itertools.product(EXTREMES, repeat=branches))
    fused = combine_branches(two_classes(combinations), rule)
    assert np.isfinite(fused).all()
    assert fused.min() >= 0 and fused.max() <= 1 + 1e-12
    np.testing.assert_allclose(fused.sum(axis=-1), 1, rtol=0, atol=1e-12)


def test_single_precision_input_gives_numbers():
    saturated = two_classes([[1, 1, 1], [0, 0, 1]]).astype("float32")
    result = fuse_branches(saturated, "released")
    assert np.isfinite(result.weights).all()
    assert result.label.tolist() == [1, 0]


def test_undecided_branches_count_less_except_in_the_released_variant():
    # Pairwise-equal divergences by symmetry: only the entropies differ.
    weights = {}
    for variant in ("inverse", "released"):
        weights[variant] = [
            float(fuse_branches(two_classes([p, 0.9]), variant).weights[0])
            for p in (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
        ]
    assert (np.diff(weights["inverse"]) < 0).all()
    assert (np.diff(weights["released"]) > 0).all()


def test_two_certain_branches_beside_an_ignorant_one():
    probabilities = two_classes([1.0, 1.0, 0.5])
    assert fuse_branches(probabilities).label == 1
    released = fuse_branches(probabilities, "released")
    np.testing.assert_allclose(released.probabilities, 0.5, atol=1e-12)
    assert released.label == 0


def test_images_do_not_mix_and_leading_axes_stay():
    probabilities = two_classes(np.random.default_rng(3).uniform(size=(2, 5, 3)))
    for rule in RULES:
        together = combine_branches(probabilities, rule)
        assert together.shape == (2, 5, 2)
        alone = combine_branches(probabilities[1, 4], rule)
        np.testing.assert_allclose(together[1, 4], alone, rtol=0, atol=1e-13)
    result = fuse_branches(probabilities)
    assert result.weights.shape == (2, 5, 3)
    assert result.label.shape == result.conflict.shape == result.vacuity.shape == (2, 5)


def test_simple_rules_are_what_they_say():
    probabilities = two_classes([0.9, 0.6, 0.2])
    mean = combine_branches(probabilities, "probability_mean")
    np.testing.assert_allclose(mean, [1 - 1.7 / 3, 1.7 / 3])
    np.testing.assert_allclose(combine_branches(probabilities, "vote"), [1 / 3, 2 / 3])


@pytest.mark.parametrize(
    ("probabilities", "words"),
    [
        (np.full((4, 1, 2), 0.5), "two branches"),
        (np.full((4, 3, 3), 1 / 3), "shape"),
        ([0.5, 0.5], "shape"),
        ([[0.7, 0.7], [0.5, 0.5]], "sum of 1"),
        ([[1.2, -0.2], [0.5, 0.5]], "at least 0"),
        ([[np.nan, 1.0], [0.5, 0.5]], "at least 0"),
        ([[np.inf, 1.0], [0.5, 0.5]], "sum of 1"),
    ],
)
def test_what_are_no_probabilities_is_refused(probabilities, words):
    with pytest.raises(DataError, match=words):
        fuse_branches(probabilities)


def test_unknown_names_suggest_known_ones():
    with pytest.raises(DataError, match="Did you mean `inverse`"):
        fuse_branches(np.full((3, 2), 0.5), "invers")
    with pytest.raises(DataError, match="Did you mean `dempster`"):
        combine_branches(np.full((3, 2), 0.5), "demster")


def test_rows_near_enough_to_one_are_taken_as_they_are():
    near = fuse_branches([[0.4004, 0.6004], [0.4, 0.6], [1.0005, 0.0]])
    assert np.isfinite(near.probabilities).all()


def test_sharpening_keeps_its_promises():
    shares = np.linspace(0, 1, 101)
    branch = branch_masses(two_classes(np.stack([shares, shares], axis=1)))[0]
    names = (frozenset(["non-landslide"]), frozenset(["landslide"]))
    before, after = branch.as_dict(), sharpen(branch).as_dict()
    whole = names[0] | names[1]
    np.testing.assert_allclose(sum(after.values()), 1, rtol=0, atol=1e-12)
    signs = [np.sign(np.round(m[names[1]] - m[names[0]], 12)) for m in (before, after)]
    np.testing.assert_array_equal(*signs)
    assert (after[whole] <= before[whole]).all()
    for shares in ((0.0, 1.0), (0.5, 0.5)):
        fixed = dict(zip(names, shares, strict=True))
        found = sharpen(Masses.of({**fixed, whole: 0.0}, branch.frame)).as_dict()
        for focal, value in fixed.items():
            np.testing.assert_allclose(found[focal], value, rtol=0, atol=1e-12)

"""Masses, rules, transforms, entropies and divergences on any frame."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_tf.errors import DataError
from landslide_tf.evidence import (
    Masses,
    TotalConflictError,
    belief_jensen_renyi,
    belief_jensen_shannon,
    conjunctive,
    dempster,
    deng_entropy,
    discount,
    jousselme_distance,
    murphy,
    pignistic,
    renyi_entropy,
    sharpen,
    xiao,
    xiao_weights,
    yager,
)

SUBSETS = [frozenset(s) for s in ("a", "b", "c", "ab", "ac", "bc", "abc")]
EXACT = {"rtol": 0, "atol": 1e-12}


def masses(mapping, frame):
    return Masses.of({frozenset(key): value for key, value in mapping.items()}, frame)


def assert_masses(result, expected, atol=1e-12):
    """Compares with a mapping of strings; a set that is not named has mass 0."""
    wanted = {frozenset(key): value for key, value in expected.items()}
    found = result.as_dict()
    for focal in wanted.keys() | found.keys():
        got = found.get(focal, 0.0)
        np.testing.assert_allclose(got, wanted.get(focal, 0.0), rtol=0, atol=atol)


def random_masses(rng, images=()):
    values = rng.dirichlet(np.full(len(SUBSETS), 0.5), size=images)
    return Masses(tuple("abc"), tuple(SUBSETS), values)


@pytest.fixture
def named(golden):
    return {
        name: masses(case["mass"], case["frame"])
        for name, case in golden["named_bbas"].items()
    }


@pytest.fixture
def sensors(golden):
    return [masses(bba, "ABC") for bba in golden["xiao_target"]["bbas"]]


def test_measures_of_one_source_are_the_golden_ones(golden, named):
    for name, case in golden["named_bbas"].items():
        bba = named[name]
        np.testing.assert_allclose(deng_entropy(bba), case["deng"], **EXACT)
        np.testing.assert_allclose(renyi_entropy(bba), case["renyi_half"], **EXACT)
        shannon = renyi_entropy(bba, order=1)
        np.testing.assert_allclose(shannon, case["shannon_focal"], **EXACT)
        betp = [case["betp"][element] for element in bba.frame]
        np.testing.assert_allclose(pignistic(bba), betp, **EXACT)
        assert_masses(sharpen(bba), case["sharpened"])


def test_measures_of_pairs_are_the_golden_ones(golden, named):
    for case in golden["pairs"]:
        a, b = named[case["a"]], named[case["b"]]
        for value, key in (
            (conjunctive(a, b).conflict, "conflict"),
            (belief_jensen_shannon(a, b), "bjs"),
            (belief_jensen_renyi([a, b]), "bjr_half"),
            (belief_jensen_renyi([sharpen(a), sharpen(b)]), "bjr_half_sharpened"),
            (jousselme_distance(a, b), "jousselme"),
        ):
            np.testing.assert_allclose(value, case[key], **EXACT, err_msg=key)
        assert_masses(yager([a, b]), case["yager"])
        if case["dempster"] is None:
            with pytest.raises(TotalConflictError, match="Yager"):
                dempster([a, b])
        else:
            assert_masses(dempster([a, b]), case["dempster"])


def test_five_sensors_give_every_published_number(golden, sensors):
    case = golden["xiao_target"]
    bjs = [[belief_jensen_shannon(a, b) for b in sensors] for a in sensors]
    np.testing.assert_allclose(bjs, case["bjs_matrix"], **EXACT)
    np.testing.assert_allclose([deng_entropy(s) for s in sensors], case["deng"])
    np.testing.assert_allclose(xiao_weights(sensors), case["weights"], **EXACT)
    for number, fused in case["fused"].items():
        assert_masses(xiao(sensors[: int(number)]), fused)
        assert_masses(murphy(sensors[: int(number)]), case["murphy"][number])
    assert_masses(dempster(sensors), case["dempster"])
    assert_masses(yager(sensors), case["yager_sequential"])
    published = case["published_4dp"]
    assert_masses(xiao(sensors), published["xiao_2019"], atol=5.1e-5)
    assert_masses(murphy(sensors), published["murphy"], atol=5.1e-5)
    assert_masses(dempster(sensors), published["dempster"], atol=5.1e-5)


def test_three_sensors_with_nested_sets(golden):
    case = golden["three_sensor"]
    sources = [masses(bba, "ABC") for bba in case["bbas"]]
    np.testing.assert_allclose(xiao_weights(sources), case["weights"], **EXACT)
    assert_masses(xiao(sources), case["fused"])


def test_jousselme_on_twenty_classes(golden):
    frame = range(1, 21)
    certain = Masses.of({frozenset(range(1, 6)): 1.0}, frame)
    found = []
    for n in frame:
        parts = {frozenset({2, 3, 4}): 0.05, frozenset({7}): 0.05}
        parts[frozenset(frame)] = 0.1
        grown = frozenset(range(1, n + 1))
        parts[grown] = parts.get(grown, 0.0) + 0.8
        found.append(jousselme_distance(Masses.of(parts, frame), certain))
    np.testing.assert_allclose(found, golden["jousselme_20"]["distance"], **EXACT)


def test_discounting(golden, named):
    case = golden["discount"]
    bba = named[case["bba"]]
    assert_masses(discount(bba, case["alpha"]), case["result"])
    assert_masses(discount(bba, 1), golden["named_bbas"][case["bba"]]["mass"])
    assert_masses(discount(bba, 0), {"ab": 1.0})


def test_images_do_not_mix():
    rng = np.random.default_rng(0)
    sources = [random_masses(rng, (4, 2)) for _ in range(3)]
    for rule in (dempster, yager, murphy, xiao):
        together = rule(sources)
        for image in np.ndindex(4, 2):
            single = [Masses(s.frame, s.sets, s.values[image]) for s in sources]
            alone = rule(single)
            assert alone.sets == together.sets
            np.testing.assert_allclose(together.values[image], alone.values, **EXACT)
    alpha = rng.uniform(size=(4, 2))
    kept = discount(sources[0], alpha).as_dict()[frozenset("a")]
    np.testing.assert_allclose(kept, alpha * sources[0].as_dict()[frozenset("a")])
    assert deng_entropy(sources[0]).shape == pignistic(sources[0])[..., 0].shape


def test_belief_and_plausibility_bound_the_pignistic_probability():
    bba = random_masses(np.random.default_rng(1), (50,))
    for index, element in enumerate(bba.frame):
        probability = pignistic(bba)[:, index]
        assert np.all(bba.belief(element) <= probability + 1e-12)
        assert np.all(probability <= bba.plausibility(element) + 1e-12)
    np.testing.assert_allclose(bba.belief("ab"), 1 - bba.plausibility("c"), **EXACT)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_algebra_of_the_rules(seed):
    rng = np.random.default_rng(seed)
    a, b, c = (random_masses(rng) for _ in range(3))
    vacuous = masses({"abc": 1.0}, "abc")
    names = {frozenset(s): "".join(sorted(s)) for s in SUBSETS}

    def named_values(bba):
        return {names[key]: value for key, value in bba.as_dict().items()}

    assert_masses(dempster([a, b]), named_values(dempster([b, a])))
    left, right = dempster([dempster([a, b]), c]), dempster([a, dempster([b, c])])
    assert_masses(left, named_values(right))
    assert_masses(dempster([a, vacuous]), named_values(a))
    assert_masses(yager([a, vacuous]), named_values(dempster([a, vacuous])))
    for x, y in ((a, b), (b, c)):
        for divergence in (
            belief_jensen_shannon(x, y),
            belief_jensen_renyi([x, y]),
            jousselme_distance(x, y),
        ):
            assert divergence >= -1e-12
        assert 0 <= belief_jensen_shannon(x, y) <= 1
        np.testing.assert_allclose(
            belief_jensen_renyi([x, y]), belief_jensen_renyi([y, x]), atol=1e-15
        )
    triangle = jousselme_distance(a, b) + jousselme_distance(b, c)
    assert jousselme_distance(a, c) <= triangle + 1e-12
    assert jousselme_distance(a, a) == 0
    np.testing.assert_allclose(belief_jensen_renyi([a, a]), 0, atol=1e-15)


def test_disjoint_sources_can_diverge_by_more_than_one_bit():
    one, two = masses({"a": 1.0}, "abc"), masses({"b": 0.5, "c": 0.5}, "abc")
    np.testing.assert_allclose(belief_jensen_renyi([one, two]), 1.0431066, atol=5e-8)
    assert belief_jensen_renyi([one]) == 0
    assert jousselme_distance(one, masses({"b": 1.0}, "abc")) == 1


def test_sources_that_all_agree_have_equal_credibility():
    bba = masses({"a": 0.6, "b": 0.1, "ab": 0.3}, "ab")
    for volume in ("exponential", "inverse"):
        np.testing.assert_allclose(xiao_weights([bba] * 4, volume), 0.25)
    np.testing.assert_allclose(xiao_weights([bba]), [1.0])
    vague = masses({"a": 0.3, "b": 0.3, "ab": 0.4}, "ab")
    rewarding = xiao_weights([bba, vague], "exponential")
    punishing = xiao_weights([bba, vague], "inverse")
    assert rewarding[1] > 0.5 > punishing[1]


def test_one_image_in_total_conflict_is_counted():
    a = masses({"a": [1.0, 0.5], "b": [0.0, 0.5]}, "ab")
    b = masses({"b": 1.0}, "ab")
    with pytest.raises(TotalConflictError, match="1 of 2 images"):
        dempster([a, b])
    np.testing.assert_allclose(yager([a, b]).as_dict()[frozenset("ab")], [1.0, 0.5])


@pytest.mark.parametrize(
    ("mapping", "frame", "words"),
    [
        ({"a": 0.5, "b": 0.4}, "ab", "sum 1"),
        ({"a": 1.5, "b": -0.5}, "ab", "at least 0"),
        ({"a": math.nan, "b": 1.0}, "ab", "at least 0"),
        ({"": 0.5, "a": 0.5}, "ab", "empty set"),
        ({"c": 1.0}, "ab", "frozensets of"),
        ({"a": 1.0}, "aa", "distinct classes"),
        ({}, "ab", "at least one focal set"),
    ],
)
def test_masses_that_are_none_are_refused(mapping, frame, words):
    with pytest.raises(DataError, match=words):
        masses(mapping, frame)


def test_misuse_ends_in_one_line():
    a = masses({"a": 1.0}, "ab")
    for call, words in (
        (lambda: Masses(("a",), ("a",), np.ones(1)), "frozensets"),
        (lambda: Masses(("a",), (frozenset("a"),) * 2, np.full(2, 0.5)), "distinct"),
        (lambda: Masses(("a",), (frozenset("a"),), np.ones((3, 2))), "shape"),
        (lambda: dempster([]), "at least one source"),
        (lambda: murphy([]), "at least one source"),
        (lambda: dempster([a, masses({"a": 1.0}, "abc")]), "one frame"),
        (lambda: jousselme_distance(a, masses({"x": 1.0}, "xy")), "one frame"),
        (lambda: discount(a, 1.5), "fraction"),
        (lambda: discount(masses({"a": [1.0, 1.0]}, "ab"), [0.5] * 3), "each"),
        (lambda: renyi_entropy(a, order=0), "above 0"),
        (lambda: xiao([a, a], "inverted"), "Did you mean `inverse`"),
        (lambda: sharpen(Masses.of({frozenset(range(30)): 1}, range(30))), "at most"),
        (
            lambda: conjunctive(
                masses({"a": [1.0] * 2}, "ab"), masses({"a": [1.0] * 3}, "ab")
            ),
            "same images",
        ),
    ):
        with pytest.raises(DataError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)

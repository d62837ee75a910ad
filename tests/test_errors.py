"""The ends of error messages, and where warnings point to."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_tf.errors import (
    LISTED,
    DataError,
    ModelError,
    check_choice,
    did_you_mean,
    first_line,
    warn,
)

WORDS = ("median_frequency", "log", None)
NAMES = ("fstf_net", "rae_d", "unet", "deeplab_v3_plus")


def test_near_names_are_suggested_and_only_they():
    assert did_you_mean("fstfnet", NAMES) == " Did you mean `fstf_net`?"
    assert did_you_mean("unett", NAMES) == " Did you mean `unet`?"
    assert did_you_mean("ab1", ["ab2", "ab3", "zzz"]) == " Did you mean `ab3` or `ab2`?"


def test_without_a_near_name_all_are_listed_unless_they_are_too_many():
    known = " Known: `deeplab_v3_plus`, `fstf_net`, `rae_d`, `unet`."
    assert did_you_mean("xyz", NAMES) == known
    assert did_you_mean("q", (f"name{k:03}" for k in range(LISTED + 1))) == ""


@given(st.text(), st.sets(st.text(min_size=1), max_size=30))
def test_only_known_names_are_named(name, known):
    said = did_you_mean(name, known)
    assert said == "" or said[0] == " "
    if name in known:
        assert f"`{name}`" in said


@pytest.mark.parametrize("word", WORDS)
def test_a_known_word_passes(word):
    check_choice("rule", word, WORDS)


@pytest.mark.parametrize(
    ("word", "end"),
    [
        ("logs", "Did you mean `log`?"),
        ("none", "Known: `log`, `median_frequency`."),
        (3, "Known: `log`, `median_frequency`."),
    ],
)
def test_an_unknown_one_names_what_would_be_right(word, end):
    with pytest.raises(DataError) as caught:
        check_choice("rule", word, WORDS)
    assert str(caught.value) == f"`rule` cannot be `{word}`. {end}"


def test_the_caller_chooses_the_error_and_any_iterable():
    with pytest.raises(ModelError, match="`name` cannot be `c`"):
        check_choice("name", "c", (letter for letter in "ab"), ModelError)
    with pytest.raises(DataError, match="cannot be `None`"):
        check_choice("name", None, "ab")


def test_the_first_line_of_an_exception_is_its_class_where_it_says_nothing():
    assert first_line(ValueError("\n\n  no such band\nat line 3")) == "no such band"
    assert first_line(IndexError()) == "IndexError"


def called_in(module, inner):
    """A function of a module that calls another one."""
    names = {"__name__": module, "inner": inner}
    exec("def outer():\n    inner()", names)
    return names["outer"]


def test_a_warning_points_at_the_line_that_called_the_package():
    callback = called_in("landslide_tf.train", partial(warn, "slow", FutureWarning))
    fit = called_in("keras.trainer", callback)
    with pytest.warns(FutureWarning, match="slow") as caught:
        called_in("landslide_tf.train", fit)()
    assert [warning.filename for warning in caught] == [__file__]

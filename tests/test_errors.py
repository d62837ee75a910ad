"""The ends of error messages."""

from hypothesis import given
from hypothesis import strategies as st

from landslide_tf.errors import LISTED, did_you_mean

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

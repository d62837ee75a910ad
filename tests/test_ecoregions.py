"""Names of regions in every way that people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_tf.ecoregions import ANY, CODES, NO_REGION, REGIONS
from landslide_tf.ecoregions import region_index as index
from landslide_tf.ecoregions import region_name as plain
from landslide_tf.errors import DataError, ModelError


def written(name):
    """Ways to write a name."""
    blank = name.replace("_", " ")
    return {
        name,
        name.lower(),
        blank,
        blank.title(),
        f" {blank} ",
        blank.replace(" ", "-"),
    }


@pytest.mark.parametrize("number", range(len(REGIONS)))
def test_a_region_is_found_by_code_and_name(number):
    for name in written(REGIONS[number]) | written(CODES[number]):
        assert index(name) == number
        assert plain(name) == REGIONS[number]


def test_no_region_is_a_star():
    assert index(ANY) == index(f" {ANY} ") == NO_REGION


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_ -]*", fullmatch=True))
def test_the_form_of_a_name_is_its_own_form(name):
    found = plain(name)
    assert plain(found) == found == found.upper()
    assert not set(found) & set(" -")


@pytest.mark.parametrize("name", ["", "1st", "a/b", "..", "ä", "a.b", None, 3])
def test_other_names_are_refused(name):
    with pytest.raises(ModelError, match="must begin with a letter"):
        plain(name)


def test_an_unknown_ecoregion_is_named_with_near_ones():
    with pytest.raises(DataError, match=r"`north american`.*`NORTH_AMERICAN_DESERTS`"):
        index("north american")
    with pytest.raises(DataError, match="ETF, MWCF, NAD, NWFM"):
        index("Sahara")

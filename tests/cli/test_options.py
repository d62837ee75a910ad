"""What is read from the options that several commands share."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_tf.cli import options
from landslide_tf.errors import DataError, RecipeError

WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters=",="), min_size=1
).filter(lambda word: word.strip() == word)


@given(st.lists(WORDS, max_size=5))
def test_names_are_those_between_the_commas(words):
    assert options.names(",".join(words)) == tuple(words)
    assert options.names(" , ".join(words) + ",,") == tuple(words)


@given(st.dictionaries(WORDS, st.integers(0, 10**6), max_size=5))
def test_bands_are_numbers_by_name(bands):
    text = ", ".join(f"{name} = {number}" for name, number in bands.items())
    assert options.band_choice(text) == bands


def test_bands_are_names_too():
    chosen = options.band_choice("red=B04, nir = B8A,blue=1,green")
    assert chosen == {"red": "B04", "nir": "B8A", "blue": 1, "green": "green"}
    assert list(chosen) == ["red", "nir", "blue", "green"]
    assert options.band_choice("") == {}


@pytest.mark.parametrize("text", ["red=", "=3", "red=3,green="])
def test_other_bands_are_refused(text):
    with pytest.raises(DataError, match="Expected `--bands NAME=VALUE`") as caught:
        options.band_choice(text)
    assert text.split(",")[-1] in str(caught.value) and "\n" not in str(caught.value)


def test_named_values_keep_what_follows_the_first_sign():
    found = options.named_values("--factor", ["ndvi=a=b.tif", " dem = c d.tif "])
    assert found == {"ndvi": "a=b.tif", "dem": "c d.tif"}
    with pytest.raises(DataError, match="`--factor NAME=VALUE`, received `ndvi`"):
        options.named_values("--factor", ["ndvi"])


@given(st.text())
def test_a_file_s_name_has_no_folder_in_it(text):
    found = options.file_name(text)
    assert not set(found) & set('/\\:*?"<>| \n\t\0')
    assert options.file_name(found) == found


def test_folders_are_named_by_the_work_unless_they_are_given():
    assert options.run_folder(None, "unet-on-mmls/clean:test") == Path(
        "runs/unet-on-mmls-clean-test"
    )
    assert options.run_folder(None, "cas", (), "benchmarks") == Path("benchmarks/cas")
    assert options.run_folder(Path("a b/c"), "unet") == Path("a b/c")


def test_a_command_starts_with_a_recipe_or_resumes_a_run():
    assert options.recipe_to_start("unet", None, set=["a=1"], out=Path("x")) == "unet"
    assert options.recipe_to_start(None, Path("run"), set=[], out=None) == ""
    for recipe, resume in ((None, None), ("unet", Path("run"))):
        with pytest.raises(RecipeError, match="either a recipe or `--resume RUN`"):
            options.recipe_to_start(recipe, resume)
    for fixed in ({"set": ["a=1"]}, {"set": [], "out": Path("x")}):
        with pytest.raises(RecipeError, match="own recipe: no `--set`") as caught:
            options.recipe_to_start(
                None, Path("run"), **{"set": [], "out": None, **fixed}
            )
        assert "`--out`" in str(caught.value)


def test_the_command_can_be_given_again(monkeypatch):
    given = ["x", "train", "a recipe.yaml", "--set", "loss.name='dice'"]
    monkeypatch.setattr("sys.argv", given)
    assert shlex.split(options.command_line()) == ["landslide-tf", *given[1:]]

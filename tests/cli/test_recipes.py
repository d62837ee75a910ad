"""`landslide-tf recipes`: what is printed is what is trained."""

import pytest

from landslide_tf.train import (
    load_continual_recipe,
    load_recipe,
    shipped_continual_recipes,
    shipped_recipes,
)


def test_every_shipped_recipe_is_listed_with_its_description(command):
    code, out, _ = command("recipes", "list")
    assert code == 0
    plain, continual = out.split("for `landslide-tf continual train`:")
    for text, names, load in (
        (plain, shipped_recipes(), load_recipe),
        (continual, shipped_continual_recipes(), load_continual_recipe),
    ):
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) == len(names) > 0
        for name, line in zip(names, lines, strict=True):
            assert line.split()[0] == name
            assert line.endswith(load(name).description)


@pytest.mark.parametrize("name", ["fstf_net_mmls", "ada_net", "evidential_bijie"])
def test_a_shown_recipe_is_the_recipe(command, tmp_path, name):
    code, out, _ = command("recipes", "show", name)
    assert code == 0
    (tmp_path / "recipe.yaml").write_text(out)
    assert load_recipe(tmp_path / "recipe.yaml") == load_recipe(name)


def test_a_shown_continual_recipe_is_the_recipe(command, tmp_path):
    name = next(iter(shipped_continual_recipes()))
    code, out, _ = command("recipes", "show", name)
    assert code == 0
    (tmp_path / "recipe.yaml").write_text(out)
    assert load_continual_recipe(tmp_path / "recipe.yaml") == load_continual_recipe(
        name
    )

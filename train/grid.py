"""Grids: one YAML file is many runs that are to be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.train.recipe import Recipe, explain, load_recipe

# Values of a recipe by dotted key, whatever the key takes.
Changes = dict[str, Any]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GridRow(_Section):
    """A recipe of a grid."""

    recipe: str = Field(
        description="shipped recipe, or a YAML file beside the grid or in this folder"
    )
    name: str | None = Field(None, description="name in tables; None is the recipe's")
    set: Changes = Field({}, description="values to change, by `section.key`")


class Grid(_Section):
    """Which recipes, with which changes and seeds, are trained and compared.

    Every row is trained in every variant with every seed. The first row in the first
    variant is what the others are compared with.
    """

    description: str
    rows: Annotated[list[GridRow], Field(min_length=1)]
    variants: dict[str, Changes] = Field(
        {"": {}}, min_length=1, description="named changes, each for every row"
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    set: Changes = Field({}, description="values to change in every run")
    data: str | None = Field(
        None, description="what to evaluate on; None is each recipe's test split"
    )


@dataclass(frozen=True)
class GridRun:
    """One run of a grid.

    Attributes:
        row: Name of its row in tables.
        seed: Seed of the training.
        recipe: The recipe with every change and the seed.
        data: What it is evaluated on; None is the recipe's test split.
        key: Digest of recipe and data: runs with one key have one result.
    """

    row: str
    seed: int
    recipe: Recipe
    data: str | None
    key: str


def shipped_grids() -> dict[str, Path]:
    """Returns the grids of the package by name."""
    folder = resources.files("landslide_tf.train") / "grids"
    return {p.stem: p for p in sorted(Path(str(folder)).glob("*.yaml"))}


def load_grid(name: str | Path) -> tuple[Grid, list[GridRun]]:
    """Reads a grid and validates every recipe in it, before anything is trained.

    Args:
        name: Name of a shipped grid, or a YAML file.

    Returns:
        The grid and its runs: seed by seed, so that after a part of the time every
        row has been trained.

    Raises:
        RecipeError: If there is no such grid, or a key, a value or a recipe is not
            valid.
    """
    path = _find(name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise RecipeError(f"Grid `{path}` is not valid YAML: {line}") from error
    try:
        grid = Grid.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"Grid `{path}`: {explain(error, Grid)}") from error
    if len(set(grid.seeds)) != len(grid.seeds):
        raise RecipeError(f"Grid `{path}`: `seeds` repeats one: {grid.seeds}.")
    rows = _named_rows(grid, path)
    runs = []
    for seed in grid.seeds:
        for row, (recipe, changes) in rows.items():
            loaded = _load(recipe, {**changes, "training.seed": seed}, row, path)
            key = _digest(loaded, grid.data)
            runs.append(GridRun(row, seed, loaded, grid.data, key))
    return grid, runs


def _find(name: str | Path) -> Path:
    shipped = shipped_grids()
    path = shipped.get(str(name), Path(name))
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml"):
        raise RecipeError(f"Grid file `{path}` does not exist.")
    raise RecipeError(f"There is no grid `{name}`.{did_you_mean(str(name), shipped)}")


def _named_rows(grid: Grid, path: Path) -> dict[str, tuple[str, Changes]]:
    """Returns recipe and changes of each row in each variant, by name."""
    rows: dict[str, tuple[str, Changes]] = {}
    for row in grid.rows:
        for variant, changes in grid.variants.items():
            base = row.name or Path(row.recipe).stem
            name = f"{base}, {variant}" if variant else base
            if name in rows:
                raise RecipeError(
                    f"Grid `{path}`: two rows are called `{name}`: give each a `name`."
                )
            rows[name] = (row.recipe, {**grid.set, **row.set, **changes})
    return rows


def _load(recipe: str, changes: Mapping[str, Any], row: str, path: Path) -> Recipe:
    beside = path.parent / recipe
    written = [f"{key}={_yaml(value)}" for key, value in changes.items()]
    try:
        return load_recipe(beside if beside.is_file() else recipe, written)
    except RecipeError as error:
        raise RecipeError(f"Grid `{path}`, row `{row}`: {error}") from error


def _yaml(value: object) -> str:
    """Returns a value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("...\n").strip()


def _digest(recipe: Recipe, data: str | None) -> str:
    content = {"recipe": recipe.model_dump(mode="json"), "data": data}
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

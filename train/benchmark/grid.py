"""Grids: one YAML file is many runs that are to be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import Field

from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.metrics.bootstrap import SCORES
from landslide_tf.metrics.scores import AVERAGES, PER_CLASS
from landslide_tf.objects.scores import Match, ObjectScores
from landslide_tf.train.recipe.model import Section
from landslide_tf.train.recipe.schema import Recipe, check_network, read_recipe
from landslide_tf.train.recipe.yaml_files import read_yaml, shipped_files, validated
from landslide_tf.train.run.series import digest
from landslide_tf.train.transfer.compatibility import image_scale_for

# Values of a recipe by dotted key, whatever the key takes.
Changes = dict[str, Any]


class GridRow(Section):
    """A recipe of a grid."""

    recipe: str = Field(
        description="shipped recipe, or a YAML file beside the grid or in this folder"
    )
    name: str | None = Field(None, description="name in tables; None is the recipe's")
    set: Changes = Field({}, description="values to change, by `section.key`")


class GridTable(Section):
    """A table in the form of a publication's, beside that of all scores."""

    title: str
    note: str = Field("", description="what a reader has to know of it")
    columns: dict[str, str] = Field(
        min_length=1,
        description="number by heading, as a run's record has it: `scores.oa`, "
        "`scores.classes.CLASS.precision`, `objects.iou.dp`",
    )


class Grid(Section):
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
    like: str | None = Field(
        None, description="shipped grid whose keys hold where this one has none"
    )
    tables: list[GridTable] = Field(
        [], description="tables in the form of a publication's"
    )
    published: dict[str, dict[str, float]] = Field(
        {},
        description="published numbers in percent, by name of a row in tables, then by "
        "score or heading of a column of `tables`",
    )


@dataclass(frozen=True)
class GridChoice:
    """Selection of rows, data and seeds of a grid; empty selects all.

    Attributes:
        models: Names of rows, of their recipes or of their networks.
        data: Data sets, `name[/config]`, in place of the grid's variants.
        seeds: Seeds in place of the grid's.
        changes: Values to change in every run, `section.key=value`.
    """

    models: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class GridRun:
    """One run of a grid.

    Attributes:
        row: Name of its row in tables.
        seed: Seed of the training.
        recipe: The recipe with every change and the seed.
        data: What it is evaluated on; None is the recipe's test split.
        key: Digest of recipe and data: runs with one key have one result.
        published: Numbers that others print for this row, fractions, by score or
            heading of a column.
    """

    row: str
    seed: int
    recipe: Recipe
    data: str | None
    key: str
    published: Mapping[str, float] | None = None


def shipped_grids() -> dict[str, Path]:
    """Returns the grids of the package by name."""
    return shipped_files("landslide_tf.train.benchmark", "grids")


def read_grid(
    name: str | Path, choice: GridChoice | None = None
) -> tuple[Grid, list[GridRun]]:
    """Reads a grid and validates what needs no network, and therefore no Keras.

    Args:
        name: Name of a shipped grid, or a YAML file.
        choice: What to train of it.

    Returns:
        The grid and its runs, whose networks may not fit their data yet: seed by seed,
        so that after a part of the time every row has been trained.

    Raises:
        RecipeError: If there is no such grid, or a key, a value, a recipe or a choice
            is not valid.
        DataError: If there is no such data set, or it lacks a band.
    """
    shipped, choice = shipped_grids(), choice or GridChoice()
    path = shipped.get(str(name), Path(name))
    grid = validated(Grid, _content(name, shipped), f"Grid `{path}`")
    _check_tables(grid, path)
    _check_published(grid, path)
    if choice.seeds:
        grid = grid.model_copy(update={"seeds": list(choice.seeds)})
    if len(set(grid.seeds)) != len(grid.seeds):
        raise RecipeError(f"Grid `{path}`: `seeds` repeats one: {grid.seeds}.")
    if choice.models:
        grid.rows = _chosen_rows(grid, path, choice.models)
    if choice.data:
        grid.variants = {name: {"data.name": name} for name in choice.data}
    rows = _named_rows(grid, path)
    runs = []
    for seed in grid.seeds:
        for row, (recipe, changes) in rows.items():
            changes = {**changes, "training.seed": seed}
            if choice.data:
                own = _load(recipe, {}, row, path)
                changes["data.image_scale"] = image_scale_for(own, changes["data.name"])
            loaded = _load(recipe, changes, row, path, choice.changes)
            key = _key(loaded, grid.data)
            published = None
            if row in grid.published:
                printed = grid.published[row].items()
                published = {score: value / 100 for score, value in printed}
            runs.append(GridRun(row, seed, loaded, grid.data, key, published))
    return grid, runs


def check_networks(name: str | Path, runs: Sequence[GridRun]) -> None:
    """Refuses a grid with a network that does not exist or does not fit its data.

    This needs Keras; `read_grid` has checked the rest.

    Args:
        name: Name of the grid, or its file.
        runs: What `read_grid` has read.

    Raises:
        RecipeError: If a network, an argument of it or a channel is not valid.
    """
    path = shipped_grids().get(str(name), Path(name))
    for run in runs:
        try:
            check_network(run.recipe)
        except RecipeError as error:
            raise RecipeError(f"Grid `{path}`, row `{run.row}`: {error}") from error


def load_grid(
    name: str | Path, choice: GridChoice | None = None
) -> tuple[Grid, list[GridRun]]:
    """Reads a grid and validates every recipe in it, before anything is trained.

    Args:
        name: Name of a shipped grid, or a YAML file.
        choice: What to train of it.

    Returns:
        The grid and its runs, as `read_grid` gives them.

    Raises:
        RecipeError: If there is no such grid, or a key, a value, a recipe, a network
            or a choice is not valid.
        DataError: If there is no such data set, or it lacks a band.
    """
    grid, runs = read_grid(name, choice)
    check_networks(name, runs)
    return grid, runs


def _content(name: str | Path, shipped: Mapping[str, Path]) -> dict[str, Any]:
    """Returns the keys of a grid, with those of the grid that it is like."""
    content = read_yaml(name, shipped, "grid")
    if "like" not in content:
        return content
    return {**_content(str(content["like"]), shipped), **content}


def _check_tables(grid: Grid, path: Path) -> None:
    """Refuses columns that no record has; classes are those of the data."""
    scores = [f"scores.{name}" for name in AVERAGES]
    scores += [f"scores.classes.CLASS.{name}" for name in PER_CLASS]
    names = [field.name for field in fields(ObjectScores)]
    known = [*scores, *(f"objects.{m}.{n}" for m in get_args(Match) for n in names)]
    for table in grid.tables:
        for heading, column in table.columns.items():
            parts = column.split(".")
            if len(parts) == 4 and parts[:2] == ["scores", "classes"]:
                parts[2] = "CLASS"
            if ".".join(parts) not in known:
                raise RecipeError(
                    f"Grid `{path}`, `tables`: `{heading}` cannot be `{column}`: no "
                    f"run has such a number.{did_you_mean(column, known)}"
                )


def _check_published(grid: Grid, path: Path) -> None:
    rows = _named_rows(grid, path)
    headings = [heading for table in grid.tables for heading in table.columns]
    known = [*SCORES, *headings]
    for row, scores in grid.published.items():
        if row not in rows:
            raise RecipeError(
                f"Grid `{path}`, `published`: there is no row `{row}`."
                f"{did_you_mean(row, rows)}"
            )
        for score in scores:
            if score not in known:
                raise RecipeError(
                    f"Grid `{path}`, `published`: there is no score `{score}`."
                    f"{did_you_mean(score, known)}"
                )


def _chosen_rows(grid: Grid, path: Path, models: Sequence[str]) -> list[GridRow]:
    """Returns the rows that names of rows, recipes or networks choose."""
    known: dict[str, list[GridRow]] = {}
    for row in grid.rows:
        network = _load(row.recipe, {**grid.set, **row.set}, row.recipe, path).model
        for name in {row.name, Path(row.recipe).stem, network.name} - {None}:
            known.setdefault(str(name), []).append(row)
    chosen: list[GridRow] = []
    for name in models:
        if name not in known:
            raise RecipeError(
                f"Grid `{path}` has no model `{name}`: expected some of "
                f"{', '.join(known)}.{did_you_mean(name, known)}"
            )
        chosen += [row for row in known[name] if row not in chosen]
    return [row for row in grid.rows if row in chosen]


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


def _load(
    recipe: str,
    changes: Mapping[str, Any],
    row: str,
    path: Path,
    further: Sequence[str] = (),
) -> Recipe:
    beside = path.parent / recipe
    written = [f"{key}={_yaml(value)}" for key, value in changes.items()]
    written += further
    try:
        return read_recipe(beside if beside.is_file() else recipe, written)
    except RecipeError as error:
        raise RecipeError(f"Grid `{path}`, row `{row}`: {error}") from error


def _yaml(value: object) -> str:
    """Returns a value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return text.removesuffix("...\n").strip()


def _key(recipe: Recipe, data: str | None) -> str:
    # Without what is left as it was: a new option does not make old results void.
    chosen = recipe.model_dump(mode="json", exclude_defaults=True)
    return digest({"recipe": chosen, "data": data})

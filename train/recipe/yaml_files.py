"""Files of recipes and grids: reading, changing a value, naming a fault in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeGuard, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from landslide_tf.errors import RecipeError, did_you_mean

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(
    name: str | Path, shipped: Mapping[str, Path], kind: str = "recipe"
) -> dict[str, Any]:
    """Reads the content of a recipe, or of another file of sections.

    Args:
        name: Name of a shipped one, or a YAML file.
        shipped: Shipped ones by name.
        kind: What it is, for messages.

    Returns:
        The sections, not validated.

    Raises:
        RecipeError: If there is none of this name or it is not YAML.
    """
    path, title = shipped.get(str(name), Path(name)), kind.capitalize()
    if not path.is_file():
        if path.suffix in (".yaml", ".yml"):
            raise RecipeError(f"{title} file `{path}` does not exist.")
        raise RecipeError(
            f"There is no {kind} `{name}`.{did_you_mean(str(name), shipped)}"
        )
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise RecipeError(f"{title} `{path}` is not valid YAML: {line}") from error
    if not isinstance(content, dict):
        example = "rows" if kind == "grid" else "data"
        raise RecipeError(f"{title} `{path}` must hold sections such as `{example}:`.")
    return content


def apply_change(content: dict[str, Any], change: str) -> None:
    """Changes one value of a recipe's content, in place.

    Args:
        content: Sections, not validated.
        change: `section.key=value` with a YAML value.

    Raises:
        RecipeError: If the change is not of this form.
    """
    path, equals, value = change.partition("=")
    if not equals:
        raise RecipeError(f"Expected a change as `section.key=value`, got `{change}`.")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"`{change}`: `{value}` is not a YAML value.") from error
    assign(content, path.strip(), parsed)


def assign(content: dict[str, Any], key: str, value: object) -> None:
    """Sets a value of a recipe's content, in place.

    Args:
        content: Sections, not validated.
        key: `section.key`.
        value: The value.

    Raises:
        RecipeError: If what the key names as a section is none.
    """
    *sections, last = key.split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise RecipeError(f"`{key}`: `{section}` is a value, not a section.")
    content[last] = value


def validated(
    schema: type[Model],
    content: dict[str, Any],
    where: str,
    changes: Sequence[str] = (),
) -> Model:
    """Returns the content of a file of sections, changed and validated.

    Args:
        schema: What it has to be.
        content: Sections; changed in place.
        where: What has these sections, for messages.
        changes: Values to change, as `apply_change` takes them.

    Raises:
        RecipeError: If a change, a key or a value is not valid; one line names the
            first, what was expected and what was received.
    """
    for change in changes:
        apply_change(content, change)
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{where}: {_fault(error, schema)}") from error


def shipped_files(package: str, folder: str) -> dict[str, Path]:
    """Returns the YAML files of a package's folder by their names.

    Args:
        package: Its dotted name.
        folder: Name of the folder.
    """
    found = Path(str(resources.files(package) / folder)).glob("*.yaml")
    return {path.stem: path for path in sorted(found)}


def _fault(error: ValidationError, schema: type[BaseModel]) -> str:
    """Returns the first fault of a validation in one line, with near names."""
    first = error.errors()[0]
    # pydantic also names the form of a value, such as `literal['a','b']`.
    names = [str(p) for p in first["loc"] if p != "median" and "[" not in str(p)]
    key = ".".join(names)
    if first["type"] == "extra_forbidden":
        for name in names[:-1]:
            if name in schema.model_fields:  # else a place in a list of sections
                kind = schema.model_fields[name].annotation
                parts = (kind, *get_args(kind))  # those of `Section | None`
                schema = next((p for p in parts if _is_section(p)), schema)
        return f"unknown key `{key}`.{did_you_mean(names[-1], schema.model_fields)}"
    if first["type"] == "missing":
        return f"key `{key}` is missing."
    return f"`{key}`: {first['msg']}, received `{first['input']}`."


def _is_section(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)

"""Pages of the documentation site that are made of the code itself.

Each function returns Markdown by the page's path on the site.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import tempfile
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import typer
from absl import logging
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from landslide_tf.pipelines import DataDescription

Command = TyperCommand | TyperGroup
NOTHING = "\N{EN DASH}"


def made(root: Path) -> dict[str, str]:
    """Returns all pages that are made, by their path on the site.

    Args:
        root: The repository.
    """
    logging.set_verbosity(logging.ERROR)  # TFDS warns that no set is built
    return {
        **dataset_pages(root),
        **command_pages(),
        **api_pages(root),
        "recipes.md": recipe_page(),
    }


def table(head: list[str], rows: list[list[str]]) -> str:
    """Returns a Markdown table; `|` in a cell does not end it, nor in code."""
    lines = [head, ["---"] * len(head), *rows]
    bar = re.compile(r"(`[^`]*`)|\|")
    cells = (
        [bar.sub(lambda m: m[1] or "\\|", cell).replace("\n", " ") for cell in line]
        for line in lines
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def dataset_pages(root: Path) -> dict[str, str]:
    """Returns a page for every data set, from its builder and its README."""
    from landslide_tf.datasets import configurations

    found = {}
    for name, configs in configurations().items():
        folder = root / "datasets" / name
        readme = (folder / "README.md").read_text(encoding="utf-8")
        citations = (folder / "CITATIONS.bib").read_text(encoding="utf-8")
        text = [f"# {name}\n", _facts(name, configs), "## Description\n"]
        text.append(re.sub(r"^# .*\n", "", readme))
        text.append(f"\n## Citation\n\n```bibtex\n{citations.strip()}\n```\n")
        found[f"datasets/{name}.md"] = "\n".join(text)
    return found


def _facts(name: str, configs: list[str]) -> str:
    """Returns tables of what metadata say, and how one gets the files."""
    from landslide_tf.errors import LandslideTFError
    from landslide_tf.pipelines import describe, find_builder

    listed = ", ".join(f"`{config}`" for config in configs)
    with tempfile.TemporaryDirectory() as nowhere:
        builder = find_builder(name, data_dir=nowhere)
        metadata = builder.info.metadata
        try:
            described = describe(metadata, name, "")
        except LandslideTFError:
            described = None  # it depends on the user's files
    size = "differs, or is not known" if metadata["gsd"] is None else metadata["gsd"]
    facts = [
        ["configurations", listed],
        ["cell size, m", f"{size}"],
        ["licence", metadata["licence"]],
    ]
    if "tensorflow.org" not in builder.info.homepage:
        facts.append(["source", f"<{builder.info.homepage}>"])
    parts = [table(["", ""], facts)]
    if described is None:
        parts.append("Bands, units and classes are those of your files.\n")
    else:
        parts.append(_channels(described))
    parts.append("## How to get it\n")
    parts.append(
        inspect.cleandoc(builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "No download.")
    )
    parts.append(f"\n```bash\nlandslide-tf datasets build {name}\n```\n")
    return "\n".join(parts)


def _channels(described: DataDescription) -> str:
    """Returns tables of bands, factors and classes of the default configuration."""
    rows = []
    for channel in described.channels.values():
        limits = "" if channel.range is None else "{} to {}".format(*channel.range)
        rows.append([channel.feature, f"`{channel.name}`", channel.unit or "", limits])
    classes = ", ".join(
        f"{index} {label}" for index, label in enumerate(described.classes)
    )
    text = table(["input", "channel", "unit", "range"], rows)
    return f"{text}\nClasses: {classes}; 255 is ignored.\n"


def recipe_page() -> str:
    """Returns the shipped recipes, and every field of a recipe."""
    from landslide_tf import train

    rows = []
    for name, path in train.shipped_recipes().items():
        head = re.match(r"(?:#.*\n)*", path.read_text(encoding="utf-8"))
        said = re.sub(r"\s*\n# ?|^# ", " ", head.group() if head else "")
        score = re.search(r"Score: (.*?)\s*$", said.strip(), re.DOTALL)
        description = train.read_recipe(name).description
        rows.append([f"`{name}`", description, score.group(1) if score else ""])
    text = [
        "# Recipes\n",
        "A recipe is a YAML file that describes a training run completely. "
        "`landslide-tf recipes show NAME` prints one with every default, and "
        "`--set section.key=value` changes a value.\n",
        "## Shipped recipes\n",
        table(["name", "what it trains", "score"], rows),
        "## Fields\n",
    ]
    for title, field in train.Recipe.model_fields.items():
        section = _section(field.annotation)
        if section is None:
            continue
        text.append(f"### {title}\n")
        text.append((inspect.getdoc(section) or "").split("\n\n")[0] + "\n")
        fields = [_field(key, item) for key, item in section.model_fields.items()]
        text.append(table(["key", "takes", "default", "meaning"], fields))
    return "\n".join(text)


def _section(annotation: object) -> type[BaseModel] | None:
    """Returns the section that a field of a recipe holds, None for a plain value."""
    for choice in (annotation, *typing.get_args(annotation)):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None


def _field(key: str, field: FieldInfo) -> list[str]:
    """Returns the cells of a field: name, type, default and meaning."""
    default = "required" if field.is_required() else f"`{field.get_default()!r}`"
    limits = [
        f"{sign} {getattr(item, name)}"
        for item in field.metadata
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if getattr(item, name, None) is not None
    ]
    kind = ", ".join([f"`{_type_name(field.annotation)}`", *limits])
    if field.default_factory is not None:
        default = "see `recipes show`"
    return [f"`{key}`", kind, default, field.description or ""]


def _type_name(annotation: object) -> str:
    """Returns a type as one writes it, without the names of modules."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join(map(_type_name, typing.get_args(annotation)))
    text = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", str(annotation))
    return text.replace("NoneType", "None")


def command_pages() -> dict[str, str]:
    """Returns a page for every command, with the commands below it."""
    from landslide_tf.cli.main import app

    found = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        text = [f"# landslide-tf {name}\n"]
        for path, part in _commands(command, name):
            if path != name:
                text.append(f"## landslide-tf {path}\n")
            text.append(_described(part, path))
        found[f"commands/{name}.md"] = "\n".join(text)
    return found


def _commands(command: Command, name: str) -> Iterator[tuple[str, Command]]:
    """Yields a command and those below it, by what one types."""
    yield name, command
    for key, part in getattr(command, "commands", {}).items():
        yield from _commands(part, f"{name} {key}")


def _described(command: Command, name: str) -> str:
    """Returns what a command does, its example, and a table of its options."""
    said = inspect.cleandoc(command.help or "")
    said = re.sub(r"^Example: ((?:.*\\\n)*.*)$", r"```bash\n\1\n```", said, flags=re.M)
    context = command.context_class(command, info_name=f"landslide-tf {name}")
    rows = []
    for option in command.params:
        words = ", ".join((*option.opts, *option.secondary_opts))
        if isinstance(option, TyperArgument):
            words = option.display_name_raw
        takes = option.display_type_rich(ctx=context) or NOTHING
        takes = "flag" if takes == "<bool>" else takes.strip("<>")
        rows.append([f"`{words}`", f"`{takes}`", option.help or "", _default(option)])
    if not rows or hasattr(command, "commands"):
        return said + "\n"
    head = ["option", "takes", "meaning", "default"]
    return f"{said}\n\n{table(head, rows)}"


def _default(option: TyperOption | TyperArgument) -> str:
    """Returns the words for the default of an option."""
    shown = getattr(option, "show_default", None)
    if option.required:
        return "required"
    if isinstance(shown, str):
        return shown
    if option.default in (None, ""):
        return NOTHING
    if isinstance(option.default, bool):
        return "yes" if option.default else "no"
    return f"`{option.default}`"


def api_pages(root: Path) -> dict[str, str]:
    """Returns a page for every public package, with all of its public names."""
    names = (root / "tests" / "public_names.txt").read_text("utf-8").split()
    packages: dict[str, list[str]] = {}
    for name in names:
        package, _, last = name.rpartition(".")
        if any(other.startswith(f"{name}.") for other in names):
            packages.setdefault(name, [])
        elif not last.startswith("__"):
            packages.setdefault(package, []).append(name)
    found = {}
    for package, public in packages.items():
        if not public:
            continue
        text = [f"# {package}\n", f"::: {package}\n"]
        text.append("    options: {show_root_heading: false, members: []}\n")
        text += [_entry(name) for name in public]
        short = package.removeprefix("landslide_tf").lstrip(".") or "landslide_tf"
        found[f"api/{short}.md"] = "\n".join(text)
    return found


def _entry(name: str) -> str:
    """Returns what shows one public name.

    A function that hides the module of its name, as those of networks do, is shown
    from that module: the reader of docstrings would find the module.
    """
    package, _, last = name.rpartition(".")
    thing = getattr(importlib.import_module(package), last)
    if inspect.ismodule(thing) or importlib.util.find_spec(name) is None:
        return f"::: {name}\n"
    options = f"    options: {{heading: {name}, toc_label: {last}}}\n"
    anchor = f'<span id="{name}"></span>\n'
    return f"{anchor}\n::: {thing.__module__}.{last}\n{options}"

"""Options and arguments that several commands share, and what is read from them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.errors import DataError, RecipeError
from landslide_tf.outputs import check_apart

if TYPE_CHECKING:
    from typer.models import OptionInfo

    from landslide_tf.raster.dem import DemFiles
    from landslide_tf.raster.masks import MaskFiles
    from landslide_tf.train import Session

Recipe = Annotated[str, typer.Argument(help="Shipped recipe or YAML file.")]
NewRecipe = Annotated[str | None, typer.Argument(help="Shipped recipe or YAML file.")]
Run = Annotated[Path, typer.Argument(help="Run folder.")]
Resume = Annotated[
    Path | None, typer.Option("--resume", metavar="RUN", help="Run to resume.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a value: section.key=value. Repeatable."),
]
Export = Annotated[
    str | None, typer.Option(help="Also export: folder of the model's versions.")
]
Seed = Annotated[int, typer.Option(min=0, help="Draws other trials.")]
Seeds = Annotated[
    list[int] | None,
    typer.Option(min=0, help="A seed. Repeatable.", show_default="those of the file"),
]
Vary = Annotated[
    list[str] | None,
    typer.Option(help="A key that may differ. Repeatable.", show_default="all"),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="TFDS_DATA_DIR",
        help="Folder of built data sets.",
        show_default=False,
    ),
]
ManualDir = Annotated[
    Path | None,
    typer.Option(
        "--manual-dir",
        envvar="LANDSLIDE_TF_MANUAL_DIR",
        help="Folder with files you have to provide.",
        show_envvar=False,  # the line would break
    ),
]
Arrays = Annotated[
    Path | None,
    typer.Option(
        "--arrays",
        help="Folder of `datasets export-arrays`, read instead of TFDS.",
        show_default="the recipe's",
    ),
]
Bands = Annotated[
    str,
    typer.Option(help="Number or name: red=3,nir=B8; else by name."),
]
Positive = Annotated[str, typer.Option(help="Classes or values that are landslides.")]
Layer = Annotated[
    str | None,
    typer.Option(help="Layer of the polygons.", show_default="the only one"),
]
ClassField = Annotated[
    str | None,
    typer.Option(help="Field of their classes.", show_default="class"),
]
Dem = Annotated[
    list[str] | None, typer.Option(help="Elevations, any grid: file or tiles.")
]
Regions = Annotated[
    str | None, typer.Option(help="Or polygons: FILE, or FILE:FIELD of names.")
]
DemUnit = Annotated[
    str | None,
    typer.Option(help="metre, foot, us_survey_foot.", show_default="the DEM's"),
]
Distances = Annotated[
    str, typer.Option(help="Of slopes: in the projection (grid), or on the ground.")
]
DemNodata = Annotated[
    float | None,
    typer.Option(help="Value of missing cells.", show_default="the DEM's"),
]
Nodata = Annotated[
    float | None,
    typer.Option(help="Value of missing pixels.", show_default="the image's"),
]
Within = Annotated[
    str | None,
    typer.Option(metavar="FILE[:LAYER]", help="Polygons: what lies in them counts."),
]
Masks = Annotated[
    list[str] | None,
    typer.Option(
        "--mask",
        metavar="FILE[:VALUE,…]",
        help="What does not count: VALUE, or all but 0.",
    ),
]
MinSlope = Annotated[
    float | None,
    typer.Option(metavar="DEGREES", help="What is flatter does not count."),
]
Outside = Annotated[
    str,
    typer.Option(help="Beyond polygons: background, or ignore.", show_default=False),
]


TTA = Annotated[bool, typer.Option("--tta", help="Mean of eight sides.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace other files that are there.")
]


def folder(default: str) -> OptionInfo:
    """Returns the option of a folder to write, with the words for its default."""
    return typer.Option(help="Folder.", show_default=default)


def run_folder(
    given: Path | None,
    name: str,
    read: Iterable[str | Path | None] = (),
    parent: str = "runs",
) -> Path:
    """Returns the folder a command writes: as given, else by a name for its work.

    Args:
        given: What the user named.
        name: A name for the work.
        read: Files and folders that the command reads.
        parent: Where folders of such work lie.

    Returns:
        The folder.

    Raises:
        DataError: If it is, or holds, something that is read.
    """
    folder = given or Path(parent) / file_name(name)
    check_apart([folder], read)
    return folder


def recipe_file(recipe: str) -> Path | None:
    """Returns the file of a recipe or a grid, None where it is a shipped one."""
    return Path(recipe) if Path(recipe).is_file() else None


def file_name(text: str) -> str:
    """Returns a text with `-` for what does not belong in the name of a file."""
    return re.sub(r"[^\w.-]+", "-", text)


def recipe_to_start(recipe: str | None, resume: Path | None, **fixed: object) -> str:
    """Returns the recipe that a command starts with.

    Args:
        recipe: What the user named, if anything.
        resume: The run to resume, if any.
        fixed: By name the options that a run which is resumed has decided already.

    Returns:
        The recipe; empty where a run is resumed.

    Raises:
        RecipeError: If both or neither are given, or an option that cannot change.
    """
    if (recipe is None) == (resume is None):
        raise RecipeError("Give either a recipe or `--resume RUN`.")
    if resume is not None and any(value not in (None, []) for value in fixed.values()):
        *most, last = (f"`--{name}`" for name in fixed)
        raise RecipeError(
            f"`--resume` takes the run's own recipe: no {', '.join(most)} or {last}."
        )
    return recipe or ""


def names(text: str) -> tuple[str, ...]:
    """Returns the parts of `a,b,c`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def named_values(option: str, texts: list[str] | tuple[str, ...]) -> dict[str, str]:
    """Returns the values of an option that is given as `NAME=VALUE`.

    Raises:
        DataError: If a text has not this form.
    """
    found = {}
    for text in texts:
        name, mark, value = (part.strip() for part in text.partition("="))
        if not (name and mark and value):
            raise DataError(f"Expected `{option} NAME=VALUE`, received `{text}`.")
        found[name] = value
    return found


def file_and_name(text: str) -> tuple[Path, str | None]:
    """Returns file and name of `FILE:NAME`, None where only a file is named.

    A file whose name holds a colon is taken as it is.
    """
    path, mark, name = text.rpartition(":")
    if mark and name and "/" not in name and not Path(text).exists():
        return Path(path), name
    return Path(text), None


def region_file(text: str | None) -> tuple[Path | None, str]:
    """Returns file and field of `--regions FILE:FIELD`; the field is `region`."""
    path, name = (None, None) if text is None else file_and_name(text)
    return path, name or "region"


def dem_files(
    paths: Sequence[str | Path] | None, unit: str | None, nodata: float | None
) -> DemFiles | None:
    """Returns the elevation model of `--dem`, `--dem-unit` and `--dem-nodata`."""
    from landslide_tf.raster.dem import DemFiles

    return DemFiles(*paths, unit=unit, nodata=nodata) if paths else None


def mask_files(within: str | None, masks: Sequence[str] | None) -> MaskFiles:
    """Returns what `--within FILE[:LAYER]` and `--mask` name.

    Raises:
        DataError: If a value of a mask is no number.
    """
    from landslide_tf.raster.masks import Mask, MaskFiles

    area, layer = (None, None) if within is None else file_and_name(within)
    return MaskFiles(area, layer, tuple(Mask.parse(text) for text in masks or ()))


def band_choice(text: str) -> dict[str, int | str]:
    """Returns what `--bands` says, by band: its number or its name in the files.

    Raises:
        DataError: If the text has not the form `red=3,green=B03,blue`.
    """
    parts = [part if "=" in part else f"{part}={part}" for part in names(text)]
    values = named_values("--bands", parts)
    return {
        name: int(value) if value.isdecimal() else value
        for name, value in values.items()
    }


def command_line() -> str:
    """Returns the command as the user gave it."""
    return shlex.join(["landslide-tf", *sys.argv[1:]])


def session(
    data_dir: Path | None, manual_dir: Path | None, arrays: Path | None = None
) -> Session:
    """Returns the folders of a command's data, and the command itself."""
    from landslide_tf.train import Session

    return Session(data_dir, manual_dir, command_line(), arrays=arrays)

"""Options and arguments that several commands share, and what is read from them."""

from __future__ import annotations

import os
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

# Panels of options in `--help`; commands with few options have none of their own.
INPUT = "Input"
OUTPUT = "Output"
AREA = "Area to use"
DATA = "Data folders"
DETAILS = "Details"

Recipe = Annotated[
    str,
    typer.Argument(help="Name of a shipped recipe (`recipes list`), or a YAML file."),
]
NewRecipe = Annotated[
    str | None,
    typer.Argument(help="Name of a shipped recipe (`recipes list`), or a YAML file."),
]
Run = Annotated[Path, typer.Argument(help="Run folder that `train` wrote.")]
Resume = Annotated[
    Path | None,
    typer.Option(
        "--resume",
        metavar="RUN",
        help="Continue this interrupted run instead of starting a recipe.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a value of the recipe, e.g. training.epochs=20. Repeatable.",
    ),
]
Export = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Also export the model into this folder, as the next version.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(min=0, help="Random seed. Change it to draw other samples."),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option(
        min=0,
        metavar="SEED",
        help="Random seed to train with. Repeatable: one run per seed.",
        show_default="the seeds of the file",
    ),
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY",
        help="Recipe key that the search may change. Repeatable.",
        show_default="all keys of the search space",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="TFDS_DATA_DIR",
        help="Folder of the built data sets.",
        show_default="~/tensorflow_datasets",
        rich_help_panel=DATA,
    ),
]
ManualDir = Annotated[
    Path | None,
    typer.Option(
        "--manual-dir",
        envvar="LANDSLIDE_TF_MANUAL_DIR",
        help="Folder of the files that you downloaded yourself.",
        show_default="downloads/manual in the data folder",
        rich_help_panel=DATA,
    ),
]
Arrays = Annotated[
    Path | None,
    typer.Option(
        "--arrays",
        help="Folder that `datasets export-arrays` wrote, read instead of TFDS. "
        "Needed where TensorFlow is not installed.",
        show_default="the recipe's",
        rich_help_panel=DATA,
    ),
]
Bands = Annotated[
    str,
    typer.Option(
        metavar="NAME=BAND,…",
        help="Where the bands are: a number or a name in the file, e.g. red=3,nir=B8.",
        show_default="by the names in the file",
        rich_help_panel=INPUT,
    ),
]
Positive = Annotated[
    str,
    typer.Option(
        metavar="NAME,…",
        help="Classes or values of the labels that are landslides.",
        show_default="`landslide`; polygons without a class; raster value 1",
        rich_help_panel=INPUT,
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        help="Layer of the vector file that holds the polygons.",
        show_default="the only one",
        rich_help_panel=INPUT,
    ),
]
ClassField = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD",
        help="Field of the polygons that holds their class.",
        show_default="class",
        rich_help_panel=INPUT,
    ),
]
Dem = Annotated[
    list[str] | None,
    typer.Option(
        help="Elevation model on any grid; repeat the option for tiles of one model.",
        rich_help_panel=INPUT,
    ),
]
Regions = Annotated[
    str | None,
    typer.Option(
        metavar="FILE[:FIELD]",
        help="Polygons with region names in FIELD; the scene's place decides.",
        rich_help_panel=DETAILS,
    ),
]
DemUnit = Annotated[
    str | None,
    typer.Option(
        metavar="UNIT",
        help="Unit of the elevations: metre, foot or us_survey_foot.",
        show_default="as the file says, else metre",
        rich_help_panel=INPUT,
    ),
]
Distances = Annotated[
    str,
    typer.Option(
        help="How slopes measure distance: `grid` in the map projection, `ground` "
        "corrected for its scale.",
        rich_help_panel=INPUT,
    ),
]
DemNodata = Annotated[
    float | None,
    typer.Option(
        help="Elevation that stands for missing data.",
        show_default="the file's",
        rich_help_panel=INPUT,
    ),
]
Nodata = Annotated[
    float | None,
    typer.Option(
        help="Pixel value that stands for missing data.",
        show_default="the file's",
        rich_help_panel=INPUT,
    ),
]
Within = Annotated[
    str | None,
    typer.Option(
        metavar="FILE[:LAYER]",
        help="Use only the ground inside these polygons.",
        rich_help_panel=AREA,
    ),
]
Masks = Annotated[
    list[str] | None,
    typer.Option(
        "--mask",
        metavar="FILE[:VALUE,…]",
        help="Leave out pixels where this raster has one of the values (any value but "
        "0 if none is given), e.g. clouds or water. Repeatable.",
        rich_help_panel=AREA,
    ),
]
MinSlope = Annotated[
    float | None,
    typer.Option(
        metavar="DEGREES",
        help="Leave out ground that is flatter than this; needs a DEM.",
        rich_help_panel=AREA,
    ),
]
Outside = Annotated[
    str,
    typer.Option(
        help="What lies outside the polygons: `background`, or `ignore` if not "
        "everything was labelled.",
        rich_help_panel=AREA,
    ),
]


TTA = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="Test-time augmentation: average over the eight flips and rotations. "
        "Eight times slower, often slightly better.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace output files that already exist.")
]


def folder(default: str) -> OptionInfo:
    """Returns the option of a folder to write, with the words for its default."""
    return typer.Option(help="Folder to write.", show_default=default)


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


def file_and_name(text: str) -> tuple[str, str | None]:
    """Returns file and name of `FILE:NAME`, None where only a file is named.

    A file whose name holds a colon is taken as it is.
    """
    path, mark, name = text.rpartition(":")
    if mark and name and "/" not in name and not os.path.exists(text):
        return path, name
    return text, None


def region_file(text: str | None) -> tuple[str | None, str]:
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

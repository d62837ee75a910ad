"""The `landslide-tf` command."""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, TextIO

# TensorFlow reads this when it is first imported. Its C++ log is notes about the
# machine, "errors" such as the absence of a GPU among them; what fails raises.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import typer
from absl import logging

from landslide_tf.cli import (
    adapt,
    benchmark,
    changes,
    continual,
    datasets,
    demo,
    doctor,
    evaluate,
    evaluate_map,
    evidential,
    export,
    finetune,
    import_weights,
    inventory,
    map,
    map_region,
    prepare,
    recipes,
    recognise,
    terrain,
    train,
    tune,
)
from landslide_tf.cli.startup import keep_imports_quiet
from landslide_tf.errors import LandslideTFError
from landslide_tf.version import __version__

app = typer.Typer(
    name="landslide-tf",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"landslide-tf {__version__}")
        raise typer.Exit


# By panel of `landslide-tf --help`.
_COMMANDS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Start here": {"demo": demo.demo, "doctor": doctor.doctor},
    "Data": {
        "datasets": datasets.app,
        "prepare": prepare.prepare,
        "terrain": terrain.terrain,
    },
    "Train": {
        "recipes": recipes.app,
        "train": train.train,
        "tune": tune.tune,
        "finetune": finetune.finetune,
        "import-weights": import_weights.import_weights,
    },
    "Evaluate": {
        "evaluate": evaluate.evaluate,
        "evaluate-map": evaluate_map.evaluate_map,
        "benchmark": benchmark.benchmark,
    },
    "Map": {
        "map": map.map_scene,
        "map-region": map_region.map_region,
        "recognise": recognise.recognise,
        "changes": changes.changes,
        "inventory": inventory.app,
    },
    "Serve": {"export": export.export},
    "Methods": {
        "adapt": adapt.adapt,
        "continual": continual.app,
        "evidential": evidential.app,
    },
}


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Map landslides in images with Keras and TensorFlow.

    Every command explains itself: landslide-tf COMMAND --help

    Example: landslide-tf demo
    """


for _panel, _commands in _COMMANDS.items():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel)(_command)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Prints what a warning says, not where it was raised."""
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def _keep_notes_short() -> None:
    # TFDS warns there of its own deprecated calls.
    logging.set_verbosity(logging.ERROR)
    warnings.showwarning = _show_warning
    keep_imports_quiet()


if multiprocessing.current_process().name != "MainProcess":
    # A process that a command starts, such as a run of `benchmark`, imports this first.
    _keep_notes_short()


def main() -> None:
    """Runs the command line; what a user can put right is one line, mostly status 2."""
    _keep_notes_short()
    try:
        app()
    except LandslideTFError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.status)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

"""Training by several processes, on one host or many."""

from __future__ import annotations

import platform
from pathlib import Path

from landslide_tf.files import remove_leftovers
from landslide_tf.train.engine import fit, prepare, write_result
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.agreement import (
    check_folder,
    check_program,
    check_same_recipe,
)
from landslide_tf.train.run.folder import RunFolder, require_unused
from landslide_tf.train.run.hosts import Hosts
from landslide_tf.train.run.processes import Processes, joined, part
from landslide_tf.train.run.session import Session
from landslide_tf.train.run.supervision import MET


def train_together(
    recipe: Recipe | None,
    folder: str | Path,
    hosts: Hosts,
    session: Session | None = None,
) -> RunFolder | None:
    """Trains a recipe as one of several processes, each on its share of every batch.

    Every process calls this, with the same recipe and one folder that all of them see.
    Where the folder holds the run already, training goes on from its last checkpoint,
    so that the same calls do both. Numbers are those of one process but for rounding;
    those of a run that was interrupted are those of one that was not.

    Args:
        recipe: What to train; None resumes the run of the folder with its own.
        folder: The run folder.
        hosts: Where the processes meet, and which of them this is.
        session: Folders and output.

    Returns:
        The finished run in the first process; None in the others, whose part ends with
        the last step.

    Raises:
        RunError: If the processes do not meet or do not fit each other, the folder is
            in use, or checkpoints are damaged.
        RecipeError: If recipe and data do not fit.
        DataError: If data are missing or corrupt.
        LostProcessError: If another process ends.
    """
    run, session = RunFolder(Path(folder)), session or Session()
    with joined(hosts) as processes:
        print(
            f"{MET} {processes.number} of {processes.count} on {platform.node()}",
            flush=True,
        )
        check_program(recipe, processes)
        check_folder(run.path, processes)
        resumed = _holds_run(run, recipe is None, processes)
        wanted = run.read_recipe() if recipe is None else recipe
        prepared = prepare(wanted, session, resumed=recipe is None, processes=processes)
        if recipe is not None and resumed:
            processes.each(lambda: check_same_recipe(prepared.task.recipe, run))
        row = fit(prepared, run, session, resumed=resumed, processes=processes)
        part()
        if not processes.first:
            return None
        write_result(prepared, run, row, session.command)
    return run


def _holds_run(run: RunFolder, expected: bool, processes: Processes) -> bool:
    """Returns whether training goes on with the run of the folder.

    Raises:
        RunError: If the folder holds something else, or not the run that is expected.
    """

    def look() -> bool:
        if not (expected or run.recipe.is_file()):
            if processes.first:
                require_unused(run.path)
            return False
        run.check_recipe()
        run.check_resumable()
        return True

    if processes.first:
        remove_leftovers(run.path)
    return processes.exchange(processes.each(look))[0]

"""The comparison of continual methods: what is planned, trained and kept.

`summary` only reads what this module keeps.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from landslide_tf.errors import RecipeError
from landslide_tf.outputs import check_own_folder
from landslide_tf.train.continual.methods import METHODS, MethodOptions, check_methods
from landslide_tf.train.continual.recipe import ContinualRecipe
from landslide_tf.train.continual.regions import Regions
from landslide_tf.train.continual.training import run_method
from landslide_tf.train.run.devices import prepare_backend
from landslide_tf.train.run.folder import environment
from landslide_tf.train.run.series import (
    digest,
    read_record,
    run_missing,
    write_record,
)
from landslide_tf.train.run.session import Session

Record = dict[str, Any]  # JSON values
_OWN = {"cells", "work", "matrix.md", "matrix.json", "matrix.png", "matrix.html"}


@dataclass(frozen=True)
class MatrixRun:
    """One method with one seed.

    Attributes:
        method: A name of `METHODS`.
        seed: Seed of the training.
        recipe: The recipe with that seed.
        options: What baselines need.
    """

    method: str
    seed: int
    recipe: ContinualRecipe
    options: MethodOptions

    @property
    def key(self) -> str:
        """Digest of all that the result depends on."""
        options = asdict(self.options)
        own = {"ewc": ["ewc_strength"], "replay": ["buffer"], "joint_all": ["balance"]}
        chosen = {name: options[name] for name in own.get(self.method, [])}
        return digest({"method": self.method, "options": chosen, **self._content()})

    @property
    def work(self) -> str:
        """Name of the folder of its stages, shared by the methods of a seed."""
        return f"{self.seed}-{digest(self._content())}"

    def _content(self) -> Record:
        chosen = self.recipe.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={"description", "source"},
        )
        return {"recipe": chosen, "seed": self.seed}


def plan_matrix(
    recipe: ContinualRecipe,
    methods: Sequence[str] = (),
    seeds: Sequence[int] = (),
    options: MethodOptions | None = None,
) -> list[MatrixRun]:
    """Lists methods and seeds, seed by seed.

    Args:
        recipe: Regions, network and stages.
        methods: Names of `METHODS`; none is all.
        seeds: Seeds; none is the recipe's own.
        options: What baselines need.

    Returns:
        The runs.

    Raises:
        RecipeError: If there is no such method, or a seed repeats.
    """
    chosen = check_methods(methods or tuple(METHODS))
    wanted = list(seeds) or [recipe.training.seed]
    if len(set(wanted)) < len(wanted):
        raise RecipeError(f"Expected different seeds, received {wanted}.")
    runs = []
    for seed in wanted:
        training = recipe.training.model_copy(update={"seed": seed})
        seeded = recipe.model_copy(update={"training": training})
        options = options or MethodOptions()
        runs += [MatrixRun(method, seed, seeded, options) for method in chosen]
    return runs


@dataclass(frozen=True)
class MatrixFolder:
    """The files of a comparison.

    Attributes:
        path: The folder.
    """

    path: Path

    def record(self, run: MatrixRun) -> Path:
        """Returns the file of a run that has ended."""
        return self.path / "cells" / f"{run.method}-{run.seed}-{run.key}.json"

    def work(self, run: MatrixRun) -> Path:
        """Returns the folder of a run's stages while they are needed."""
        return self.path / "work" / run.work

    def read(self, run: MatrixRun) -> Record | None:
        """Returns the record of a run, None while it has not ended.

        Raises:
            RunError: If its file is damaged.
        """
        return read_record(self.record(run), "its method is trained anew")


def run_matrix(
    planned: Sequence[MatrixRun], folder: str | Path, session: Session | None = None
) -> Iterator[tuple[MatrixRun, bool]]:
    """Trains the missing runs of a comparison, in this process.

    Args:
        planned: From `plan_matrix`.
        folder: Folder of the comparison; may hold runs of an earlier call, and the
            stages of one that was killed, which is resumed.
        session: Folders of data and output.

    Yields:
        Each run once its record is there, and whether that was so before.

    Raises:
        RunError: If another process works in the folder or a file is damaged.
        DataError: If a region's data are missing or corrupt, or the folder holds
            something else.
    """
    place, session = MatrixFolder(Path(folder)), session or Session()
    check_own_folder(place.path, "a comparison", lambda path: path.name in _OWN)
    opened: dict[int, Regions] = {}  # of the seed at work

    def train(run: MatrixRun) -> Record:
        if run.seed not in opened:
            if not opened:
                prepare_backend(run.recipe.training)
            opened.clear()
            opened[run.seed] = Regions(run.recipe, session)
        record = _train(run, opened[run.seed], place)
        # What the last method has compiled is of no use to the next.
        keras.backend.clear_session()
        return record

    for run, _, before in run_missing(planned, place.path, place.read, train):
        yield run, before
    shutil.rmtree(place.path / "work", ignore_errors=True)


def _train(run: MatrixRun, regions: Regions, place: MatrixFolder) -> Record:
    started = time.perf_counter()
    work = place.work(run)
    result = run_method(run.method, regions, work, run.options)
    record = {
        "method": run.method,
        "seed": run.seed,
        "regions": regions.names,
        "steps": result.steps,
        "untrained": result.untrained,
        "seconds": round(time.perf_counter() - started, 1),
        "environment": environment(),
        "revision": _revision(),
        "command": regions.session.command,
    }
    write_record(place.record(run), record)
    shutil.rmtree(work / run.method, ignore_errors=True)
    return record


def _revision() -> str | None:
    """Returns the git revision of this code, None where it is installed without."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None

"""The comparison of continual methods: what is planned, trained and kept."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from landslide_tf.errors import RecipeError, RunError
from landslide_tf.files import atomic_path, remove_leftovers
from landslide_tf.train.continual.method_options import (
    METHODS,
    MethodOptions,
    check_methods,
)
from landslide_tf.train.continual.methods import RegionFiles, run_method
from landslide_tf.train.continual.recipe import ContinualRecipe
from landslide_tf.train.engine import Session, prepare_backend
from landslide_tf.train.run.folder import environment
from landslide_tf.train.search.folder import locked

Record = dict[str, Any]  # JSON values


@dataclass(frozen=True)
class MatrixCell:
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
        return _digest({"method": self.method, "options": chosen, **self._content()})

    @property
    def work(self) -> str:
        """Name of the folder of its stages, shared by the methods of a seed."""
        return f"{self.seed}-{_digest(self._content())}"

    def _content(self) -> Record:
        chosen = self.recipe.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={"description", "source"},
        )
        return {"recipe": chosen, "seed": self.seed}


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def plan_matrix(
    recipe: ContinualRecipe,
    methods: Sequence[str] = (),
    seeds: Sequence[int] = (),
    options: MethodOptions | None = None,
) -> list[MatrixCell]:
    """Lists methods and seeds, seed by seed.

    Args:
        recipe: Regions, network and stages.
        methods: Names of `METHODS`; none is all.
        seeds: Seeds; none is the recipe's own.
        options: What baselines need.

    Returns:
        The cells.

    Raises:
        RecipeError: If there is no such method, or a seed repeats.
    """
    chosen = check_methods(methods or tuple(METHODS))
    wanted = list(seeds) or [recipe.training.seed]
    if len(set(wanted)) < len(wanted):
        raise RecipeError(f"Expected different seeds, received {wanted}.")
    cells = []
    for seed in wanted:
        training = recipe.training.model_copy(update={"seed": seed})
        seeded = recipe.model_copy(update={"training": training})
        cells += [
            MatrixCell(method, seed, seeded, options or MethodOptions())
            for method in chosen
        ]
    return cells


@dataclass(frozen=True)
class MatrixFolder:
    """The files of a comparison.

    Attributes:
        path: The folder.
    """

    path: Path

    def record(self, cell: MatrixCell) -> Path:
        """Returns the file of a finished cell."""
        return self.path / "cells" / f"{cell.method}-{cell.seed}-{cell.key}.json"

    def work(self, cell: MatrixCell) -> Path:
        """Returns the folder of a cell's stages while they are needed."""
        return self.path / "work" / cell.work

    def read(self, cell: MatrixCell) -> Record | None:
        """Returns a finished cell.

        Raises:
            RunError: If its file is damaged.
        """
        path = self.record(cell)
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text())
        except ValueError as error:
            raise RunError(
                f"`{path}` is damaged: remove it, and its method is trained anew."
            ) from error


def run_matrix(
    planned: Sequence[MatrixCell], folder: str | Path, session: Session | None = None
) -> Iterator[tuple[MatrixCell, bool]]:
    """Trains what of a comparison is not yet there, in this process.

    Args:
        planned: From `plan_matrix`.
        folder: Folder of the comparison; may hold cells of an earlier call, and the
            stages of one that was killed, which goes on.
        session: Folders of data and output.

    Yields:
        Each cell once its file is there, and whether that was so before.

    Raises:
        RunError: If another process works in the folder or a file is damaged.
        DataError: If a region's data are missing or corrupt.
    """
    place, session = MatrixFolder(Path(folder)), session or Session()
    message = f"Another process works in `{folder}`: wait, or choose another `--out`."
    with locked(place.path, message):
        remove_leftovers(place.path)
        files: RegionFiles | None = None
        for cell in planned:
            found = place.read(cell) is not None
            if not found:
                if files is None or files.recipe is not cell.recipe:
                    if files is None:
                        prepare_backend(cell.recipe)
                    files = RegionFiles(cell.recipe, session)
                _run_cell(cell, files, place)
                # What the last method has compiled is of no use to the next.
                keras.backend.clear_session()
            yield cell, found
        shutil.rmtree(place.path / "work", ignore_errors=True)


def _run_cell(cell: MatrixCell, files: RegionFiles, place: MatrixFolder) -> None:
    started = time.perf_counter()
    work = place.work(cell)
    result = run_method(cell.method, files, work, cell.options)
    record = {
        "method": cell.method,
        "seed": cell.seed,
        "regions": files.names,
        "steps": result.steps,
        "untrained": result.untrained,
        "seconds": round(time.perf_counter() - started, 1),
        "environment": environment(),
        "revision": _revision(),
        "command": files.session.command,
    }
    path = place.record(cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, allow_nan=False) + "\n")
    shutil.rmtree(work / cell.method, ignore_errors=True)


def _revision() -> str | None:
    """Returns the git revision of this code, None where it is installed without."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None

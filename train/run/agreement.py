"""What processes that train one network together have to have in common.

Each finds out what it has, all compare it before the first step, and every one of them
says the same line where it differs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from landslide_tf.errors import RunError
from landslide_tf.files import file_in_passing
from landslide_tf.pipelines import ExampleStore
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder, versions
from landslide_tf.train.run.processes import Processes
from landslide_tf.train.run.series import digest
from landslide_tf.train.tasks.data import RunData

# Packages whose versions may differ: they do not reach the numbers of a step.
_OTHERS = ("python", "tensorflow-datasets")
# Seconds within which another machine sees what one has written into a folder.
_SEEN = 10


def check_program(recipe: Recipe | None, processes: Processes) -> None:
    """Refuses processes of other versions or with another recipe.

    Args:
        recipe: As this process was given it; None where a run is resumed.
        processes: Those that train together.

    Raises:
        RunError: If one differs.
    """
    installed = {k: v for k, v in versions().items() if k not in _OTHERS}
    processes.agree("installed", installed, "install the same on all")
    given = {} if recipe is None else flat(recipe.model_dump(mode="json"))
    given.pop("data.arrays", None)  # may lie elsewhere on each machine
    processes.agree("in its recipe", given, "give all the same recipe and `--set`")


def check_data(recipe: Recipe, data: RunData, processes: Processes) -> None:
    """Refuses processes that have read other data, or batches that cannot be shared.

    Args:
        recipe: With the values that come from data.
        data: What was read.
        processes: Those that train together.

    Raises:
        RunError: If the data differ, or examples are of several sizes.
    """
    specs = data.training.inputs.values()
    if any(side is None for spec in specs for side in spec.shape):
        raise RunError(
            "Several processes share batches of examples of one size: expected "
            "`training.patch`, received none for examples of several sizes."
        )
    read: dict[str, Any] = {
        "training examples": _named(data.store),
        "validation examples": _named(data.labelled.store),
    }
    processes.agree("read other data:", read, "give all the same data sets")
    found = flat(recipe.model_dump(mode="json"))
    found.pop("data.arrays", None)
    processes.agree("from its data", found, "give all the same data sets and devices")


def check_same_recipe(recipe: Recipe, run: RunFolder) -> None:
    """Refuses to go on with a run of another recipe.

    Args:
        recipe: With the values that come from data.
        run: The run.

    Raises:
        RunError: If the run's recipe has another value.
    """
    given = flat(recipe.model_dump(mode="json"))
    kept = flat(run.read_recipe().model_dump(mode="json"))
    for name in given | kept:
        if name != "data.arrays" and given.get(name) != kept.get(name):
            raise RunError(
                f"`{run.path}` is a run of another recipe, with `{name}` "
                f"{kept.get(name)}, received {given.get(name)}: choose another "
                "`--out`, or go on with it by `--resume`."
            )


def check_folder(folder: Path, processes: Processes) -> None:
    """Refuses a run folder that not every process sees.

    The first process writes a file into it, or into the nearest folder above that is
    there, and the others look for it.

    Args:
        folder: The run folder, as this process names it.
        processes: Those that train together.

    Raises:
        RunError: If one does not see it.
    """
    folder = folder.absolute()
    missing = sum(not part.exists() for part in (folder, *folder.parents))
    steps = processes.exchange(missing)[0]
    place = (folder, *folder.parents)[min(steps, len(folder.parents))]
    name = processes.exchange(f"shared-{secrets.token_hex(8)}")[0]
    with ExitStack() as stack:
        if processes.first:
            processes.each(lambda: stack.enter_context(file_in_passing(place / name)))
        else:
            processes.each(lambda: None)
        seen = processes.exchange(processes.first or _sees(place, name))
    for number, sees in enumerate(seen):
        if not sees:
            raise RunError(
                f"Process {number} does not see what process 0 writes for `{folder}`: "
                "`--out` must be a folder that all of them share."
            )


def _sees(place: Path, name: str) -> bool:
    deadline = time.monotonic() + _SEEN
    while True:
        if place.is_dir() and any(name in path.name for path in place.iterdir()):
            return True
        if not place.is_dir() or time.monotonic() > deadline:
            return False
        time.sleep(0.5)


def _named(store: ExampleStore) -> str:
    description = store.description
    ids = digest(list(store.ids))
    return f"{len(store)} of {description.name}:{description.split}, {ids}"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns JSON values by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found

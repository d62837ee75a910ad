"""The branches of the evidential classifier: one routine trains and predicts each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np

from landslide_tf.choices import Branch
from landslide_tf.errors import DataError, RecipeError, RunError, did_you_mean
from landslide_tf.models.prediction import Predict, prediction_function
from landslide_tf.pipelines import (
    Degradation,
    ExampleStore,
    branch_stores,
    hold_out,
    holds_labels,
    read_batches,
)
from landslide_tf.train.engine import train_or_resume
from landslide_tf.train.evidential.folder import (
    BRANCHES,
    PARTS,
    RECIPE,
    BranchFolder,
    Part,
)
from landslide_tf.train.evidential.predictions import (
    CLASSES,
    Predictions,
    read_predictions,
    write_predictions,
)
from landslide_tf.train.recipe.classification import ClassificationSection
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder, require_unused
from landslide_tf.train.run.series import run_missing
from landslide_tf.train.run.session import Session
from landslide_tf.train.tasks.classification import Classification
from landslide_tf.train.tasks.data import load_split

# Functions of loaded networks by run folder: loading and tracing take seconds.
Networks: TypeAlias = dict[Path, Predict]
_BATCH = 16


def train_branches(
    recipe: Recipe,
    folder: str | Path,
    session: Session | None = None,
    *,
    branches: Sequence[Branch] = BRANCHES,
    report: Callable[[str], None] = lambda line: None,
) -> BranchFolder:
    """Trains the branches of a recipe one after the other and lets them predict.

    The same call resumes branches that were interrupted, and leaves finished
    ones as they are. Validation and test predictions are written as one CSV file a
    branch, not calibrated.

    Args:
        recipe: A recipe with a section `classification`, whose `branch` is replaced.
        folder: Where to; missing, empty or of the same recipe.
        session: Folders of data and output.
        branches: Which to train.
        report: Called with a line about each step.

    Returns:
        The folder.

    Raises:
        RecipeError: If the recipe maps pixels, or does not fit the data.
        RunError: If the folder is in use.
        DataError: If data are missing or corrupt.
    """
    session = session or Session()
    recipe = _of_branch(recipe, "original")
    if session.arrays is not None:
        recipe.data.arrays = str(Path(session.arrays).resolve())
    for branch in branches:
        if branch not in BRANCHES:
            raise RecipeError(
                f"There is no branch `{branch}`.{did_you_mean(branch, BRANCHES)}"
            )
    found = BranchFolder(Path(folder))
    _claim(found, recipe)

    def ended(branch: Branch) -> RunFolder | None:
        return found.run(branch) if found.run(branch).model.is_file() else None

    def train(branch: Branch) -> RunFolder:
        report(f"training {branch}")
        # Layer names count from the first again, as in a process of its own.
        keras.utils.clear_session()
        run = found.run(branch).path
        return train_or_resume(_of_branch(recipe, branch), run, session)

    list(run_missing(branches, found.path, ended, train))
    networks: Networks = {}
    for part in PARTS:
        for name, told in predict_part(found, part, session, networks=networks).items():
            if not found.table(part, name).is_file():
                found.table(part, name).parent.mkdir(exist_ok=True)
                write_predictions(told, found.table(part, name))
    return found


def section_of(recipe: Recipe) -> ClassificationSection:
    """Returns the section `classification` of a recipe.

    Raises:
        RecipeError: If the recipe maps pixels.
    """
    if recipe.classification is None:
        raise RecipeError(
            "Expected a recipe with a section `classification`, received one that maps "
            "pixels; see `landslide-tf recipes show evidential_bijie`."
        )
    return recipe.classification


def _of_branch(recipe: Recipe, branch: Branch) -> Recipe:
    changed = recipe.model_copy(deep=True)
    section_of(changed).branch = branch
    return changed


def _claim(folder: BranchFolder, recipe: Recipe) -> None:
    """Marks a folder as that of a recipe, which the same command may resume."""
    path = folder.path
    if (path / RECIPE).is_file():
        if folder.read_recipe() != recipe:
            raise RunError(
                f"`{path}` is of another recipe: choose another `--out`, or give the "
                f"command that began it (`{path / RECIPE}`)."
            )
        return
    require_unused(path)
    path.mkdir(parents=True, exist_ok=True)
    recipe.write(path / RECIPE)


def predict_part(
    folder: BranchFolder,
    part: Part,
    session: Session,
    *,
    degradation: Degradation | None = None,
    networks: Networks | None = None,
) -> dict[str, Predictions]:
    """Returns what each trained branch predicts for a part, as it is kept if it is.

    Args:
        folder: The trained branches.
        part: `"validation"` or `"test"` of the recipe.
        session: Folders of data.
        degradation: Done to the images before their saliency is taken.
        networks: Keeps the loaded networks for further calls.

    Returns:
        The predictions by branch, not calibrated.

    Raises:
        RunError: If nothing is trained.
        DataError: If data are missing or corrupt.
    """
    if not folder.branches:
        raise RunError(f"`{folder.path}` has no trained branch.")
    kept = {branch: folder.table(part, branch) for branch in folder.branches}
    found: dict[str, Predictions] = {
        branch: read_predictions(path)
        for branch, path in kept.items()
        if degradation is None and path.is_file()
    }
    wanted = [branch for branch in folder.branches if branch not in found]
    if not wanted:
        return found
    recipe = folder.read_recipe()
    section = section_of(recipe)
    stores = branch_stores(
        load_part(recipe, part, session),
        wanted,
        mode=section.mode,
        border=section.border,
        degradation=degradation,
    )
    found |= {
        branch: predict(folder.run(branch), seen, networks)
        for branch, seen in stores.items()
    }
    return {branch: found[branch] for branch in folder.branches}


def load_part(recipe: Recipe, part: Part, session: Session) -> ExampleStore:
    """Loads the images on which a recipe validates or tests, as they are.

    Args:
        recipe: A recipe with a section `classification`.
        part: `"validation"` or `"test"`.
        session: Folders of data.

    Returns:
        The examples; validation may be the part that is held out of training.

    Raises:
        DataError: If data are missing, corrupt or have no labels of images.
    """
    data = recipe.data
    store = load_split(data.name, getattr(data, part), session, data.arrays)
    if not holds_labels(store) or store.description.classes != CLASSES:
        raise DataError(
            f"Data set `{data.name}` must give images the classes {CLASSES}, received "
            f"{store.description.classes}."
        )
    holdout = section_of(recipe).holdout
    if part == "validation" and holdout is not None:
        return hold_out(store, holdout)[1]
    return store


def predict(
    run: RunFolder, store: ExampleStore, networks: Networks | None = None
) -> Predictions:
    """Predicts every image of a branch's store.

    Args:
        run: The run of the branch.
        store: Images as the branch sees them, at their native size.
        networks: Keeps the loaded network for further calls.

    Returns:
        The predictions, not calibrated.

    Raises:
        RunError: If the run has no model.
    """
    recipe = run.read_recipe()
    networks = {} if networks is None else networks
    if run.path not in networks:
        networks[run.path] = prediction_function(run.load_model())
    batches = Classification(recipe).evaluation(store, _BATCH)
    function = networks[run.path]
    found = [(function(inputs), labels) for inputs, labels in read_batches(batches)]
    labels = np.concatenate([part for _, part in found]).astype(np.int64)
    files = tuple(
        f"{CLASSES[label]}/{name}.png"
        for name, label in zip(store.ids, labels, strict=True)
    )
    probabilities = np.concatenate([part for part, _ in found]).astype(np.float64)
    return Predictions(files, labels, probabilities)

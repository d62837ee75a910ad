"""Fine-tuning: a finished run goes on with a few examples of another region."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from landslide_tf.errors import RecipeError, RunError, did_you_mean
from landslide_tf.models.layer_groups import LAYER_GROUPS, NORMS
from landslide_tf.outputs import check_own_folder
from landslide_tf.pipelines import DataDescription, describe, split_name
from landslide_tf.pipelines.arrays import load_arrays
from landslide_tf.pipelines.built_sets import prepared_builder
from landslide_tf.pipelines.store import full_name
from landslide_tf.train.engine import train_or_resume
from landslide_tf.train.evaluate import Evaluation, evaluate_run
from landslide_tf.train.recipe.schema import Recipe, change_recipe
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.session import Session
from landslide_tf.train.tasks.data import load_stores
from landslide_tf.train.transfer.compatibility import (
    check_classes,
    recipe_for,
    start_values,
)
from landslide_tf.words import counted

NOTHING = "none"
# Below so many samples batch statistics are those of hardly more than one place.
FEW = 4
LEARNING_RATE_FACTOR = 0.1
EPOCHS, PATIENCE = 20, 10
STEPS = 4  # of an epoch at least
_OWN = re.compile(r"samples-\d+|curve\.(md|json)").fullmatch


@dataclass(frozen=True)
class FinetuneOptions:
    """How to fine-tune (Xia et al. 2021, section 4.3, name the remedy, not its form).

    Attributes:
        freeze: What stays as it is: `"none"`, `"bn"` (all batch norms, which then work
            as in inference), `"encoder"`, `"stage1"` to `"stage5"` of it, `"factors"`
            (their branch), or layer names with shell wildcards. None is `"none"`, or
            `"bn"` for fewer than 4 samples.
        seed: Draws the samples; None is the source's.
        changes: Further values of the recipe, `section.key=value`.
    """

    freeze: tuple[str, ...] | None = None
    seed: int | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CurvePoint:
    """Scores for one number of samples.

    Attributes:
        samples: Labelled examples of the target that were trained with; 0 = none.
        run: The fine-tuned run, or the source.
        target: Scores on the target's test split.
        source: Scores on the source's test split: what was forgotten.
    """

    samples: int
    run: RunFolder
    target: Evaluation
    source: Evaluation

    def as_dict(self) -> dict[str, Any]:
        """Returns the scores as JSON values."""
        both = {"target": self.target, "source": self.source}
        return {
            "samples": self.samples,
            "run": str(self.run.path),
            **{name: _values(evaluation) for name, evaluation in both.items()},
        }


def finetune_recipe(
    source: RunFolder,
    data: str,
    samples: int,
    options: FinetuneOptions | None = None,
    session: Session | None = None,
) -> Recipe:
    """Returns the recipe that continues a run on other data.

    A tenth of the learning rate, constant, for at most 20 epochs of at least four
    batches; a quarter as many further examples, at least one, choose the epoch.

    Args:
        source: A finished run.
        data: `name[/config]` of the target, of the source's classes and channels.
        samples: Labelled examples of its training split to train with, at least 1.
        options: How to fine-tune.
        session: Folders of data.

    Returns:
        The recipe; `train` trains it and `resume` resumes it.

    Raises:
        RecipeError: If an option does not fit the network.
        DataError: If the target is missing or of other classes or channels.
        RunError: If the source has not ended.
    """
    options, session = options or FinetuneOptions(), session or Session()
    name = _target_name(data)
    if samples < 1:
        raise RecipeError(f"Expected `samples` of at least 1, received {samples}.")
    metadata = source.read_metadata()
    if metadata.task != "segmentation":
        raise RunError(
            f"`{source.path}` gives whole images a class: expected a run that maps "
            "pixels."
        )
    description = _description(name, session)
    check_classes(metadata, description)
    recipe = recipe_for(source.read_recipe(), metadata, description)
    training = recipe.training
    freeze = options.freeze or ((NORMS,) if samples < FEW else (NOTHING,))
    values = {
        "description": (
            f"{counted(samples, 'sample')} of {name} for {metadata.name}: "
            f"{recipe.description}"
        ),
        "data.name": name,
        "data.arrays": None,
        "data.train": "train",
        "data.validation": "validation",
        "data.test": "test",
        "data.samples": samples,
        "data.validation_samples": max(1, samples // 4),
        **start_values(source, metadata),
        "model.freeze": _layers(freeze, source),
        "model.freeze_norms": NORMS in freeze,
        "optimizer.learning_rate": (
            recipe.optimizer.learning_rate * LEARNING_RATE_FACTOR
        ),
        "optimizer.accumulation": None,
        "optimizer.ema": None,
        "schedule": {},
        "decision": {},
        "adaptation": None,  # the target is labelled
        "training.epochs": EPOCHS,
        "training.patience": PATIENCE,
        "training.draws": math.ceil(STEPS * training.batch_size / samples),
        "training.positive_fraction": None,
        "training.steps": None,
        "training.save_steps": None,
        "training.devices": 1,
        "training.steps_per_execution": 1,
        "training.monitor": "val_landslide_iou",
        "training.mode": "max",
        "training.seed": training.seed if options.seed is None else options.seed,
    }
    return change_recipe(recipe, options.changes, values)


def finetune(
    source: str | Path,
    data: str,
    samples: Sequence[int],
    folder: str | Path,
    options: FinetuneOptions | None = None,
    session: Session | None = None,
) -> list[CurvePoint]:
    """Fine-tunes a run with several numbers of samples and scores each.

    The samples of a smaller number are among those of a larger one. The same call goes
    on where an earlier one was interrupted. The source itself, 0 samples, needs no
    more of the target than its test split, and may be of land cover where the target
    tells landslide from background only.

    Args:
        source: Folder of a finished run.
        data: As for `finetune_recipe`.
        samples: Numbers of samples; 0 is the source itself.
        folder: Gets a run folder `samples-<number>` for each.
        options: How to fine-tune.
        session: Folders of data and output.

    Returns:
        A point a number, ascending.

    Raises:
        RunError: If a run folder holds another run, or the source has not ended.
        RecipeError: If an option does not fit the network.
    from landslide_tf.outputs import check_own_folder
    """
    options, session = options or FinetuneOptions(), session or Session()
    place, start = Path(folder), RunFolder(Path(source))
    check_own_folder(place, "fine-tuned runs", lambda path: bool(_OWN(path.name)))
    if not samples or min(samples) < 0:
        raise RecipeError(
            f"Expected numbers of samples of at least 0, received {list(samples)}."
        )
    own = start.read_recipe()
    name, home = _target_name(data), own.data
    target_data = {"data.name": name, "data.arrays": None, "data.test": "test"}
    test = change_recipe(own, options.changes, target_data).data.test
    planned = {
        number: finetune_recipe(start, data, number, options, session)
        for number in sorted(set(samples) - {0})
    }
    runs = {number: RunFolder(place / f"samples-{number}") for number in planned}
    for number, recipe in planned.items():
        run, recipe = runs[number], session.with_arrays(recipe)
        load_stores(recipe, session)  # refuses too many samples before any work
        if run.recipe.is_file() and run.read_recipe() != recipe:
            raise RunError(
                f"`{run.path}` holds a run of another recipe: choose another `--out`."
            )
    if 0 in samples:
        runs = {0: start, **runs}
    points = []
    for number, run in runs.items():
        if number:
            train_or_resume(planned[number], run.path, session)
        there = f"{name}:{test}"
        target = evaluate_run(run, data=there, pictures=0, session=session)
        at_home = replace(session, arrays=home.arrays)
        back = evaluate_run(
            run, data=f"{home.name}:{home.test}", pictures=0, session=at_home
        )
        points.append(CurvePoint(number, run, target, back))
    return points


def _target_name(data: str) -> str:
    name, split = split_name(data)
    if split is not None:
        raise RecipeError(
            f"Expected data as `name[/config]`, received `{data}`; other splits are "
            f"`--set data.train={split}` and `--set data.test=...`."
        )
    return name


def _values(evaluation: Evaluation) -> dict[str, Any]:
    scores = evaluation.scores
    own = scores.of_class(evaluation.landslide)
    names = ("iou", "f1", "precision", "recall")
    precision = zip(evaluation.classes, scores.precision.tolist(), strict=True)
    return {
        "data": evaluation.data,
        **{f"landslide_{name}": own[name] for name in names},
        "miou": scores.miou,
        "oa": scores.oa,
        "mean_recall": scores.mean_recall,
        "mean_f1": scores.mean_f1,
        "precision": dict(precision),
        "objects": asdict(evaluation.objects["iou"].scores()),
    }


def _description(name: str, session: Session) -> DataDescription:
    """Returns what a data set says about itself, built first where it is missing."""
    if session.arrays is not None:
        return load_arrays(session.arrays, name, "train").description
    builder = prepared_builder(
        name, data_dir=session.data_dir, manual_dir=session.manual_dir
    )
    return describe(builder.info.metadata or {}, full_name(builder), "train")


def _layers(freeze: Sequence[str], run: RunFolder) -> list[str]:
    """Returns the patterns of layer names that groups and patterns stand for."""
    wanted = [name for name in freeze if name not in (NORMS, NOTHING)]
    if not wanted:
        return []
    names = [layer.name for layer in run.load_model().layers]
    patterns: list[str] = []
    for name in wanted:
        found = [p for p in LAYER_GROUPS.get(name, (name,)) if fnmatch.filter(names, p)]
        if not found:
            known = [NOTHING, NORMS, *LAYER_GROUPS]
            raise RecipeError(
                f"`{name}` names no layer of `{run.path}`: expected one of "
                f"{', '.join(known)} or layer names.{did_you_mean(name, known)}"
            )
        patterns += found
    return list(dict.fromkeys(patterns))

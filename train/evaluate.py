"""Evaluation of a run: one confusion matrix, object scores, examples to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError, RunError, warn
from landslide_tf.metadata import ModelMetadata
from landslide_tf.metrics import (
    ConfusionAccumulator,
    OneClassWarning,
    Scores,
    apply_temperature,
    decide,
    warn_of_one_class,
)
from landslide_tf.models.prediction import Predict, prediction_function
from landslide_tf.objects import ObjectCounts, object_counts
from landslide_tf.objects.scores import Match
from landslide_tf.pipelines import (
    EvaluationBatches,
    ExampleStore,
    PermutedBatches,
    split_name,
)
from landslide_tf.pipelines.inputs import Inputs
from landslide_tf.progress import with_progress
from landslide_tf.terrain import dihedral_mean
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.pictures import examples_to_show, rgb_image
from landslide_tf.train.run.session import Session
from landslide_tf.train.tasks import task_of
from landslide_tf.train.tasks.data import (
    input_selection,
    lack_of_landslides,
    load_split,
)
from landslide_tf.train.transfer.compatibility import (
    SharedClasses,
    recipe_for,
    selection_for,
    shared_classes,
)


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        metadata: The model's metadata.
        data: `name/config:split` of the examples.
        classes: Names of the classes that are scored, as the labels say: the model's,
            or background and landslide where the data set or the model tells no more
            apart.
        landslide: Index of the landslide class among them.
        scores: Pixel scores over all examples.
        ids: Name of each example.
        matrices: Confusion matrix of each example, int64 (examples, classes,
            classes), rows = reference.
        objects: Object counts by rule, summed over the examples.
        facts: What was evaluated and how, for a report's head.
        pictures: Keyword arguments of `report.Picture` for chosen examples.
    """

    metadata: ModelMetadata
    data: str
    classes: tuple[str, ...]
    landslide: int
    scores: Scores
    ids: tuple[str, ...]
    matrices: IntArray
    objects: dict[Match, ObjectCounts]
    facts: dict[str, str | int | float]
    pictures: list[dict[str, Any]]  # arrays and names, as `report.Picture` takes them

    @property
    def landslide_name(self) -> str:
        """What the labels call the landslide class."""
        return self.classes[self.landslide]

    @property
    def landslide_iou(self) -> float:
        """IoU of the landslide class."""
        return self.scores.of_class(self.landslide)["iou"]

    def object_table(self) -> dict[str, dict[str, Any]]:
        """Returns object counts and scores by rule, as JSON values."""
        return {
            match: {
                "tp": counts.tp,
                "fp": counts.fp,
                "fn": counts.fn,
                **counts.scores().as_dict(),
            }
            for match, counts in self.objects.items()
        }

    def contents(self) -> dict[str, Any]:
        """Returns the keyword arguments of `report.write_evaluation`, but the title."""
        return {
            "scores": self.scores.as_dict(),
            "objects": self.object_table(),
            "classes": self.classes,
            "landslide_class": self.landslide,
            "pictures": self.pictures,
            "facts": self.facts,
        }


def evaluate_run(
    run: RunFolder,
    *,
    data: str | None = None,
    permute: str | None = None,
    predict: Predict | None = None,
    tta: bool = False,
    pictures: int = 6,
    batch_size: int = 8,
    session: Session | None = None,
) -> Evaluation:
    """Evaluates a run's best model on whole examples.

    Args:
        run: The run.
        data: `name[/config][:split]`; None takes the recipe's test split.
        permute: Gives every example this input (`image`, `factors`), band or factor of
            another one; what the scores lose is what the model takes from it.
        predict: The same model in another form, from `image` and `factors` to
            probabilities; None takes the run's own.
        tta: Whether to average over the eight symmetries of the square (test-time
            augmentation), as `mapping.map_scene` does.
        pictures: Number of examples to show.
        batch_size: Most examples a batch.
        session: Folders of data; without `arrays` it takes the run's, if it has any
            and `data` is its data set.

    Returns:
        The evaluation.

    Raises:
        RunError: If the run has no model, or one that maps no pixels.
        DataError: If the data do not fit the model.
    """
    batches = _batches_of(run, data, batch_size, session or Session())
    known = run.read_metadata()
    if predict is None:
        predict = prediction_function(run.load_model())
    return _evaluate(predict, known, batches, permute, tta, pictures)


def example_inputs(
    run: RunFolder, data: str, *, count: int, session: Session | None = None
) -> list[Inputs]:
    """Returns model inputs of some examples, spread over a data set.

    Args:
        run: The run.
        data: `name[/config][:split]`.
        count: Their number, at most.
        session: Folders of data, as of `evaluate_run`.

    Returns:
        Inputs by name, float32 (1, H, W, C), of each example.

    Raises:
        DataError: If the data do not fit the model.
    """
    batches = _batches_of(run, data, 1, session or Session())
    total = len(batches.store)
    chosen = np.linspace(0, total - 1, min(count, total)).astype(int)
    return [batches.load([int(number)])[0] for number in chosen]


def _batches_of(
    run: RunFolder, data: str | None, batch_size: int, session: Session
) -> EvaluationBatches:
    recipe = run.read_recipe()
    if task_of(recipe).kind != "segmentation":
        raise RunError(
            f"`{run.path}` gives whole images a class: evaluate the folder of its "
            "branches with `landslide-tf evidential evaluate`."
        )
    name, split = split_name(data or f"{recipe.data.name}:{recipe.data.test}")
    arrays = session.arrays
    if arrays is None and name == recipe.data.name:
        arrays = recipe.data.arrays
    store = load_split(name, split or recipe.data.test, session, arrays)
    fitting = recipe_for(recipe, run.read_metadata(), store.description)
    return EvaluationBatches(store, input_selection(fitting), batch_size)


def evaluate_model(
    predict: Predict,
    metadata: ModelMetadata,
    *,
    data: str,
    permute: str | None = None,
    tta: bool = False,
    pictures: int = 6,
    batch_size: int = 8,
    session: Session | None = None,
) -> Evaluation:
    """Evaluates a model with its metadata on whole examples.

    Args:
        predict: From `image` and `factors` (B, H, W, C) to probabilities
            (B, H, W, classes), calibrated where the metadata have no temperature.
        metadata: Its `model.json`.
        data: `name[/config]:split`.
        permute: As of `evaluate_run`.
        tta: As of `evaluate_run`.
        pictures: Number of examples to show.
        batch_size: Most examples a batch.
        session: Folders of data.

    Returns:
        The evaluation.

    Raises:
        RunError: If the model maps no pixels.
        DataError: If the data do not fit the model, or no split is named.
    """
    if metadata.task != "segmentation":
        raise RunError(f"`{metadata.name}` gives whole images a class: it has no map.")
    session = session or Session()
    name, split = split_name(data)
    if split is None:
        raise DataError(
            f"Name the split of the data, `{name}:test`: received `{data}`."
        )
    store = load_split(name, split, session, session.arrays)
    selection = selection_for(metadata, store.description)
    batches = EvaluationBatches(store, selection, batch_size)
    return _evaluate(predict, metadata, batches, permute, tta, pictures)


def _evaluate(
    predict: Predict,
    metadata: ModelMetadata,
    batches: EvaluationBatches,
    permute: str | None,
    tta: bool,
    pictures: int,
) -> Evaluation:
    store = batches.store
    if permute is not None:
        batches = PermutedBatches(
            store, batches.selection, batches.batch_size, permuted=permute
        )
    shared = shared_classes(metadata, store.description)
    ids, matrices = [], []
    counts = {match: ObjectCounts(0, 0, 0, match) for match in get_args(Match)}
    shown = examples_to_show(store, pictures)
    drawn = []
    final = _calibrated(predict, metadata, tta)
    predictions = _predict(final, batches, metadata)
    for number, inputs, label, prediction in predictions:
        label, prediction = shared.of_data[label], shared.of_model[prediction]
        accumulator = ConfusionAccumulator(len(shared.names), IGNORE_VALUE)
        accumulator.update(label, prediction)
        ids.append(store.ids[number])
        matrices.append(accumulator.matrix)
        masks = label == shared.landslide, prediction == shared.landslide
        ignored = label == IGNORE_VALUE
        counts = {
            match: total + object_counts(*masks, match=match, ignore=ignored)
            for match, total in counts.items()
        }
        if number in shown:
            drawn.append(_picture(store, number, inputs, label, prediction, metadata))
    each = np.stack(matrices)
    full = f"{store.description.name}:{store.description.split}"
    scores = Scores.from_matrix(each.sum(axis=0), class_names=shared.names)
    if reason := lack_of_landslides(store):
        warn(
            f"{reason} Scores of the landslide have no value (nan) or say nothing.",
            OneClassWarning,
        )
    else:
        warn_of_one_class(scores, f"`{full}`")
    return Evaluation(
        metadata=metadata,
        data=full,
        classes=shared.names,
        landslide=shared.landslide,
        scores=scores,
        ids=tuple(ids),
        matrices=each,
        objects=counts,
        facts={"data": full, **_facts(metadata, len(store), shared, permute, tta)},
        pictures=drawn,
    )


def _facts(
    metadata: ModelMetadata,
    examples: int,
    shared: SharedClasses,
    permute: str | None,
    tta: bool,
) -> dict[str, str | int | float]:
    """Returns how a model was evaluated, for the head of a report."""
    facts: dict[str, str | int | float] = {
        "model": f"{metadata.builder} ({metadata.name})",
        "examples": examples,
        "threshold": "argmax" if metadata.threshold is None else metadata.threshold,
        "temperature": _temperature(metadata) or 1.0,
        "objects": "8-connected, at least 16 pixels, counted example by example",
    }
    if tta:
        facts["test-time augmentation"] = "mean over the eight flips and rotations"
    if permute:
        facts["permuted input"] = permute
    if shared.merged:
        name = shared.names[shared.landslide]
        facts["classes"] = f"whatever is no {name} counts as background"
    return facts


def _calibrated(predict: Predict, metadata: ModelMetadata, tta: bool) -> Predict:
    """Returns calibrated predictions, averaged over flips and rotations with `tta`."""
    temperature = _temperature(metadata)

    def calibrated(inputs: Mapping[str, FloatArray]) -> FloatArray:
        found = predict(inputs)
        return found if temperature is None else apply_temperature(found, temperature)

    if not tta:
        return calibrated
    kinds = [factor.name for factor in metadata.factors]
    return lambda inputs: dihedral_mean(calibrated, inputs, kinds)


def _predict(
    predict: Predict,
    batches: EvaluationBatches,
    metadata: ModelMetadata,
) -> Iterator[tuple[int, Inputs, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yields number, inputs, label and predicted classes of every example."""
    for group in with_progress(batches.numbers(), "Evaluating"):
        inputs, labels = batches.load(group)
        classes = decide(
            predict(inputs),
            landslide_class=metadata.landslide_class,
            threshold=metadata.threshold,
        )
        for place, number in enumerate(group):
            own = {key: value[place] for key, value in inputs.items()}
            yield number, own, labels[place], classes[place]


def _temperature(metadata: ModelMetadata) -> float | None:
    """Returns the temperature of a model of pixels, which has no branches."""
    found = metadata.temperature
    return None if isinstance(found, dict) else found


def _picture(
    store: ExampleStore,
    number: int,
    inputs: Inputs,
    label: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    metadata: ModelMetadata,
) -> dict[str, Any]:
    picture: dict[str, Any] = {  # as in Evaluation.pictures
        "id": store.ids[number],
        "image": rgb_image(inputs["image"], [band.name for band in metadata.inputs]),
        "truth": label,
        "prediction": prediction,
    }
    if "factors" in inputs:
        picture["factors"] = inputs["factors"]
        picture["factor_names"] = [factor.name for factor in metadata.factors]
    return picture

"""From a recipe with an `adaptation` section to what the engine trains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from landslide_tf.errors import DataError, RecipeError, RunError
from landslide_tf.metrics import ConfusionMatrix
from landslide_tf.models import output_space_discriminator, with_auxiliary
from landslide_tf.models.auxiliary import AUX, MAIN
from landslide_tf.pipelines import (
    DataDescription,
    EvaluationBatches,
    ExampleStore,
    InputSelection,
    split_name,
)
from landslide_tf.train.optimizers import LossScaleOptimizer
from landslide_tf.train.recipe.adaptation import AdaptationSection
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.recorder import RunRecorder
from landslide_tf.train.split_optimizer import SplitOptimizer
from landslide_tf.train.tasks.setup import (
    RunData,
    check_execution,
    load_split,
    make_loss,
    make_optimizer,
    make_rate,
)
from landslide_tf.train.transfer.adversarial import AdversarialModel
from landslide_tf.train.transfer.paired_batches import (
    PairedTraining,
    PairedValidation,
    load_unlabelled,
)

GOOD = 0.98  # of the best landslide IoU on the source
SHARES = (0.1, 10.0)  # times the landslide share of the source
PATIENCE = 3  # evaluations with another share before training ends
MONITORS = {
    "entropy": ("val_target_entropy", "min"),
    "target_iou": ("val_target_landslide_iou", "max"),
}
Row = Mapping[str, Any]  # a line of metrics.csv: numbers


class CollapseError(RunError):
    """Adaptation has lost the landslide class, or everything else, on the target."""


def settle_adaptation(recipe: Recipe) -> Recipe:
    """Returns a recipe whose monitor is what its `select` goes by.

    Raises:
        RecipeError: If an option has no meaning with two regions.
    """
    if recipe.training.pictures is not None:
        raise RecipeError("`training.pictures` does not work with `adaptation`.")
    for key in ("ema", "accumulation"):
        if getattr(recipe.optimizer, key) is not None:
            raise RecipeError(f"`optimizer.{key}` does not work with `adaptation`.")
    recipe = recipe.model_copy(deep=True)
    section = recipe.adaptation
    if section.arrays is not None:  # a run is resumed from anywhere
        section.arrays = str(Path(section.arrays).resolve())
    if section.select in MONITORS:
        recipe.training.monitor, recipe.training.mode = MONITORS[section.select]
    return recipe


def paired_batches(
    recipe: Recipe,
    batches: RunData,
    *,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> RunData:
    """Returns the streams of both regions.

    Args:
        recipe: The resolved recipe.
        batches: Those of the source.
        data_dir: Folder of built data sets.
        manual_dir: Folder with files the user has to provide.

    Raises:
        DataError: If the target is missing, or of other bands or factors.
    """
    section, training = recipe.adaptation, batches.training
    name, split = split_name(section.target)
    split = split or "train"
    folders = {
        "arrays": section.arrays,
        "data_dir": data_dir,
        "manual_dir": manual_dir,
    }
    target = load_unlabelled(name, split, **folders)
    source = training.store.description
    selection = target_selection(training.selection, source, target.description)
    enough = math.ceil(training.batch_size / len(target))
    stream = replace(
        training,
        store=target,
        selection=selection,
        draws=max(training.draws, enough),
        positive_fraction=None,
    )
    watched = section.validation or split
    if section.oracle:
        examples = load_split(name, watched, **folders)
        _check_classes(source, examples)
    else:
        examples = target
        if watched != split:
            examples = load_unlabelled(name, watched, **folders)
    validation = EvaluationBatches(examples, selection, batches.validation.batch_size)
    return RunData(
        PairedTraining(training, stream),
        PairedValidation(batches.validation, validation),
    )


def _check_classes(source: DataDescription, target: ExampleStore) -> None:
    classes = list(target.description.classes)
    if classes != list(source.classes):
        raise DataError(
            f"`{target.description.name}` has the classes {classes}, expected the "
            f"source's {list(source.classes)}; without `adaptation.oracle` they do not "
            "matter."
        )


def target_selection(
    selection: InputSelection, source: DataDescription, target: DataDescription
) -> InputSelection:
    """Returns the selection that gives the target's channels the source's range.

    Raises:
        DataError: If a factor has another unit, or the bands need a scale each.
    """
    scales = set()
    for name in (*selection.image, *selection.factors):
        if name not in target.channels:
            raise DataError(
                f"Data set `{target.name}` has no band or factor `{name}`, which the "
                "network takes."
            )
        own, other = source.channels[name], target.channels[name]
        if name in selection.factors:
            if own.unit != other.unit:
                raise DataError(
                    f"`{target.name}` has `{name}` in `{other.unit}`, expected the "
                    f"source's `{own.unit}`."
                )
        elif own.range and other.range and other.range[1] > 0:
            scales.add(round(own.range[1] / other.range[1], 6))
    if len(scales) > 1:
        raise DataError(
            f"The bands of `{target.name}` need a scale each to have the ranges of "
            f"`{source.name}` ({sorted(scales)}): scale them first."
        )
    scale = scales.pop() if scales else 1.0
    return replace(selection, image_scale=selection.image_scale * scale)


def adversarial_model(
    network: keras.Model,
    recipe: Recipe,
    description: DataDescription,
    steps_per_epoch: int,
) -> AdversarialModel:
    """Returns the compiled model of both players.

    Args:
        network: Gives logits; its weights are those to start with.
        recipe: The resolved recipe.
        description: The source.
        steps_per_epoch: Steps of an epoch.

    Raises:
        RecipeError: If an option does not fit.
        ModelError: If there is no such `aux_layer`.
    """
    section = recipe.adaptation
    check_execution(recipe, steps_per_epoch)
    generator, levels = network, [MAIN]
    if section.aux_layer is not None:
        generator, levels = with_auxiliary(network, section.aux_layer), [MAIN, AUX]
    if section.freeze_affine:
        _freeze_affine(network)
    classes = len(description.classes)
    model = AdversarialModel(
        generator,
        network,
        {
            level: output_space_discriminator(
                classes,
                filters=section.filters,
                kernel_initializer=section.kernel_initializer,
                name=f"discriminator_{level}",
            )
            for level in levels
        },
        loss=make_loss(recipe),
        segmentation={MAIN: 1.0, AUX: section.aux_segmentation},
        adversarial={MAIN: section.weight, AUX: section.aux_weight},
        game=section.game,
        label_noise=section.label_noise,
        confusion=ConfusionMatrix(
            classes,
            landslide_class=description.landslide_class,
            class_names=description.classes,
        ),
        oracle=section.oracle,
    )
    optimizer = _optimizer(recipe, steps_per_epoch, len(generator.trainable_variables))
    if recipe.training.precision == "mixed_float16":
        optimizer = LossScaleOptimizer(optimizer)
    model.compile(
        optimizer=optimizer,
        jit_compile=recipe.training.jit_compile or keras.backend.backend() == "jax",
        steps_per_execution=recipe.training.steps_per_execution,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _freeze_affine(network: keras.Model) -> None:
    for layer in network._flatten_layers():  # those within other layers too
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in (layer.gamma, layer.beta):
                if variable is not None:
                    variable.trainable = False


def _optimizer(recipe: Recipe, steps_per_epoch: int, count: int) -> SplitOptimizer:
    section = recipe.adaptation
    base = section.learning_rate
    if section.rate_of_generator:
        base = recipe.optimizer.learning_rate
    rate = make_rate(recipe, steps_per_epoch, base)
    return SplitOptimizer(
        make_optimizer(recipe, steps_per_epoch),
        keras.optimizers.Adam(rate, beta_1=0.9, beta_2=0.99),
        count,
    )


class InferenceAfter(keras.callbacks.Callback):
    """Ends every epoch with the network in inference mode.

    ADANet's released trainer validates within an epoch and does not go back to
    training mode before the next. The step is traced once for each mode.

    Args:
        steps: Steps of an epoch in training mode.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps
        self._functions: dict[bool, Any] = {}  # compiled steps, of Keras's own type

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Changes the mode where it is due."""
        late = batch >= self._steps
        if late == self.model.inference:
            return
        self._functions[self.model.inference] = self.model.train_function
        self.model.inference = late
        if late in self._functions:
            self.model.train_function = self._functions[late]
        else:
            self.model.make_train_function(force=True)


def callbacks_of(section: AdaptationSection) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that a recipe's section asks for."""
    if section.inference_after is None:
        return []
    return [InferenceAfter(section.inference_after)]


class AdaptationRecorder(RunRecorder):
    """Keeps an epoch without looking at the target's labels, and notices a collapse.

    Args:
        run: Folder of the run.
        recipe: Its recipe.
    """

    def __init__(self, run: RunFolder, recipe: Recipe) -> None:
        super().__init__(run, recipe.training)
        self._select = recipe.adaptation.select

    def end_epoch(self, model: keras.Model, epoch: int, logs: dict[str, float]) -> None:
        """Records an epoch.

        Args:
            model: The model in training.
            epoch: The epoch, 0-based.
            logs: What Keras logged.

        Raises:
            CollapseError: If the target's landslide share has been out of all
                proportion in the last three epochs.
        """
        rows = [*self.rows, logs][-PATIENCE:]
        if len(rows) == PATIENCE and not any(map(_plausible, rows)):
            found, known = logs["val_target_fraction"], logs["val_source_fraction"]
            raise CollapseError(
                f"Epoch {epoch + 1}: {found:.3%} of the target is mapped as landslide "
                f"where {known:.3%} of the source is, out of proportion for {PATIENCE} "
                "epochs in a row: the adaptation has collapsed; lower "
                "`adaptation.weight` or the learning rates."
            )
        super().end_epoch(model, epoch, logs)

    def _is_better(self, row: dict[str, Any]) -> bool:
        if self._select == "target_iou":
            return super()._is_better(row)
        return kept_epoch(self.rows, self._select) == len(self.rows) - 1


def kept_epoch(rows: Sequence[Row], select: str) -> int:
    """Returns the epoch whose weights are kept, by rules that need no target labels.

    Args:
        rows: A row an epoch.
        select: `"last"`; or `"entropy"`: the lowest mean entropy of the target's
            pixels among the epochs with at least 0.98 of the best landslide IoU on
            the source so far, and a landslide share on the target within 0.1 and 10
            times the source's. An epoch is judged as it ends: once the IoU has risen
            enough, an earlier choice gives way.

    Returns:
        Its number, 0-based.
    """
    if select == "last":
        return len(rows) - 1
    kept = 0
    best = -math.inf
    for number, row in enumerate(rows):
        iou = _iou(row)
        best = max(best, iou)

        def fits(other: Row, limit: float = GOOD * best) -> bool:
            return _iou(other) >= limit and _plausible(other)

        lower = row["val_target_entropy"] < rows[kept]["val_target_entropy"]
        better = fits(row) and (lower or not fits(rows[kept]))
        if better or not _plausible(rows[kept]):
            kept = number
    return kept


def _iou(row: Row) -> float:
    value = row["val_landslide_iou"]
    return 0.0 if math.isnan(value) else value


def _plausible(row: Row) -> bool:
    low, high = (factor * row["val_source_fraction"] for factor in SHARES)
    return low <= row["val_target_fraction"] <= high

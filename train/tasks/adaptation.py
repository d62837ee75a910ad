"""Two regions: a labelled source, and a target without labels to adapt to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from landslide_tf.choices import Mode
from landslide_tf.errors import DataError, RecipeError, RunError
from landslide_tf.metadata import ModelMetadata
from landslide_tf.models import output_space_discriminator, with_auxiliary
from landslide_tf.models.ada_net import AUX, MAIN
from landslide_tf.models.layer_groups import batch_norms
from landslide_tf.pipelines import EvaluationBatches, ExampleStore, split_name
from landslide_tf.train.optimizers import SplitOptimizer
from landslide_tf.train.recipe.adaptation import AdaptationSection, Selection
from landslide_tf.train.recipe.schema import Recipe, TrainingSection
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.processes import ALONE, Processes
from landslide_tf.train.run.recorder import RunRecorder
from landslide_tf.train.run.session import Session
from landslide_tf.train.tasks.compilation import (
    compile_model,
    confusion_matrix,
    make_loss,
    make_optimizer,
    make_rate,
)
from landslide_tf.train.tasks.data import RunData, load_split
from landslide_tf.train.tasks.segmentation import Segmentation
from landslide_tf.train.tasks.task import Row
from landslide_tf.train.transfer.adversarial import AdversarialModel, InferenceAfter
from landslide_tf.train.transfer.compatibility import target_selection
from landslide_tf.train.transfer.paired_batches import (
    PairedTraining,
    PairedValidation,
    load_unlabelled,
)

GOOD = 0.98  # of the best landslide IoU on the source
SHARES = (0.1, 10.0)  # times the landslide share of the source
PATIENCE = 3  # evaluations with another share before training ends
MONITORS: dict[str, tuple[str, Mode]] = {
    "entropy": ("val_target_entropy", "min"),
    "target_iou": ("val_target_landslide_iou", "max"),
}


class CollapseError(RunError):
    """Adaptation has lost the landslide class, or everything else, on the target."""


class Adaptation(Segmentation):
    """Maps pixels of a region without labels: a recipe with a section `adaptation`."""

    @property
    def section(self) -> AdaptationSection:
        """The section that makes a recipe this task's."""
        assert self.recipe.adaptation is not None
        return self.recipe.adaptation

    def settled(self) -> Recipe:
        """Returns a recipe whose monitor is what its `select` goes by.

        Raises:
            RecipeError: If an option has no meaning with two regions.
        """
        if self.recipe.training.pictures is not None:
            raise RecipeError("`training.pictures` does not work with `adaptation`.")
        for key in ("ema", "accumulation"):
            if getattr(self.recipe.optimizer, key) is not None:
                raise RecipeError(f"`optimizer.{key}` does not work with `adaptation`.")
        recipe = self.recipe.model_copy(deep=True)
        section = self.section.model_copy()
        if section.arrays is not None:  # a run is resumed from anywhere
            section.arrays = str(Path(section.arrays).resolve())
        recipe.adaptation = section
        if section.select in MONITORS:
            recipe.training.monitor, recipe.training.mode = MONITORS[section.select]
        return recipe

    def batches(
        self, training: ExampleStore, validation: ExampleStore, session: Session
    ) -> RunData:
        """Returns the batches of both regions.

        Raises:
            DataError: If the target is missing, or of other bands or factors.
        """
        patches, tiles = self.labelled(training, validation)
        section, source = self.section, training.description
        name, split = split_name(section.target)
        split = split or "train"
        watched = section.validation or split
        folders = {
            "arrays": section.arrays,
            "data_dir": session.data_dir,
            "manual_dir": session.manual_dir,
        }
        target = load_unlabelled(name, split, **folders)
        selection = target_selection(patches.selection, source, target.description)
        examples = target
        if section.oracle:
            examples = load_split(name, watched, session, section.arrays)
            classes = list(examples.description.classes)
            if classes != list(source.classes):
                raise DataError(
                    f"`{examples.description.name}` has the classes {classes}, "
                    f"expected the source's {list(source.classes)}; without "
                    "`adaptation.oracle` they do not matter."
                )
        elif watched != split:
            examples = load_unlabelled(name, watched, **folders)
        batch = patches.batch_size
        others = replace(
            patches,
            store=target,
            selection=selection,
            draws=max(patches.draws, math.ceil(batch / len(target))),
            positive_fraction=None,
            steps=None,
        )
        watched_tiles = EvaluationBatches(examples, selection, batch)
        return RunData(
            training,
            PairedTraining(patches, others),
            PairedValidation(tiles, watched_tiles),
            tiles,
        )

    def compiled(self, network: keras.Model, data: RunData) -> AdversarialModel:
        """Returns the compiled model of both players.

        Raises:
            ModelError: If there is no such `aux_layer`.
        """
        section, recipe = self.section, self.recipe
        description = data.store.description
        steps = data.training.steps_per_epoch
        generator, levels = network, [MAIN]
        if section.aux_layer is not None:
            generator, levels = with_auxiliary(network, section.aux_layer), [MAIN, AUX]
        if section.freeze_affine:
            for layer in batch_norms(network):
                for variable in (layer.gamma, layer.beta):
                    if variable is not None:
                        variable.trainable = False
        discriminators = {
            level: output_space_discriminator(
                len(description.classes),
                filters=section.filters,
                kernel_initializer=section.kernel_initializer,
                name=f"discriminator_{level}",
            )
            for level in levels
        }
        model = AdversarialModel(
            generator,
            network,
            discriminators,
            loss=make_loss(recipe),
            segmentation={MAIN: 1.0, AUX: section.aux_segmentation},
            adversarial={MAIN: section.weight, AUX: section.aux_weight},
            game=section.game,
            label_noise=section.label_noise,
            confusion=confusion_matrix(description),
            oracle=section.oracle,
        )
        count = len(generator.trainable_variables)
        compile_model(model, recipe, self._optimizer(steps, count), steps)
        return model

    def _optimizer(self, steps_per_epoch: int, count: int) -> SplitOptimizer:
        """Returns the optimiser of the first variables and that of the players."""
        base = self.section.learning_rate
        if self.section.rate_of_generator:
            base = self.recipe.optimizer.learning_rate
        rate = make_rate(self.recipe, steps_per_epoch, base)
        return SplitOptimizer(
            make_optimizer(self.recipe, steps_per_epoch),
            keras.optimizers.Adam(rate, beta_1=0.9, beta_2=0.99),
            count,
        )

    def recorder(self, run: RunFolder, processes: Processes = ALONE) -> RunRecorder:
        """Returns what keeps the epoch that `select` asks for."""
        select = self.section.select
        return AdaptationRecorder(run, self.recipe.training, select, processes)

    def callbacks(
        self, run: RunFolder, data: RunData
    ) -> list[keras.callbacks.Callback]:
        """Returns those of every task, and what ends an epoch in inference mode."""
        found = super().callbacks(run, data)
        if self.section.inference_after is not None:
            found.append(InferenceAfter(self.section.inference_after))
        return found

    def finish(
        self,
        model: keras.Model,
        arguments: Mapping[str, Any],
        data: RunData,
        name: str,
    ) -> tuple[keras.Model, ModelMetadata]:
        """Makes the network that others use; its metadata say what it adapted to."""
        final, metadata = super().finish(model, arguments, data, name)
        metadata.metrics["adaptation"] = self.section.facts()
        return final, metadata

    def trained_network(self, model: keras.Model) -> keras.Model:
        """Returns the network without the discriminators."""
        return model.network

    def facts(self) -> dict[str, Any]:
        """Returns the target and whether its labels were seen."""
        oracle = self.section.oracle
        return {
            "adapted to": self.section.target,
            "target labels": "seen in validation (oracle)" if oracle else "not seen",
        }

    def best_epoch(self, rows: Sequence[Row]) -> str | None:
        """Returns the epoch whose weights a run keeps, counted from 1, as text."""
        select = self.section.select
        if select == "target_iou":
            return super().best_epoch(rows)
        numbers = [{k: float(v or math.nan) for k, v in r.items()} for r in rows]
        return f"{kept_epoch(numbers, select) + 1}, by `{select}`" if rows else None


class AdaptationRecorder(RunRecorder):
    """Keeps an epoch without looking at the target's labels, and notices a collapse.

    Args:
        run: Folder of the run.
        section: As for `RunRecorder`.
        select: Rule that chooses the epoch, as of a recipe.
        processes: As for `RunRecorder`.
    """

    def __init__(
        self,
        run: RunFolder,
        section: TrainingSection,
        select: Selection,
        processes: Processes = ALONE,
    ) -> None:
        super().__init__(run, section, processes)
        self._select = select

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

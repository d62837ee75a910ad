"""Regions that are trained one after the other, by any method, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import keras

from landslide_tf import models
from landslide_tf.models import tsmu
from landslide_tf.pipelines import RegionBatches, WholeRegion
from landslide_tf.train.continual.baseline_batches import (
    Buffer,
    JoinedExamples,
    RegionwiseBatches,
    ReplayBatches,
    WholeRegions,
)
from landslide_tf.train.continual.evaluation import Cell, evaluate_step
from landslide_tf.train.continual.methods import (
    UPDATES,
    MethodOptions,
    check_backend,
    stage_names,
)
from landslide_tf.train.continual.recipe import ContinualRecipe, StageSection
from landslide_tf.train.continual.regions import Regions
from landslide_tf.train.continual.responses import (
    Responses,
    read_responses,
    record_region,
    responses_path,
    write_responses,
)
from landslide_tf.train.continual.stages import (
    JOINT,
    fit_base,
    fit_joint,
    fit_region,
    fit_stage,
    joint_plan,
    order_seed,
    warm_up,
)
from landslide_tf.train.continual.update_models import (
    Anchor,
    AnchoredModel,
    JointModel,
    ReplayModel,
    StagePlan,
    UpdateModel,
    old_regions,
    trunk_fisher,
)
from landslide_tf.train.run.session import Verbosity

# Name of the decoder of networks that have one for all regions.
_ALL = "ALL_REGIONS"
Cells: TypeAlias = dict[str, Cell | None]


@dataclass
class RegionSequence:
    """A method on its way through the stages of a recipe.

    The caller says which stage comes next and keeps what it wants to resume from.

    Attributes:
        regions: Recipe and examples.
        place: Returns the folder of a stage's checkpoints, from which the same stage
            is resumed after a kill.
        network: Of the regions so far; None before the first stage.
        method: A name of `METHODS`.
        options: What baselines need.
        state: Folder that keeps the responses between two stages; None keeps them in
            memory.
        evaluated: By step the cells of every region: of its own decoder or, before its
            turn, of the mean of all.
        untrained: Cells of networks that are not trained, of `fresh` only.
    """

    regions: Regions
    place: Callable[[str], Path]
    network: keras.Model | None = None
    method: str = "tsmu"
    options: MethodOptions = field(default_factory=MethodOptions)
    state: Path | None = None
    evaluated: dict[int, Cells] = field(default_factory=dict)
    untrained: Cells = field(default_factory=dict)
    _recorded: list[Responses] = field(default_factory=list)
    _held: Anchor | None = None

    @property
    def recipe(self) -> ContinualRecipe:
        """Regions, network and stages."""
        return self.regions.recipe

    @property
    def verbose(self) -> Verbosity | None:
        """Keras's verbosity."""
        return self.regions.session.verbose

    def run(self, name: str) -> None:
        """Runs one stage, or resumes it.

        Args:
            name: Of `stage_names`; the stages before it have been run.

        Raises:
            RunError: If a checkpoint is damaged.
            DataError: If a region's data are missing or corrupt.
        """
        number, kind = name.split("_")
        step = int(number)
        region = self.regions.names[step]
        keras.utils.set_random_seed(self.recipe.training.seed)
        if kind == "evaluate":
            self.evaluated[step] = self._cells(self.regions.names)
            return
        if kind not in ("base", "single", "all") and region not in tsmu.regions(
            self.network
        ):
            self.network = tsmu.add_region(self.network, region)
        stage: Callable[[str, Path], object] = getattr(self, f"_{kind}")
        stage(region, self.place(name))

    def _build(self, names: Sequence[str], **changes: str) -> None:
        arguments = {**self.recipe.model.model_dump(), **changes}
        seed = self.recipe.training.seed
        self.network = models.tsmu_net(names, **arguments, seed=seed)

    def _cells(self, names: Sequence[str]) -> Cells:
        size = self.recipe.training.validation_batch_size
        return evaluate_step(self.network, names, self.regions.test, batch_size=size)

    def _base(self, region: str, folder: Path) -> None:
        """Trains a network with its first region."""
        # Networks that are compared are all routed alike.
        self._build([region], **({} if self.state else {"routing": "all"}))
        if self.method == "fresh":
            self.untrained |= self._cells([region])
        data = self.regions.step(region)
        fit_base(self.network, data, self.recipe, folder, verbose=self.verbose)

    def _warmup(self, region: str, folder: Path) -> None:
        data = self.regions.step(region)
        warm_up(self.network, data, self.recipe, folder, verbose=self.verbose)

    def _record(self, region: str, folder: Path) -> None:
        data, old = self.regions.step(region), old_regions(self.network, region)
        self._recorded = record_region(self.network, old, data, self.recipe)
        if self.state is not None:
            for name, values in zip(old, self._recorded, strict=True):
                write_responses(responses_path(self.state, region, name), data, values)

    def _joint(self, region: str, folder: Path) -> None:
        """Trains everything, as the method preserves what was learnt."""
        if self.method in UPDATES:
            self._update(region, folder)
            return
        section, data = self.recipe.joint, self.regions.step(region)
        plan = joint_plan(self.network, section, preserve=False)
        if self.method == "replay":
            self._replay(plan, folder)
            return
        model = UpdateModel(self.network, plan)
        if self._held is not None:
            strength = self.options.ewc_strength
            model = AnchoredModel(self.network, plan, self._held, strength)
        fit_region(model, data, self.recipe, section, folder, JOINT, self.verbose)

    def _update(self, region: str, folder: Path) -> None:
        data, recipe = self.regions.step(region), self.recipe
        if self.state is not None and recipe.joint.responses == "recorded":
            self._recorded = self._recorded or [
                read_responses(responses_path(self.state, region, name), data)
                for name in old_regions(self.network, region)
            ]
        if self.method == "lwf":
            # Li and Hoiem 2016: distillation at temperature 2, λ = 1, decay 0.0005.
            changes = {
                "preservation": "kd_kl",
                "temperature": 2.0,
                "strength": 1.0,
                "learning_rate": 1e-4,
                "weight_decay": 5e-4,
            }
            section = recipe.joint.model_copy(update=changes)
            recipe = recipe.model_copy(update={"joint": section})
        fit_joint(
            self.network,
            data,
            recipe,
            folder,
            recorded=self._recorded,
            verbose=self.verbose,
        )
        self._recorded = []

    def _replay(self, plan: StagePlan, folder: Path) -> None:
        settings, data = self.recipe.training, self.regions.step(plan.target)
        old = old_regions(self.network, plan.target)
        kept = [self.regions.step(name).training for name in old]
        buffer = Buffer.draw(kept, self.options.buffer, settings.seed)
        seed = order_seed(self.network, settings.seed, JOINT)
        whole = RegionBatches(data.validation, settings.validation_batch_size)
        fit_stage(
            ReplayModel(self.network, plan, old),
            ReplayBatches(data.training, settings.batch_size, seed, buffer=buffer),
            WholeRegion(whole),
            self.recipe.joint,
            settings,
            folder,
            verbose=self.verbose,
        )

    def _single(self, region: str, folder: Path) -> None:
        """Trains the only decoder, and the trunk, with another region.

        As many epochs as a region's two stages have otherwise, at the warm-up's rate.
        """
        first, step = self.regions.names[0], self.regions.names.index(region)
        warmup, joint = self.recipe.warmup, self.recipe.joint
        section = StageSection(
            **{**warmup.model_dump(), "epochs": warmup.epochs + joint.epochs}
        )
        fit_region(
            UpdateModel(self.network, StagePlan(target=first)),
            self.regions.step(region),
            self.recipe,
            section,
            folder,
            JOINT + step,  # the network's regions do not tell the steps apart here
            self.verbose,
        )

    def _anchor(self, region: str, folder: Path) -> None:
        """Notes where the trunk is, and how much its weights matter so far."""
        names = self.regions.names
        learnt = names[names.index(region) - 1]
        examples = self.regions.step(learnt).training
        fisher = trunk_fisher(self.network, learnt, examples)
        if self._held is not None:
            pairs = zip(self._held.fisher, fisher, strict=True)
            fisher = [before + now for before, now in pairs]
        weights = tsmu.trunk(self.network).trainable_variables
        arrays = [keras.ops.convert_to_numpy(weight) for weight in weights]
        self._held = Anchor(arrays, fisher)

    def _all(self, region: str, folder: Path) -> None:
        """Trains one network with all regions at once."""
        settings, names = self.recipe.training, self.regions.names
        data = [self.regions.step(name) for name in names]
        training = JoinedExamples(tuple(part.training for part in data))
        validation = JoinedExamples(tuple(part.validation for part in data))
        size, whole = settings.batch_size, settings.validation_batch_size
        model: UpdateModel
        drawn: RegionBatches
        every: WholeRegion
        if self.method == "joint_all":
            self._build(names, routing="partition")
            model, balance = JointModel(self.network), self.options.balance
            drawn = RegionwiseBatches(training, size, settings.seed, balance=balance)
            every = WholeRegions(RegionwiseBatches(validation, whole))
        else:
            self._build([_ALL], routing="all")
            model = UpdateModel(self.network, StagePlan(target=_ALL))
            drawn = RegionBatches(training, size, settings.seed)
            every = WholeRegion(RegionBatches(validation, whole))
        section, verbose = self.recipe.base, self.verbose
        fit_stage(model, drawn, every, section, settings, folder, verbose=verbose)


@dataclass(frozen=True)
class MethodResult:
    """What a method gave with one seed.

    Attributes:
        steps: By step the cell of every region, of its own decoder or, before its
            turn, of the mean of all; of `fresh` by region the cells of its network;
            None where a method has no such step.
        untrained: Cells of networks that are not trained, of `fresh` only.
    """

    steps: Sequence[Cells | None]
    untrained: Cells | None = None


def run_method(
    method: str,
    regions: Regions,
    folder: Path,
    options: MethodOptions | None = None,
) -> MethodResult:
    """Trains the regions of a recipe by one method and evaluates every step.

    Stages leave their checkpoints in the folder: the same call resumes what a killed
    process left, to the same result. Methods with stages in common share them.

    Args:
        method: A name of `METHODS`.
        regions: Recipe and examples.
        folder: Folder of the stages, of this recipe and seed.
        options: What baselines need.

    Returns:
        The cells.

    Raises:
        RunError: If a checkpoint is damaged, or the method needs another backend.
        DataError: If a region's data are missing or corrupt.
    """
    check_backend(method)
    for name in regions.names:
        regions.test(name)  # a comparison lacks no region

    def place(stage: str) -> Path:
        # Until a step trains the trunk, methods that warm up have trained alike.
        frozen = method == "feature_extraction"
        warmups = stage.endswith("_warmup") and (frozen or stage == "1_warmup")
        shared = warmups or stage == "0_base"
        # All regions at once are one stage of no step.
        own = "base" if stage.endswith("_all") else stage
        return folder / ("shared" if shared else method) / own

    sequence = RegionSequence(
        regions, place, method=method, options=options or MethodOptions()
    )
    for stage in stage_names(regions.recipe, method):
        sequence.run(stage)
    steps = [sequence.evaluated.get(k) for k in range(len(regions.names))]
    return MethodResult(steps, sequence.untrained or None)

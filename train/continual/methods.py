"""Task-specific updates and the baselines they are measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from landslide_tf import models
from landslide_tf.models import tsmu
from landslide_tf.pipelines import RegionBatches, RegionExamples, WholeRegion
from landslide_tf.train.continual.baseline_batches import (
    Buffer,
    JoinedExamples,
    RegionwiseBatches,
    ReplayBatches,
    WholeRegions,
)
from landslide_tf.train.continual.baseline_models import (
    Anchor,
    AnchoredModel,
    JointModel,
    ReplayModel,
    trunk_fisher,
)
from landslide_tf.train.continual.data import RegionData, load_examples, load_step
from landslide_tf.train.continual.evaluation import Cell, cell, region_counts
from landslide_tf.train.continual.method_options import MethodOptions, check_backend
from landslide_tf.train.continual.recipe import (
    ContinualRecipe,
    RegionSection,
    StageSection,
)
from landslide_tf.train.continual.responses import old_regions
from landslide_tf.train.continual.stage import StagePlan, UpdateModel, fit_stage
from landslide_tf.train.continual.training import (
    fit_base,
    fit_joint,
    record_region,
    run_stage,
    warm_up,
)
from landslide_tf.train.engine import Session

# Name of the decoder of networks that have one for all regions.
_ALL = "ALL_REGIONS"
_WARMUP, _JOINT = 1, 2


@dataclass
class RegionFiles:
    """The examples of a recipe's regions, each read once.

    Attributes:
        recipe: Regions in their order, channels, size, seed of the copies.
        session: Folders.
    """

    recipe: ContinualRecipe
    session: Session
    _steps: dict[str, RegionData] = field(default_factory=dict)
    _tests: dict[str, RegionExamples] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names in the order of arrival."""
        return [section.name for section in self.recipe.arrivals()]

    def step(self, name: str) -> RegionData:
        """Returns what a region's step learns from."""
        if name not in self._steps:
            self._steps[name] = load_step(
                self.recipe, self._section(name), self.session
            )
        return self._steps[name]

    def test(self, name: str) -> RegionExamples:
        """Returns what a region is evaluated on."""
        if name not in self._tests:
            section, session = self._section(name), self.session
            self._tests[name] = load_examples(self.recipe, section, "test", session)
        return self._tests[name]

    def _section(self, name: str) -> RegionSection:
        return next(s for s in self.recipe.arrivals() if s.name == name)


@dataclass(frozen=True)
class MethodResult:
    """What a method gave with one seed.

    Attributes:
        steps: By step the cell of every region, of its own decoder or, before its
            turn, of the mean of all; of `fresh` by region the cells of its network;
            None where a method has no such step.
        untrained: Cells of networks that are not trained, of `fresh` only.
    """

    steps: list[dict[str, Cell] | None]
    untrained: dict[str, Cell] | None = None


def run_method(
    method: str,
    files: RegionFiles,
    folder: Path,
    options: MethodOptions | None = None,
) -> MethodResult:
    """Trains the regions of a recipe by one method and evaluates every step.

    Stages leave their checkpoints in the folder: the same call goes on where a killed
    process stopped, to the same result. Methods with the recipe's stages in common
    share them.

    Args:
        method: A name of `METHODS`.
        files: Recipe and examples.
        folder: Folder of the stages, of this recipe and seed.
        options: What baselines need.

    Returns:
        The cells.

    Raises:
        RunError: If a checkpoint is damaged, or the method needs another backend.
    """
    check_backend(method)
    run = _Run(method, files, folder, options or MethodOptions())
    if method == "fresh":
        return run.fresh()
    if method in ("joint_all", "joint_all_single"):
        return MethodResult([None] * (len(files.names) - 1) + [run.joint()])
    return MethodResult(run.sequence())


@dataclass
class _Run:
    """One method at work."""

    method: str
    files: RegionFiles
    folder: Path
    options: MethodOptions
    anchor: Anchor | None = None

    @property
    def recipe(self) -> ContinualRecipe:
        return self.files.recipe

    @property
    def verbose(self) -> int | None:
        return self.files.session.verbose

    def place(self, stage: str, shared: bool = False) -> Path:
        """Returns the folder of a stage; shared ones begin every method alike."""
        keras.utils.set_random_seed(self.recipe.training.seed)
        return self.folder / ("shared" if shared else self.method) / stage

    def network(self, regions: Sequence[str], routing: str = "all") -> keras.Model:
        arguments = {**self.recipe.model.model_dump(), "routing": routing}
        return models.tsmu_net(regions, **arguments, seed=self.recipe.training.seed)

    def evaluate(
        self, network: keras.Model, names: Sequence[str] | None = None
    ) -> dict[str, Cell]:
        """Returns the cells of regions: of their decoder, or the mean of all."""
        known = list(tsmu.regions(network))
        size = self.recipe.training.validation_batch_size
        cells = {}
        for name in names or self.files.names:
            examples = self.files.test(name)
            index = known.index(name) if name in known else -1
            counts = region_counts(network, index, examples, batch_size=size)
            cells[name] = cell(examples.store.ids, counts)
        return cells

    def fresh(self) -> MethodResult:
        """Trains a network a region, and tries it on all."""
        steps: list[dict[str, Cell] | None] = []
        untrained: dict[str, Cell] = {}
        for step, name in enumerate(self.files.names):
            network = self.network([name])
            untrained |= self.evaluate(network, [name])
            place = self.place(f"{step}_base", shared=step == 0)
            fit_base(
                network, self.files.step(name), self.recipe, place, verbose=self.verbose
            )
            steps.append(self.evaluate(network))
        return MethodResult(steps, untrained)

    def joint(self) -> dict[str, Cell]:
        """Trains one network with all regions at once."""
        settings, section = self.recipe.training, self.recipe.base
        data = [self.files.step(name) for name in self.files.names]
        training = JoinedExamples(tuple(part.training for part in data))
        validation = JoinedExamples(tuple(part.validation for part in data))
        place, size = self.place("base"), settings.validation_batch_size
        if self.method == "joint_all":
            network = self.network(self.files.names, routing="partition")
            model = JointModel(network)
            batches = RegionwiseBatches(
                training, settings.batch_size, settings.seed, self.options.balance
            )
            whole = WholeRegions(RegionwiseBatches(validation, size))
        else:
            network = self.network([_ALL])
            model = UpdateModel(network, StagePlan(target=_ALL))
            batches = RegionBatches(training, settings.batch_size, settings.seed)
            whole = WholeRegion(RegionBatches(validation, size))
        fit_stage(model, batches, whole, section, settings, place, verbose=self.verbose)
        return self.evaluate(network)

    def sequence(self) -> list[dict[str, Cell] | None]:
        """Trains one region after the other."""
        first, *others = self.files.names
        network = self.network([first])
        data = self.files.step(first)
        place = self.place("0_base", shared=True)
        fit_base(network, data, self.recipe, place, verbose=self.verbose)
        steps: list[dict[str, Cell] | None] = [self.evaluate(network)]
        for step, name in enumerate(others, 1):
            if self.method == "ewc":
                self.anchor = self.anchored(network, self.files.names[step - 1])
            network = self.learn(network, step, name)
            steps.append(self.evaluate(network))
        return steps

    def learn(self, network: keras.Model, step: int, name: str) -> keras.Model:
        """Trains a network with one more region."""
        data = self.files.step(name)
        if self.method == "single_head":
            self.go_on(network, step, data)
            return network
        network = tsmu.add_region(network, name)
        updates = self.method in ("tsmu", "lwf")
        stages = self.recipe.stages if updates else ["warmup", "joint"]
        if "warmup" in stages:
            # Until then nothing but the base stage has been trained, by any method.
            frozen = self.method == "feature_extraction"
            place = self.place(f"{step}_warmup", shared=step == 1 or frozen)
            warm_up(network, data, self.recipe, place, verbose=self.verbose)
        if "joint" in stages and self.method != "feature_extraction":
            place = self.place(f"{step}_joint")
            (self.update if updates else self.fine_tune)(network, name, data, place)
        return network

    def go_on(self, network: keras.Model, step: int, data: RegionData) -> None:
        """Trains the only decoder, and the trunk, with another region.

        As many epochs as a region's two stages have otherwise, at the warm-up's rate.
        """
        warmup, joint = self.recipe.warmup, self.recipe.joint
        section = StageSection(
            **{**warmup.model_dump(), "epochs": warmup.epochs + joint.epochs}
        )
        model = UpdateModel(network, StagePlan(target=self.files.names[0]))
        # The network's regions do not tell the steps' orders apart here.
        stage = _JOINT + step
        place = self.place(f"{step}_single")
        run_stage(model, data, self.recipe, section, place, stage, self.verbose)

    def update(
        self, network: keras.Model, name: str, data: RegionData, place: Path
    ) -> None:
        """Runs the joint stage of `tsmu` and `lwf`."""
        recipe = self.recipe
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
        recorded = teacher = None
        if recipe.joint.responses == "recorded":
            recorded = record_region(network, old_regions(network, name), data, recipe)
        else:
            teacher = tsmu.copy(network)
        fit_joint(
            network,
            data,
            recipe,
            place,
            recorded=recorded,
            teacher=teacher,
            verbose=self.verbose,
        )

    def fine_tune(
        self, network: keras.Model, name: str, data: RegionData, place: Path
    ) -> None:
        """Trains trunk and new decoder; the old decoders stay."""
        section = self.recipe.joint
        total = section.selection == "val_total"
        plan = StagePlan(
            target=name,
            steady=section.bn_policy == "frozen",
            monitor="val_loss" if total else "val_soft_iou",
            start=True,
        )
        if self.method == "replay":
            self.replay(network, plan, data, place)
            return
        if self.anchor is not None:
            strength = self.options.ewc_strength
            model: UpdateModel = AnchoredModel(network, plan, self.anchor, strength)
        else:
            model = UpdateModel(network, plan)
        run_stage(model, data, self.recipe, section, place, _JOINT, self.verbose)

    def replay(
        self, network: keras.Model, plan: StagePlan, data: RegionData, place: Path
    ) -> None:
        settings = self.recipe.training
        old = old_regions(network, plan.target)
        kept = [self.files.step(name).training for name in old]
        # The order that the other methods' joint stages have.
        seeds = np.random.SeedSequence([settings.seed, len(old), _JOINT])
        seed = int(seeds.generate_state(1)[0])
        new = RegionBatches(data.training, settings.batch_size, seed)
        buffer = Buffer.draw(kept, self.options.buffer, settings.seed)
        whole = RegionBatches(data.validation, settings.validation_batch_size)
        fit_stage(
            ReplayModel(network, plan, old),
            ReplayBatches(new, buffer),
            WholeRegion(whole),
            self.recipe.joint,
            settings,
            place,
            verbose=self.verbose,
        )

    def anchored(self, network: keras.Model, learnt: str) -> Anchor:
        """Returns the anchor after a region."""
        trunk = tsmu.trunk(network)
        fisher = trunk_fisher(network, learnt, self.files.step(learnt).training)
        if self.anchor is not None:
            pairs = zip(self.anchor.fisher, fisher, strict=True)
            fisher = [before + now for before, now in pairs]
        weights = [keras.ops.convert_to_numpy(w) for w in trunk.trainable_variables]
        return Anchor(weights, fisher)

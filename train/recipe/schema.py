"""Recipes: one YAML file is one training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from landslide_tf.choices import (
    Decay,
    Formula,
    Mode,
    Padding,
    Policy,
    ScheduleKind,
    WeightRule,
)
from landslide_tf.files import write_text
from landslide_tf.train.recipe.adaptation import AdaptationSection
from landslide_tf.train.recipe.classification import ClassificationSection
from landslide_tf.train.recipe.model import (
    Count,
    DataSection,
    ModelSection,
    NonNegative,
    Positive,
    Section,
    Share,
    TaskName,
    check_model,
)
from landslide_tf.train.recipe.yaml_files import (
    assign,
    read_yaml,
    shipped_files,
    validated,
)


def _check_devices(value: object) -> object:
    """Refuses other values in one line, where a union has a line for each member."""
    number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not number and value != "all":
        raise PydanticCustomError(
            "devices", "Input should be a whole number of at least 1, or `all`"
        )
    return value


Devices = Annotated[int | Literal["all"], BeforeValidator(_check_devices)]


class LossSection(Section):
    """The loss, a mean over labelled pixels."""

    name: Literal[
        "cross_entropy",
        "focal",
        "dice",
        "tversky",
        "cross_entropy_dice",
        "boundary",
        "released",
    ] = "cross_entropy"
    formula: Formula | None = Field(
        None, description="released: which loss of MFFENet's released code"
    )
    class_weights: list[NonNegative] | WeightRule | None = Field(
        None,
        description="one weight per class, or the rule that computes them from the "
        "shares of the classes in training",
    )
    arguments: dict[str, float] = Field(
        {},
        description="further arguments of the loss, such as `gamma` of the focal loss",
    )


class OptimizerSection(Section):
    """The optimiser."""

    name: Literal["coupled_sgd", "sgd", "adam", "adamw"] = "adam"
    learning_rate: Positive = 1e-3
    momentum: Share = Field(0.9, description="momentum, for SGD only")
    weight_decay: NonNegative = Field(
        0.0, description="coupled (L2) for coupled_sgd, decoupled for the others"
    )
    decay: Decay = Field(
        "kernels", description="weights to which coupled_sgd applies decay"
    )
    head_multiplier: Positive = Field(
        1.0,
        description="factor of the learning rate of the layers behind the encoder",
    )
    clipnorm: Positive | None = Field(
        None, description="largest norm of a gradient; larger ones are scaled down"
    )
    accumulation: Annotated[int, Field(ge=2)] | None = Field(
        None, description="number of batches whose gradients make one update"
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="momentum of the moving average of the weights, which is validated "
        "and saved",
    )


class ScheduleSection(Section):
    """How the learning rate falls; counted in steps (batches)."""

    kind: ScheduleKind = "constant"
    steps: Count | None = Field(
        None,
        description="for `step`: batches between reductions; for others the length of "
        "the run",
    )
    factor: Positive = Field(0.1, description="for `step`: factor of each reduction")
    power: Positive = Field(0.9, description="for `poly`: exponent")
    final_learning_rate: NonNegative = Field(
        0.0, description="for `cosine` and `poly`: last learning rate"
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        0, description="for `cosine`: batches in which the rate rises from 0"
    )


class AugmentationSection(Section):
    """Changes training examples undergo, drawn from (seed, epoch, id)."""

    dihedral: bool = Field(
        False, description="random flips and rotations by multiples of 90°"
    )
    brightness: Share = Field(
        0.0, description="largest relative change of red, green and blue"
    )
    contrast: Share = Field(
        0.0, description="largest relative change of red, green and blue"
    )
    factor_jitter: Share = Field(
        0.0, description="largest relative change of each factor except aspect"
    )
    flip: bool = Field(False, description="flip every second example left to right")
    scale: tuple[Positive, Positive] | None = Field(
        None,
        description="smallest and largest length of the short side before the patch is "
        "cut, in multiples of the patch",
    )
    padding: Padding = Field(
        "mirror", description="padding of an example that is smaller than the patch"
    )
    pad_label: Literal[0, 255] = Field(
        255, description="label of black padding; 255 is ignored"
    )
    blur: NonNegative = Field(
        0.0,
        description="largest standard deviation, pixels, of a Gaussian blur on every "
        "second image",
    )


class TrainingSection(Section):
    """Length, batches, precision and selection."""

    epochs: Count = 10
    batch_size: Count = 8
    patch: Count | None = Field(None, description="side of a random patch, pixels")
    draws: Count = Field(1, description="number of patches per example and epoch")
    steps: Count | None = Field(
        None,
        description="batches per epoch, each epoch continuing with the examples that "
        "the one before it left over; None uses all in every epoch",
    )
    positive_fraction: Share | None = Field(
        None, description="share of examples with landslides in an epoch"
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Policy = "float32"
    deterministic: bool = Field(
        True, description="use deterministic operations of TensorFlow"
    )
    threads: Count | None = Field(
        None, description="CPU threads; None lets TensorFlow choose"
    )
    devices: Devices = Field(
        1, description="GPUs (CPUs if there is none) that share each batch"
    )
    monitor: str = Field(
        "val_landslide_iou", description="column of metrics.csv that selects the epoch"
    )
    mode: Mode = "max"
    patience: Count | None = Field(
        None, description="epochs without improvement of `monitor` before training ends"
    )
    steps_per_execution: Count = Field(
        1, description="steps per compiled call; must divide the steps of an epoch"
    )
    jit_compile: bool = Field(
        False,
        description="compile with XLA; slower on CPUs; the JAX backend always compiles",
    )
    pictures: Count | None = Field(
        None,
        description="epochs between pictures of a few validation examples in "
        "TensorBoard; TensorFlow only",
    )
    save_steps: Count | None = Field(
        None, description="steps between checkpoints within an epoch"
    )
    save_minutes: NonNegative | None = Field(
        10.0, description="minutes between checkpoints within an epoch"
    )


class DecisionSection(Section):
    """What is fitted on the validation split once the weights are final."""

    threshold: bool = Field(
        False,
        description="choose the landslide threshold on validation: the one nearest to "
        "0.5 whose F1 is within one standard error of the best",
    )
    temperature: bool = Field(
        False,
        description="calibrate the probabilities by one temperature on validation",
    )


class RecipeFile(Section):
    """Base of recipes: what the file itself says of what it does and of its numbers."""

    description: str
    source: str = Field(description="paper and section the numbers come from")

    def write(self, path: str | Path) -> None:
        """Writes the recipe as YAML."""
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        write_text(path, text)


class Recipe(RecipeFile):
    """Everything a training run needs."""

    data: DataSection
    model: ModelSection
    classification: ClassificationSection | None = None
    loss: LossSection = LossSection()
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    augmentation: AugmentationSection = AugmentationSection()
    training: TrainingSection = TrainingSection()
    decision: DecisionSection = DecisionSection()
    adaptation: AdaptationSection | None = Field(
        None, description="a region without labels that the network adapts to"
    )

    @property
    def task(self) -> TaskName:
        """What the network is trained for, which its sections tell."""
        if self.classification is not None:
            return "classification"
        return "segmentation" if self.adaptation is None else "adaptation"


def shipped_recipes() -> dict[str, Path]:
    """Returns the recipes of the package by name."""
    return shipped_files("landslide_tf.train", "recipes")


def read_recipe(name: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Reads a recipe and validates what needs no network, and therefore no Keras.

    Args:
        name: Name of a shipped recipe, or a YAML file.
        changes: Values to change, each `section.key=value` with a YAML value.

    Returns:
        The recipe, whose network may not fit its data yet.

    Raises:
        RecipeError: If there is no such recipe, or a key or value is not valid.
    """
    content = read_yaml(name, shipped_recipes())
    return validated(Recipe, content, f"Recipe `{name}`", changes)


def check_network(recipe: Recipe) -> None:
    """Refuses a recipe whose network does not exist or does not fit its data.

    This needs Keras; `read_recipe` has checked the rest.

    Args:
        recipe: What `read_recipe` has read.

    Raises:
        RecipeError: If the network, an argument of it or a channel is not valid.
    """
    check_model(recipe.data, recipe.model, recipe.task)


def load_recipe(name: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Reads and validates a recipe.

    Args:
        name: Name of a shipped recipe, or a YAML file.
        changes: Values to change, each `section.key=value` with a YAML value.

    Returns:
        The validated recipe.

    Raises:
        RecipeError: If there is no such recipe, or a key or value is not valid.
    """
    recipe = read_recipe(name, changes)
    check_network(recipe)
    return recipe


def change_recipe(
    recipe: Recipe, changes: Sequence[str], values: Mapping[str, object] | None = None
) -> Recipe:
    """Returns a recipe with values changed.

    Args:
        recipe: The recipe.
        changes: Values to change, as in `load_recipe`.
        values: JSON values by dotted key, changed before.

    Returns:
        The validated recipe.

    Raises:
        RecipeError: If a key or value is not valid.
    """
    content = recipe.model_dump(mode="json")
    for key, value in (values or {}).items():
        assign(content, key, value)
    where = f"Recipe `{recipe.description}`"
    changed = validated(Recipe, content, where, changes)
    check_network(changed)
    return changed

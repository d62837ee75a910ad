"""Recipes of continual training: one YAML file is one sequence of regions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from landslide_tf.choices import Policy
from landslide_tf.ecoregions import region_name
from landslide_tf.errors import LandslideTFError, RecipeError
from landslide_tf.train.recipe.model import Count, NonNegative, Positive, Section
from landslide_tf.train.recipe.schema import RecipeFile
from landslide_tf.train.recipe.yaml_files import read_yaml, shipped_files, validated
from landslide_tf.words import counted

if TYPE_CHECKING:
    from landslide_tf.models.tsmu_net import Network

# The order that the folder numbers of the released scripts suggest.
RELEASED_ORDER = (
    "MARINE_WEST_COAST_FOREST",
    "NORTH_AMERICAN_DESERTS",
    "NORTHWESTERN_FORESTED_MOUNTAINS",
    "EASTERN_TEMPERATE_FORESTS",
)
_LEAST_RATE = 1e-8


def _check_rate(value: float) -> float:
    if not value >= _LEAST_RATE:
        raise PydanticCustomError(
            "rate",
            "Input should be at least 1e-8: at the released joint script's 1e-12 "
            "float32 weights do not move",
        )
    return value


Rate = Annotated[float, AfterValidator(_check_rate)]


def _check_stages(value: object) -> object:
    if value not in (["warmup"], ["joint"], ["warmup", "joint"]):
        raise PydanticCustomError(
            "stages", "Input should be [warmup], [joint] or [warmup, joint]"
        )
    return value


Stages = Annotated[list[str], BeforeValidator(_check_stages)]


class RegionSection(Section):
    """A region and where its examples are."""

    name: str = Field(description="an ecoregion's name or code, or any other name")
    data: str = Field(description="`name[/config]` of a TFDS builder")
    train: str = Field("train", description="split to train on")
    validation: str = Field("validation", description="split that selects the best")
    test: str = Field("test", description="split that the matrix reports")
    ids: list[str] = Field(
        ["*"], description="shell patterns: the region's examples have such an id"
    )
    arrays: str | None = Field(
        None, description="folder of `datasets export-arrays` to read instead of TFDS"
    )
    rounds: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="times each training example is rotated and blurred; None: 7, 6, 5 "
        "and 0 for the ecoregions, else what makes some 400 images, at most 7",
    )
    max_train: Count | None = Field(
        None, description="most training examples, drawn by `subset_seed`"
    )
    subset_seed: int = Field(7, description="seed of that draw, as released")


class ContinualData(Section):
    """Which channels the model sees, at which size."""

    image: list[str] = Field(
        description="bands of the model's `image`; `pre_red` to `post_blue` of pairs"
    )
    image_scale: Positive = Field(
        1.0, description="`image` is the raw value times this, 0..255"
    )
    size: Count = Field(512, description="height and width of every example, pixels")


class ContinualModel(Section):
    """Arguments of `landslide_tf.models.tsmu_net`."""

    variant: Literal["paper", "code"] = "paper"
    inputs: Literal["pre_post", "post"] = "pre_post"
    width: Positive = 1.0
    trunk_filters: list[Count] | None = None
    decoder_filters: list[Count] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    bn_momentum: Annotated[float, Field(gt=0, lt=1)] | None = None
    routing: Literal["all", "partition"] = "all"


class StageSection(Section):
    """One stage: Adam at a constant rate, the best epoch kept."""

    epochs: Count = 200
    learning_rate: Rate = 1e-3
    weight_decay: NonNegative = Field(0.0, description="decoupled")
    patience: Annotated[int, Field(ge=0)] = Field(
        40, description="epochs without a better selection value; 0 = never stop"
    )


class JointSection(StageSection):
    """The stage that trains everything and preserves the old responses."""

    learning_rate: Rate = 1e-4
    preservation: Literal["mse", "kd_kl", "kd_bce"] = Field(
        "mse", description="what keeps the old decoders' responses"
    )
    strength: NonNegative = Field(1.0, description="weight λ of the preservation")
    temperature: Positive = Field(2.0, description="of the `kd` forms")
    bn_policy: Literal["frozen", "batch"] = Field(
        "frozen",
        description="frozen: trunk and old decoders keep their batch norm statistics "
        "and drop nothing; batch: training mode everywhere, as released",
    )
    responses: Literal["recorded", "online"] = Field(
        "recorded", description="from a file, or from a frozen copy of the model"
    )
    responses_dtype: Literal["float32", "float16"] = "float32"
    keep_responses: bool = Field(False, description="leave the file after the step")
    selection: Literal["val_total", "new_iou"] = Field(
        "val_total",
        description="smallest validation loss, or largest soft IoU of the new region",
    )


class ContinualTraining(Section):
    """What all stages share."""

    batch_size: Count = 2
    validation_batch_size: Count = 4
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Policy = "float32"
    deterministic: bool = Field(True, description="TensorFlow's op determinism")
    threads: Count | None = Field(
        None, description="CPU threads; None leaves TensorFlow's choice"
    )
    save_steps: Count | None = Field(
        None, description="steps between checkpoints within an epoch"
    )
    save_minutes: NonNegative | None = Field(
        10.0, description="minutes between checkpoints within an epoch"
    )


class ContinualRecipe(RecipeFile):
    """Everything a continual training needs."""

    regions: Annotated[list[RegionSection], Field(min_length=1)]
    order: list[str] | Literal["code"] | None = Field(
        None,
        description="names in the order of arrival; None: as listed; code: as the "
        "released scripts' folder numbers suggest",
    )
    data: ContinualData
    model: ContinualModel = ContinualModel()
    stages: Stages = Field(
        ["warmup", "joint"], description="stages of every region but the first"
    )
    base: StageSection = StageSection()
    warmup: StageSection = StageSection()
    joint: JointSection = JointSection()
    training: ContinualTraining = ContinualTraining()

    @property
    def network(self) -> Network:
        """Arguments of the network's parts."""
        from landslide_tf.models.tsmu_net import Network

        arguments = self.model.model_dump(exclude={"routing"})
        return Network(**arguments, seed=self.training.seed)

    def arrivals(self) -> list[RegionSection]:
        """Returns the regions in the order of their arrival, names normalised.

        Raises:
            RecipeError: If a name repeats or the order is not that of these regions.
        """
        listed = {
            region_name(r.name): r.model_copy(update={"name": region_name(r.name)})
            for r in self.regions
        }
        if len(listed) < len(self.regions):
            raise RecipeError("`regions` names a region twice: give each its own name.")
        if self.order is None:
            return list(listed.values())
        chosen = RELEASED_ORDER if self.order == "code" else self.order
        names = [region_name(name) for name in chosen]
        if sorted(names) != sorted(listed):
            raise RecipeError(
                f"`order` must name every region once ({', '.join(listed)}), received "
                f"{', '.join(names)}."
            )
        return [listed[name] for name in names]


def shipped_continual_recipes() -> dict[str, Path]:
    """Returns the continual recipes of the package by name."""
    return shipped_files("landslide_tf.train.continual", "recipes")


def read_continual_recipe(
    name: str | Path, changes: Sequence[str] = ()
) -> ContinualRecipe:
    """Reads a recipe and validates what needs no network, and therefore no Keras.

    Args:
        name: Name of a shipped one, or a YAML file.
        changes: Values to change, each `section.key=value` with a YAML value.

    Returns:
        The recipe, whose network may not fit its data yet.

    Raises:
        RecipeError: If there is no such recipe, or a key or value is not valid.
    """
    content, where = read_yaml(name, shipped_continual_recipes()), f"Recipe `{name}`"
    recipe = validated(ContinualRecipe, content, where, changes)
    try:
        recipe.arrivals()
    except LandslideTFError as error:
        raise RecipeError(f"{where}: {error}") from error
    return recipe


def check_continual_network(recipe: ContinualRecipe) -> None:
    """Refuses a recipe whose network does not fit its data.

    This needs Keras; `read_continual_recipe` has checked the rest.

    Args:
        recipe: What `read_continual_recipe` has read.

    Raises:
        RecipeError: If an argument of the network or the number of bands is not valid.
    """
    try:
        bands = recipe.network.bands
    except LandslideTFError as error:
        raise RecipeError(str(error)) from error
    if len(recipe.data.image) != bands:
        raise RecipeError(
            f"`data.image` must name {counted(bands, 'band')} for "
            f"`model.inputs: {recipe.model.inputs}`, received {len(recipe.data.image)}."
        )


def load_continual_recipe(
    name: str | Path, changes: Sequence[str] = ()
) -> ContinualRecipe:
    """Reads and validates a recipe of continual training.

    Args:
        name: Name of a shipped one, or a YAML file.
        changes: Values to change, each `section.key=value` with a YAML value.

    Returns:
        The validated recipe.

    Raises:
        RecipeError: If there is no such recipe, or a key or value is not valid.
    """
    recipe = read_continual_recipe(name, changes)
    check_continual_network(recipe)
    return recipe

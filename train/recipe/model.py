"""The data and the network of a recipe, and whether they fit each other."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from landslide_tf.errors import RecipeError, did_you_mean

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Colour = Literal["red", "green", "blue"]
# Arguments of builders that follow from the data.
DERIVED = frozenset({"num_classes", "input_shape", "classifier_activation"})
TaskName = Literal["segmentation", "classification", "adaptation"]


class Section(BaseModel):
    """Base of the sections of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class DataSection(Section):
    """Which examples, and which of their channels the model sees."""

    name: str = Field(description="`name[/config]` of a TFDS builder")
    train: str = Field("train", description="split to train on")
    validation: str = Field("validation", description="split that selects the epoch")
    test: str = Field("test", description="split that `evaluate` reports")
    samples: Count | None = Field(
        None,
        description="number of examples of `train` to use, drawn by the seed, one with "
        "landslide among them; None uses all",
    )
    validation_samples: Count | None = Field(
        None, description="the same for `validation`"
    )
    arrays: str | None = Field(
        None,
        description="folder of `landslide-tf datasets export-arrays` to read the "
        "splits from; None reads the TFDS folder",
    )
    image: list[str] = Field(description="bands of the model's `image`, in order")
    image_scale: Positive = Field(
        1.0, description="`image` is the raw value times this; 255 for bands in 0..1"
    )
    factors: list[str] = Field([], description="channels of the model's `factors`")
    fill: dict[str, float | Literal["median"]] = Field(
        {},
        description="value for missing pixels by channel, of those that are read; "
        "`median` is that of training",
    )


class ModelSection(Section):
    """Which network, with which arguments of its builder."""

    name: str = Field(description="a name of `landslide_tf.models.list_models()`")
    arguments: dict[str, Any] = Field(
        {}, description="keyword arguments; classes and factors come from the data"
    )
    branches: dict[str, list[str]] = Field(
        {},
        description="groups of `data.factors` with separate branches, by branch name; "
        "by default all share one",
    )
    stem: Literal["repeat", "zero"] | dict[str, Colour] | None = Field(
        None,
        description="how `backbone_weights` are used for bands other than red, green, "
        "blue: cycled, the first three only, or the colour of each band named; then "
        "`arguments.normalization` holds the mean, std and scale of the bands",
    )
    start: str | None = Field(
        None, description="folder of a finished run of this network to start from"
    )
    freeze: list[str] = Field(
        [],
        description="names of layers to freeze, with shell wildcards, including their "
        "batch norm statistics",
    )
    freeze_norms: bool = Field(
        False, description="freeze statistics, scale and shift of all batch norms"
    )
    prior_bias: bool = Field(
        False,
        description="initialise the classifier's bias from the shares of the classes",
    )


def check_model(data: DataSection, model: ModelSection, task: TaskName) -> None:
    """Refuses a network that does not fit its data or the task.

    Args:
        data: The data.
        model: The network.
        task: What the recipe trains for.

    Raises:
        RecipeError: If the network is of another task, or an argument, the factors or
            their branches do not fit.
    """
    from landslide_tf import models

    builder = models.get(model.name)
    classifies = model.name in models.list_models(task="classification")
    if classifies != (task == "classification"):
        raise RecipeError(
            f"Model `{model.name}` classifies "
            f"{'whole images' if classifies else 'pixels'}: "
            f"{'add' if classifies else 'leave out'} the section `classification`."
        )
    if model.name == "ada_net":
        raise RecipeError(
            "Model `ada_net` is trained as `mffe_net` with `adaptation.aux_layer: "
            "aspp_dropout`, the same network, of which the second output is left out."
        )
    known = inspect.signature(builder).parameters
    for argument in model.arguments:
        if argument in DERIVED & set(known):
            raise RecipeError(
                f"`model.arguments.{argument}` follows from the data; leave it out."
            )
        if argument not in known:
            raise RecipeError(
                f"Model `{model.name}` has no argument `{argument}`."
                f"{did_you_mean(argument, set(known) - DERIVED)}"
            )
    takes_factors = "factors" in known
    if takes_factors and not data.factors:
        raise RecipeError(
            f"Model `{model.name}` needs `data.factors`; name the channels, "
            "for instance `--set data.factors=[slope,aspect,ndvi]`."
        )
    if data.factors and not takes_factors:
        raise RecipeError(
            f"Model `{model.name}` takes no `factors`; leave `data.factors` out."
        )
    _check_branches(data, model)


def _check_branches(data: DataSection, model: ModelSection) -> None:
    """Refuses kinds or branches of factors that do not fit the factors."""
    from landslide_tf.models.assembly import factor_branches

    factors, branches = data.factors, model.branches
    named = [name for names in branches.values() for name in names]
    if branches:
        factor_branches(branches)  # refuses names
    if branches and (sorted(named) != sorted(factors) or not all(branches.values())):
        raise RecipeError(
            f"`model.branches` must name each of `data.factors` ({', '.join(factors)}) "
            f"once, received {branches}."
        )
    kinds = model.arguments.get("factors")
    if kinds is None:
        return
    if isinstance(kinds, dict) != bool(branches) or list(kinds) != list(
        branches or kinds
    ):
        raise RecipeError(
            "`model.arguments.factors` must have the branches of `model.branches`, "
            f"received {kinds}."
        )
    groups = kinds.values() if isinstance(kinds, dict) else [kinds]
    count = sum(map(len, groups))
    if count != len(factors):
        raise RecipeError(
            f"`model.arguments.factors` needs one kind for each of `data.factors`, "
            f"{len(factors)}, received {count}."
        )

"""What a search may change in a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from pydantic import ValidationError

from landslide_tf import models
from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.models.fstf_net import FUSIONS
from landslide_tf.train.recipe.schema import (
    AugmentationSection,
    LossSection,
    Recipe,
)
from landslide_tf.train.recipe.yaml_files import explain
from landslide_tf.train.tasks.classification import LOSSES as IMAGE_LOSSES

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

# The chosen label of each choice and the number of each range, by dimension.
Values: TypeAlias = dict[str, str | float]

WIDTHS = (0.5, 1.0, 1.5, 2.0)  # times the recipe's own
DROPOUTS = (0.0, 0.1, 0.25, 0.5)
ASPP_RATES = ([3, 6, 9], [6, 12, 18], [12, 24, 36])
HEAD_MULTIPLIERS = (1.0, 10.0)
WEIGHT_DECAYS = (1e-4, 5e-4)
ADVERSARY = (1e-4, 2e-2)  # weight of deceiving the discriminator of the output
AUX_SHARES = (0.1, 0.2)  # of it, for the second classifier
LABEL_NOISES = (0.0, 0.3)
DECADE = 10.0  # the learning rate goes that far below and above the recipe's own
DIGITS = 3


@dataclass(frozen=True)
class Choice:
    """Something that a trial takes one of several forms of.

    Labels are text because keras-tuner sends numbers between processes as float32.

    Attributes:
        name: Key of the recipe it changes.
        forms: Changes of the recipe by label; each change is a dotted key and a value.
        own: Label of the form the recipe has.
    """

    name: str
    forms: Mapping[str, Mapping[str, Any]]
    own: str

    def declare(self, parameters: HyperParameters) -> None:
        """Adds the choice to keras-tuner's space."""
        parameters.Choice(self.name, list(self.forms), default=self.own)

    def clean(self, value: str) -> str:
        """Returns the label as it is."""
        return value

    def changes(self, value: str) -> Mapping[str, Any]:
        """Returns what a label changes in the recipe."""
        return self.forms[value]


@dataclass(frozen=True)
class LogRange:
    """A positive number whose logarithm is drawn evenly.

    Attributes:
        name: Key of the recipe it changes.
        low: Smallest value.
        high: Largest value.
        own: The recipe's value.
    """

    name: str
    low: float
    high: float
    own: float

    def declare(self, parameters: HyperParameters) -> None:
        """Adds the range to keras-tuner's space."""
        parameters.Float(
            self.name, self.low, self.high, sampling="log", default=self.own
        )

    def clean(self, value: float) -> float:
        """Returns the recipe's own number, or three digits of another one."""
        if abs(value - self.own) <= 1e-6 * self.own:
            return self.own
        return float(f"{value:.{DIGITS}g}")

    def changes(self, value: float) -> Mapping[str, Any]:
        """Returns what a number changes in the recipe."""
        return {self.name: value}


Dimension: TypeAlias = Choice | LogRange


@dataclass(frozen=True)
class SearchSpace:
    """A recipe and what may differ from it.

    Attributes:
        recipe: The recipe as written; it is a point of the space.
        dimensions: What trials differ in.
    """

    recipe: Recipe
    dimensions: tuple[Dimension, ...]

    @classmethod
    def around(cls, recipe: Recipe, vary: Sequence[str] = ()) -> SearchSpace:
        """Returns the space of a recipe.

        Every segmentation network has the learning rate, loss, class weights and
        augmentation; `coupled_sgd` brings its weight decay and head multiplier, and
        width, dropout, fusion and the rates of ASPP come with the builder's arguments
        of these names.

        Args:
            recipe: The recipe as written.
            vary: Names of the dimensions to keep; none keeps all.

        Returns:
            The space; the recipe is its default point.

        Raises:
            RecipeError: If there is no dimension of a name.
        """
        found = [
            _learning_rate(recipe),
            *_coupled(recipe),
            _loss(recipe),
            _class_weights(recipe),
            _augmentation(recipe),
            *_adaptation(recipe),
            *_arguments(recipe),
        ]
        names = [dimension.name for dimension in found]
        for name in vary:
            if name not in names:
                raise RecipeError(
                    f"`--vary`: a search around this recipe has no `{name}`."
                    f"{did_you_mean(name, names)}"
                )
        kept = (d for d in found if not vary or d.name in vary)
        return cls(recipe, tuple(kept))

    def declare(self, parameters: HyperParameters) -> None:
        """Adds every dimension to keras-tuner's space."""
        for dimension in self.dimensions:
            dimension.declare(parameters)

    def values(self, drawn: Mapping[str, Any]) -> Values:
        """Returns the values of a trial by dimension, without keras-tuner's own.

        Args:
            drawn: Values as an oracle gives them; missing ones are the recipe's.
        """
        return {d.name: d.clean(drawn.get(d.name, d.own)) for d in self.dimensions}

    def recipe_at(self, values: Values, epochs: int | None = None) -> Recipe:
        """Returns the recipe of a trial.

        Args:
            values: As `values` returns them.
            epochs: Length of training; None keeps the recipe's.

        Returns:
            A recipe as `landslide-tf train` takes it.

        Raises:
            RecipeError: If the values do not go together.
        """
        content = self.recipe.model_dump(mode="json")
        for dimension in self.dimensions:
            changes = dimension.changes(values[dimension.name])
            for key, value in changes.items():
                assign(content, key, value)
        if epochs is not None:
            content["training"]["epochs"] = epochs
        try:
            return Recipe.model_validate(content)
        except ValidationError as error:
            raise RecipeError(f"Trial: {explain(error, Recipe)}") from error


def assign(content: dict[str, Any], key: str, value: object) -> None:
    """Sets a value of nested sections by its dotted key."""
    *sections, last = key.split(".")
    for section in sections:
        content = content[section]
    content[last] = value


def _learning_rate(recipe: Recipe) -> LogRange:
    own = recipe.optimizer.learning_rate
    return LogRange("optimizer.learning_rate", own / DECADE, own * DECADE, own)


def _coupled(recipe: Recipe) -> list[Choice]:
    """What `coupled_sgd` has besides its learning rate."""
    section = recipe.optimizer
    if section.name != "coupled_sgd":
        return []
    return [
        _choice("optimizer.head_multiplier", HEAD_MULTIPLIERS, section.head_multiplier),
        _choice("optimizer.weight_decay", WEIGHT_DECAYS, section.weight_decay),
    ]


def _adaptation(recipe: Recipe) -> list[Dimension]:
    """What adversarial adaptation has besides."""
    section = recipe.adaptation
    if section is None:
        return []
    low, high = ADVERSARY
    found: list[Dimension] = []
    if section.weight:
        own = section.weight
        bounds = min(low, own / 2), max(high, own * 2)
        found.append(LogRange("adaptation.weight", *bounds, own))
    if section.aux_layer is not None:
        own = section.aux_weight
        weights = sorted({share * section.weight for share in AUX_SHARES} | {own})
        found.append(_choice("adaptation.aux_weight", weights, own))
    own = section.label_noise
    noises = sorted({*LABEL_NOISES, own})
    return [*found, _choice("adaptation.label_noise", noises, own)]


def _loss(recipe: Recipe) -> Choice:
    """Other losses do not take the arguments of the recipe's own."""
    own = recipe.loss.name
    names = set(get_args(LossSection.model_fields["name"].annotation))
    if recipe.classification is not None:
        names &= set(IMAGE_LOSSES)
    # The released formulas are there to be compared with, not to be chosen.
    names = sorted(names - {"released"} | {own})
    reset = {"loss.arguments": {}, "loss.formula": None}
    forms = {name: {"loss.name": name, **reset} for name in names}
    forms[own] = {}
    return Choice("loss.name", forms, own)


def _class_weights(recipe: Recipe) -> Choice:
    key, own = "loss.class_weights", recipe.loss.class_weights
    if own is None:
        rule = "median_frequency"
        return Choice(key, {"none": {}, rule: {key: rule}}, "none")
    label = own if isinstance(own, str) else "recipe"
    return Choice(key, {"none": {key: None}, label: {}}, label)


def _augmentation(recipe: Recipe) -> Choice:
    none = AugmentationSection().model_dump()
    if recipe.augmentation.model_dump() == none:
        on, name = {"dihedral": True}, "flips"
        if recipe.classification is None:  # else its colours may carry saliency
            on, name = {**on, "brightness": 0.1, "contrast": 0.1}, "flips and light"
        forms = {"none": {}, name: {"augmentation": on}}
        return Choice("augmentation", forms, "none")
    forms = {"none": {"augmentation": none}, "recipe": {}}
    return Choice("augmentation", forms, "recipe")


def _arguments(recipe: Recipe) -> list[Choice]:
    """The builder's arguments that a search knows values for."""
    known = inspect.signature(models.get(recipe.model.name)).parameters

    def choice(name: str, values: Sequence[Any], own: object) -> Choice:
        return _choice(f"model.arguments.{name}", values, own)

    found = []
    for name in ("width", "dropout", "fusion", "aspp_rates"):
        if name not in known:
            continue
        own = recipe.model.arguments.get(name, known[name].default)
        if name == "width":
            found.append(choice(name, [own * factor for factor in WIDTHS], own))
        elif name == "dropout":
            found.append(choice(name, sorted({*DROPOUTS, own}), own))
        elif name == "aspp_rates":
            found.append(choice(name, ASPP_RATES, list(own)))
        else:
            found.append(choice(name, FUSIONS, own))
    return found


def _choice(key: str, values: Sequence[Any], own: object) -> Choice:
    forms = {_label(value): {key: value} for value in values}
    # The recipe itself stays as written.
    return Choice(key, {**forms, _label(own): {}}, _label(own))


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)

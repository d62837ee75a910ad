"""What a search may change in a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import keras_tuner as kt

from landslide_tf import models
from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.models.fstf_net import FUSIONS
from landslide_tf.train.recipe.schema import (
    AugmentationSection,
    Recipe,
    RecipeFile,
)
from landslide_tf.train.recipe.yaml_files import assign, validated
from landslide_tf.train.tasks import task_of

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

    def declare(self, parameters: kt.HyperParameters) -> None:
        """Adds the choice to keras-tuner's space."""
        parameters.Choice(self.name, list(self.forms), default=self.own)

    def clean(self, value: str | float) -> str | float:
        """Returns the label as it is."""
        return value

    def changes(self, value: str | float) -> Mapping[str, Any]:
        """Returns what a label changes in the recipe."""
        return self.forms[str(value)]


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

    def declare(self, parameters: kt.HyperParameters) -> None:
        """Adds the range to keras-tuner's space."""
        parameters.Float(
            self.name, self.low, self.high, sampling="log", default=self.own
        )

    def clean(self, value: str | float) -> str | float:
        """Returns the recipe's own number, or three digits of another one."""
        if abs(float(value) - self.own) <= 1e-6 * self.own:
            return self.own
        return float(f"{value:.{DIGITS}g}")

    def changes(self, value: str | float) -> Mapping[str, Any]:
        """Returns what a number changes in the recipe."""
        return {self.name: value}


Dimension: TypeAlias = Choice | LogRange
AnyRecipe = TypeVar("AnyRecipe", bound=RecipeFile)


@dataclass(frozen=True)
class Space(Generic[AnyRecipe]):
    """A recipe and what may differ from it.

    Attributes:
        recipe: The recipe as written; it is a point of the space.
        dimensions: What trials differ in.
    """

    recipe: AnyRecipe
    dimensions: tuple[Dimension, ...]

    def parameters(self) -> kt.HyperParameters:
        """Returns the dimensions as keras-tuner's space."""
        parameters = kt.HyperParameters()
        for dimension in self.dimensions:
            dimension.declare(parameters)
        return parameters

    def values(self, drawn: Mapping[str, Any]) -> Values:
        """Returns the values of a trial by dimension, without keras-tuner's own.

        Args:
            drawn: Values as an oracle gives them; missing ones are the recipe's.
        """
        return {d.name: d.clean(drawn.get(d.name, d.own)) for d in self.dimensions}

    def recipe_at(self, values: Values, epochs: int | None = None) -> AnyRecipe:
        """Returns the recipe of a trial.

        Args:
            values: As `values` returns them.
            epochs: Length of training; None keeps the recipe's.

        Returns:
            A recipe as the command takes it that trains the space's own.

        Raises:
            RecipeError: If the values do not go together.
        """
        content = self.recipe.model_dump(mode="json")
        for dimension in self.dimensions:
            for key, value in dimension.changes(values[dimension.name]).items():
                assign(content, key, value)
        if epochs is not None:
            assign(content, "training.epochs", epochs)
        return validated(type(self.recipe), content, "Trial")


class SearchSpace(Space[Recipe]):
    """What `tune` may change in a recipe."""

    @classmethod
    def around(cls, recipe: Recipe, vary: Sequence[str] = ()) -> SearchSpace:
        """Returns the space of a recipe.

        Every network has the learning rate, loss, class weights and augmentation;
        `coupled_sgd` brings its weight decay and head multiplier, and width, dropout,
        fusion and the rates of ASPP come with the builder's arguments of these names;
        so does a decoder width, and no width, where the encoder has published weights.

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
        return cls(recipe, chosen(found, vary))


def chosen(
    dimensions: Sequence[Dimension], vary: Sequence[str]
) -> tuple[Dimension, ...]:
    """Returns the dimensions of some names, all where there are none.

    Raises:
        RecipeError: If there is no dimension of a name.
    """
    names = [dimension.name for dimension in dimensions]
    for name in vary:
        if name not in names:
            raise RecipeError(
                f"`--vary`: a search around this recipe has no `{name}`: expected some "
                f"of {', '.join(names)}, received `{name}`.{did_you_mean(name, names)}"
            )
    return tuple(d for d in dimensions if not vary or d.name in vary)


def choice(key: str, values: Sequence[Any], own: object) -> Choice:
    """Returns a choice among values of a key, of which the recipe has one.

    Args:
        key: Dotted key of the recipe.
        values: What trials may have.
        own: What the recipe has, which need not be among them.
    """
    forms = {_label(value): {key: value} for value in values}
    # The recipe itself stays as written.
    return Choice(key, {**forms, _label(own): {}}, _label(own))


def _label(value: object) -> str:
    if value is None:
        return "published"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _learning_rate(recipe: Recipe) -> LogRange:
    own = recipe.optimizer.learning_rate
    return LogRange("optimizer.learning_rate", own / DECADE, own * DECADE, own)


def _coupled(recipe: Recipe) -> list[Choice]:
    """What `coupled_sgd` has besides its learning rate."""
    section = recipe.optimizer
    if section.name != "coupled_sgd":
        return []
    return [
        choice("optimizer.head_multiplier", HEAD_MULTIPLIERS, section.head_multiplier),
        choice("optimizer.weight_decay", WEIGHT_DECAYS, section.weight_decay),
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
        found.append(choice("adaptation.aux_weight", weights, own))
    own = section.label_noise
    noises = sorted({*LABEL_NOISES, own})
    return [*found, choice("adaptation.label_noise", noises, own)]


def _loss(recipe: Recipe) -> Choice:
    """Other losses do not take the arguments of the recipe's own."""
    own = recipe.loss.name
    # The released formulas are there to be compared with, not to be chosen.
    names = set(task_of(recipe).losses) - {"released"} | {own}
    reset: dict[str, Any] = {"loss.arguments": {}, "loss.formula": None}
    forms = {name: {"loss.name": name, **reset} for name in sorted(names)}
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
        on: dict[str, bool | float] = {"dihedral": True}
        name = "flips"
        if recipe.task != "classification":  # else its colours may carry saliency
            on, name = {**on, "brightness": 0.1, "contrast": 0.1}, "flips and light"
        return Choice("augmentation", {"none": {}, name: {"augmentation": on}}, "none")
    forms = {"none": {"augmentation": none}, "recipe": {}}
    return Choice("augmentation", forms, "recipe")


def _arguments(recipe: Recipe) -> list[Choice]:
    """The builder's arguments that a search knows values for."""
    known = inspect.signature(models.get(recipe.model.name)).parameters
    tried: dict[str, Callable[[Any], Sequence[Any]]] = {
        "width": lambda own: [own * factor for factor in WIDTHS],
        "decoder_width": lambda own: [own * factor for factor in WIDTHS],
        "dropout": lambda own: sorted({*DROPOUTS, own}),
        "fusion": lambda own: FUSIONS,
        "aspp_rates": lambda own: ASPP_RATES,
    }
    arguments, fixed = recipe.model.arguments, set()
    if arguments.get("decoder_width") is None:
        fixed.add("decoder_width")  # goes with the width
    if arguments.get("backbone_weights") is not None:
        fixed.add("width")  # is theirs
    found = []
    for name in (n for n in tried if n in known and n not in fixed):
        own = arguments.get(name, known[name].default)
        own = list(own) if isinstance(own, tuple) else own
        found.append(choice(f"model.arguments.{name}", tried[name](own), own))
    return found

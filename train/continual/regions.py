"""The examples of a recipe's regions."""

from __future__ import annotations

from dataclasses import dataclass, field

from landslide_tf.pipelines import (
    InputSelection,
    RegionExamples,
    default_rounds,
    draw_subset,
    load_region,
)
from landslide_tf.train.continual.recipe import ContinualRecipe, RegionSection
from landslide_tf.train.run.session import Session


@dataclass(frozen=True)
class RegionData:
    """The examples that a region's stages learn from.

    Attributes:
        training: With their copies.
        validation: Without.
    """

    training: RegionExamples
    validation: RegionExamples


@dataclass
class Regions:
    """The examples of a recipe's regions, each opened when it is first asked for.

    Attributes:
        recipe: Regions in their order, channels, size, seed of the copies.
        session: Folders.
    """

    recipe: ContinualRecipe
    session: Session
    _learnt: dict[str, RegionData] = field(default_factory=dict)
    _tests: dict[str, RegionExamples] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names in the order of arrival."""
        return [section.name for section in self.recipe.arrivals()]

    def step(self, name: str) -> RegionData:
        """Returns what a region's step learns from; no other region is opened.

        Args:
            name: The region.

        Raises:
            DataError: If its examples cannot be read.
        """
        if name not in self._learnt:
            rounds = self._section(name).rounds
            training = self._load(name, "train", -1 if rounds is None else rounds)
            self._learnt[name] = RegionData(training, self._load(name, "validation"))
        return self._learnt[name]

    def test(self, name: str) -> RegionExamples:
        """Returns what a region is evaluated on.

        Args:
            name: The region.

        Raises:
            DataError: If its examples cannot be read.
        """
        if name not in self._tests:
            self._tests[name] = self._load(name, "test")
        return self._tests[name]

    def _section(self, name: str) -> RegionSection:
        return next(s for s in self.recipe.arrivals() if s.name == name)

    def _load(self, name: str, split: str, rounds: int = 0) -> RegionExamples:
        section, data, session = self._section(name), self.recipe.data, self.session
        store = load_region(
            section.data,
            getattr(section, split),
            ids=section.ids,
            arrays=session.arrays or section.arrays,
            data_dir=session.data_dir,
            manual_dir=session.manual_dir,
        )
        if split == "train":
            store = draw_subset(store, section.max_train, section.subset_seed)
            if rounds < 0:
                rounds = default_rounds(name, len(store))
        selection = InputSelection(tuple(data.image), image_scale=data.image_scale)
        seed = self.recipe.training.seed
        return RegionExamples(store, selection, data.size, rounds, seed)

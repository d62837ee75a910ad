"""The examples of a region's step, from its section of the recipe."""

from __future__ import annotations

from dataclasses import dataclass

from landslide_tf.pipelines import (
    InputSelection,
    RegionExamples,
    default_rounds,
    draw_subset,
    load_region,
)
from landslide_tf.train.continual.recipe import ContinualRecipe, RegionSection
from landslide_tf.train.engine import Session


@dataclass(frozen=True)
class RegionData:
    """The examples that a step learns from.

    Attributes:
        training: With their copies.
        validation: Without.
    """

    training: RegionExamples
    validation: RegionExamples


def load_examples(
    recipe: ContinualRecipe,
    section: RegionSection,
    split: str,
    session: Session,
    *,
    rounds: int = 0,
) -> RegionExamples:
    """Loads the examples of one region.

    Args:
        recipe: Channels, size and seed.
        section: The region.
        split: `"train"`, `"validation"` or `"test"`.
        session: Folders.
        rounds: Of the copies.

    Returns:
        The examples.

    Raises:
        DataError: If they cannot be read.
    """
    store = load_region(
        section.data,
        getattr(section, split),
        ids=section.ids,
        arrays=session.arrays or section.arrays,
        data_dir=session.data_dir,
        manual_dir=session.manual_dir,
    )
    selection = InputSelection(
        tuple(recipe.data.image), image_scale=recipe.data.image_scale
    )
    if split == "train":
        store = draw_subset(store, section.max_train, section.subset_seed)
        if rounds < 0:
            rounds = default_rounds(section.name, len(store))
    return RegionExamples(
        store, selection, recipe.data.size, rounds, recipe.training.seed
    )


def load_step(
    recipe: ContinualRecipe, section: RegionSection, session: Session
) -> RegionData:
    """Loads what a region's step learns from; no other region's images are opened."""
    rounds = -1 if section.rounds is None else section.rounds
    return RegionData(
        load_examples(recipe, section, "train", session, rounds=rounds),
        load_examples(recipe, section, "validation", session),
    )

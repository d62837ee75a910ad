"""The folder that the branches of an evidential classifier are trained into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from landslide_tf.choices import Branch
from landslide_tf.errors import RunError
from landslide_tf.train.evidential.predictions import BranchTable, read_branches
from landslide_tf.train.recipe.schema import Recipe, load_recipe
from landslide_tf.train.run.folder import RunFolder

Part: TypeAlias = Literal["validation", "test"]
BRANCHES: tuple[Branch, ...] = get_args(Branch)
FUSED: tuple[Branch, ...] = ("h", "s", "v")
PARTS: tuple[Part, ...] = get_args(Part)
RECIPE = "evidential.yaml"


@dataclass(frozen=True)
class BranchFolder:
    """The runs of the branches of one recipe and seed, and what they predict.

    Attributes:
        path: Holds `<branch>/` (run folders) and `<part>/<branch>.csv`.
    """

    path: Path

    def run(self, branch: str) -> RunFolder:
        """Returns the run of a branch."""
        return RunFolder(self.path / branch)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches that are trained."""
        return tuple(b for b in BRANCHES if self.run(b).model.is_file())

    def check(self) -> None:
        """Refuses a folder of something else, which needs no Keras.

        Raises:
            RunError: If it is none of `landslide-tf evidential train`.
        """
        if not (self.path / RECIPE).is_file():
            raise RunError(
                f"`{self.path}` has no `{RECIPE}`: expected a folder of `landslide-tf "
                "evidential train`."
            )

    def read_recipe(self, needed: Sequence[Branch] = ()) -> Recipe:
        """Returns the recipe that all branches share.

        Args:
            needed: Branches that have to be trained.

        Raises:
            RunError: If one is not, or the folder is none of `landslide-tf evidential
                train`.
        """
        self.check()
        for branch in needed:
            if branch not in self.branches:
                raise RunError(
                    f"`{self.path}` has no trained branch `{branch}`: resume it with "
                    "the `landslide-tf evidential train` that began it."
                )
        return load_recipe(self.path / RECIPE)

    @property
    def inputs(self) -> list[Path]:
        """What later commands read of the branches."""
        parts = [self.path / name for name in (RECIPE, *PARTS)]
        return [*parts, *(self.run(branch).path for branch in BRANCHES)]

    def table(self, part: str, branch: str) -> Path:
        """Returns the file of what a branch predicts for a part."""
        return self.path / part / f"{branch}.csv"

    def predictions(
        self, part: str, branches: tuple[str, ...] | None = None
    ) -> BranchTable:
        """Reads what the branches predict for a part.

        Args:
            part: Name of the folder of CSV files.
            branches: Their names; None for those that are trained.

        Raises:
            DataError: If files are missing or do not fit each other.
        """
        return read_branches(self.path / part, branches or self.branches)

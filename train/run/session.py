"""What a run depends on besides its recipe, which does not change its numbers."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landslide_tf.train.recipe.schema import Recipe

Verbosity = Literal[0, 1, 2]


@dataclass(frozen=True)
class Session:
    """Folders and output of a process that trains or evaluates.

    Attributes:
        data_dir: Folder of built data sets; None = TFDS's own.
        manual_dir: Folder with files the user has to provide.
        command: The command line, kept in `model.json`.
        verbose: Keras's verbosity; None shows a bar on a terminal, else a line an
            epoch.
        arrays: Folder of exported arrays to read the splits from; None takes the
            recipe's, which the run keeps.
    """

    data_dir: str | Path | None = None
    manual_dir: str | Path | None = None
    command: str | None = None
    verbose: Verbosity | None = None
    arrays: str | Path | None = None

    @property
    def inputs(self) -> list[str | Path | None]:
        """The folders that are read."""
        return [self.data_dir, self.manual_dir, self.arrays]

    @property
    def verbosity(self) -> Verbosity:
        """Keras's verbosity, settled."""
        if self.verbose is not None:
            return self.verbose
        return 1 if sys.stdout.isatty() else 2

    def with_arrays(self, recipe: Recipe) -> Recipe:
        """Returns a recipe that finds its arrays from any folder and later session."""
        arrays = self.arrays or recipe.data.arrays
        if arrays is None:
            return recipe
        recipe = recipe.model_copy(deep=True)
        recipe.data.arrays = str(Path(arrays).resolve())
        return recipe

"""Processes that search together, with trials that train nothing.

Each ends a trial with a score that its values give, and notes when it began and ended.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

from landslide_tf.train import SearchOptions, load_recipe
from landslide_tf.train.search.claims import Claims
from landslide_tf.train.search.folder import Outcome, SearchFolder
from landslide_tf.train.search.oracle import make_oracle
from landslide_tf.train.search.space import SearchSpace

RATE = "optimizer.learning_rate"


def note(log: Path, event: str, number: int) -> None:
    """Adds a line to what all processes note, in one write."""
    with log.open("a") as stream:
        stream.write(json.dumps([event, number, os.getpid()]) + "\n")


def notes(log: Path) -> list[tuple[str, int, int]]:
    """What was noted: the event, the number of the trial, and the process."""
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()]


def score(values: dict) -> float:
    """A score that a rate of 0.01 would make the highest."""
    return 1 / (1 + abs(math.log10(values[RATE]) + 2))


def space_of(recipe: str) -> SearchSpace:
    """The learning rate alone."""
    return SearchSpace.around(load_recipe(recipe), [RATE])


def work(folder: Path, recipe: str, options: SearchOptions, seconds: float) -> None:
    """Ends trials of a search until all have ended.

    Args:
        folder: The folder of the search.
        recipe: What to start from.
        options: How to search.
        seconds: What a trial takes.
    """
    space, search = space_of(recipe), SearchFolder(folder)
    search.join({"of": "tests"})

    def run_of(number, drawn):
        return search.run_of(
            number, space.recipe_at(space.values(drawn), epochs(drawn))
        )

    def epochs(drawn):
        return drawn.get("tuner/epochs", 4)

    monitor = space.recipe.training.monitor
    claims = Claims(search, make_oracle(space, options), run_of, monitor)
    while True:
        with claims.next() as claim:
            if claim is None:
                return
            number, drawn, run = claim

            def train(number=number, drawn=drawn, run=run):
                note(folder.with_suffix(".log"), "begun", number)
                time.sleep(seconds)
                note(folder.with_suffix(".log"), "ended", number)
                values = space.values(drawn)
                return Outcome(
                    trial=number, status="completed", score=score(values),
                    epochs=epochs(drawn), parameters=1, values=values,
                    run=run.path.name,
                )  # fmt: skip

            search.finish(run, train)

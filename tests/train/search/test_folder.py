"""The folder of a search: whose it is, one run a recipe, the table and the winner."""

import csv

import pytest

from landslide_tf.errors import RunError
from landslide_tf.train import Outcome, SearchFolder, load_recipe


@pytest.fixture
def recipe():
    return load_recipe("rae_d_mmls")


@pytest.fixture
def search(tmp_path):
    return SearchFolder(tmp_path / "search")


def outcome(trial, score, reason=None, run="", **values):
    status = "failed" if score is None else "completed"
    return Outcome(trial, status, score, 3, 10, values, run, reason)


def end(search, recipe, trial, score, reason=None):
    """Ends a trial that differs in its learning rate."""
    changed = recipe.model_copy(deep=True)
    changed.optimizer.learning_rate = 10.0**-trial
    run = search.run_of(trial, changed)
    rate = {"optimizer.learning_rate": 10.0**-trial}
    made = outcome(trial, score, reason, run.path.name, **rate)
    return search.finish(run, lambda: made)


def test_a_recipe_has_one_run_whatever_it_is_called(search, recipe):
    first = search.run_of(3, recipe)
    assert first.path.name.startswith("0003-")
    search.finish(first, lambda: outcome(3, 0.5))
    same = recipe.model_copy(update={"description": "another", "source": "other"})
    assert search.run_of(7, same).path == first.path
    other = recipe.model_copy(deep=True)
    other.training.epochs += 1
    assert search.run_of(7, other).path != first.path


def test_a_trial_ends_once(search, recipe):
    calls = []

    def make():
        calls.append(1)
        return outcome(0, 0.25, run="0000")

    run = search.run_of(0, recipe)
    first = search.finish(run, make)
    assert search.finish(run, make) == first == search.outcomes()[0]
    assert len(calls) == 1


@pytest.mark.parametrize(("mode", "best"), [("max", 2), ("min", 0)])
def test_the_ranking_has_the_best_first_and_failures_last(search, recipe, mode, best):
    end(search, recipe, 1, None, "out of | memory\nfor good")
    for trial, score in ((2, 0.75), (0, 0.25), (3, 0.5)):
        end(search, recipe, trial, score)
    search.write_tables(mode)
    with search.table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert rows[1]["reason"] == "out of | memory\nfor good"
    *_, last = lines = search.ranking.read_text().splitlines()
    order = [line.split("|")[1].strip() for line in lines[2:]]
    assert order == [*(["2", "3", "0"] if mode == "max" else ["0", "3", "2"]), "1"]
    assert "out of \\| memory for good" in last
    search.write_best(mode, lambda found: recipe.model_copy(), "val_score")
    written = load_recipe(search.best)
    score = 0.75 if best == 2 else 0.25
    words = f"(trial {best} of a search with 4: val_score {score:.4f})"
    assert written.description == f"{recipe.description} {words}"


def test_no_winner_without_a_score(search, recipe):
    with pytest.raises(RunError, match="none was run"):
        search.write_best("max", lambda found: recipe, "score")
    end(search, recipe, 0, None, "too large")
    with pytest.raises(RunError, match="No trial succeeded: too large"):
        search.write_best("max", lambda found: recipe, "score")


def test_a_folder_belongs_to_one_search(search, recipe):
    with search.claimed({"seed": 0}):
        pass
    with search.claimed({"seed": 1}):  # nothing is trained yet
        end(search, recipe, 0, 0.5)
    with search.claimed({"seed": 1}):
        pass
    with pytest.raises(RunError, match="another recipe or other options"):
        search.claim({"seed": 0})
    (search.path / "search.json").unlink()
    with pytest.raises(RunError, match="neither empty nor a search"):
        search.claim({"seed": 1})

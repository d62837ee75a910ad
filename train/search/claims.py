"""Trials of one search that several processes train, on one machine or on several.

Processes share the folder of the search and nothing else. Its `journal` says in one
order which trials were begun and which have ended; each process replays it with an
oracle of its own, which so stands where the others' stand. A trial belongs to the
process that holds the lock of its run. The system lets go of the locks of a process
that ends, in whatever way: its trial is then taken over by another one, which resumes
the run where it stopped.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras_tuner as kt
from keras_tuner.engine.trial import Trial, TrialStatus

from landslide_tf.errors import RunError
from landslide_tf.files import locked
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.search.folder import SearchFolder, read_outcome

_PAUSE = 1.0  # seconds between looks at what others are training
_BUSY = "Another process trains it."

RunOf = Callable[[int, dict[str, Any]], RunFolder]
"""Returns the run folder of a trial, by its number and keras-tuner's values."""


@dataclass
class Claims:
    """The trials of a search, as one of the processes that train them sees them.

    Args:
        folder: Folder of the search.
        oracle: What chooses the trials; no other may use it.
        run_of: Where a trial is trained.
        monitor: Name of the score.

    Attributes:
        open: Trials that were begun and have not ended, by number.
    """

    folder: SearchFolder
    oracle: kt.Oracle
    run_of: RunOf
    monitor: str
    open: dict[int, Trial] = field(default_factory=dict)
    _read: int = 0  # bytes of the journal
    _begun: int = 0
    _most: int | None = field(init=False)

    def __post_init__(self) -> None:
        # A search may be resumed with fewer trials: those in the journal count.
        self._most, self.oracle.max_trials = self.oracle.max_trials, None

    @contextlib.contextmanager
    def next(self) -> Iterator[tuple[int, dict[str, Any], RunFolder] | None]:
        """Claims a trial for this process while the block runs.

        Waits while others train all that is left, since one of them may be killed.

        Yields:
            Number, keras-tuner's values and run folder of a trial that nobody else
            trains, whose outcome is to be in its folder after the block; None where
            all trials have ended.

        Raises:
            RunError: If the journal or the file of an outcome is damaged.
        """
        with contextlib.ExitStack() as claim:
            while (found := self._claimed(claim)) is None and self.open:
                time.sleep(_PAUSE)
            if found is None:
                yield None
                return
            number, run = found
            yield number, self.open[number].hyperparameters.values, run
            with locked(self.folder.path):
                self._catch_up()
                if number in self.open:
                    self._note({"ended": number})

    def _claimed(self, claim: contextlib.ExitStack) -> tuple[int, RunFolder] | None:
        """Claims a trial whose process is gone, or a new one, if there is any."""
        with locked(self.folder.path):
            self._catch_up()
            for number in list(self.open):
                if (run := self._taken(number, claim)) is not None:
                    return number, run
            while (new := self._new()) is not None:
                if (run := self._taken(new, claim)) is not None:
                    return new, run
        return None

    def _taken(self, number: int, claim: contextlib.ExitStack) -> RunFolder | None:
        """Takes a trial, unless another process trains it."""
        run = self._run(number)
        try:
            claim.enter_context(locked(self.folder.lock_of(run), _BUSY))
        except RunError:
            return None
        return run

    def _new(self) -> int | None:
        """Begins a trial; None where the oracle has none now."""
        if self._most is not None and self._begun >= self._most:
            return None
        number, draws = self._begun, self.oracle._seed_state
        trial = self.oracle.create_trial(str(number))
        if trial.status != TrialStatus.RUNNING:
            return None
        values = trial.hyperparameters.values
        self._note({"begun": number, "draws": draws, "values": values}, trial)
        return number

    def _note(self, event: dict[str, Any], trial: Trial | None = None) -> None:
        """Adds a line to the journal, and does what it says."""
        line = json.dumps(event).encode() + b"\n"
        with self.folder.journal.open("ab") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        self._read += len(line)
        self._apply(event, trial)

    def _catch_up(self) -> None:
        """Does what others have added to the journal; drops a line that was cut off.

        Raises:
            RunError: If a line is damaged.
        """
        path = self.folder.journal
        if not path.exists():
            return
        with path.open("rb") as stream:
            stream.seek(self._read)
            lines = stream.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()  # its process was killed: nobody has acted on it
            os.truncate(path, self._read + sum(map(len, lines)))
        for line in lines:
            try:
                self._apply(json.loads(line))
            except RunError:
                raise  # of an outcome, which its message names
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"`{path}` is damaged: remove it, and the trials are gone through "
                    "anew, without training those that have ended."
                ) from error
            self._read += len(line)

    def _apply(self, event: dict[str, Any], trial: Trial | None = None) -> None:
        if (number := event.get("begun")) is not None:
            if trial is None:
                # Processes that have looked for a trial in vain have drawn, too.
                self.oracle._seed_state = event["draws"]
                trial = self.oracle.create_trial(str(number))
                # The journal counts, whatever this machine's arithmetic has made.
                trial.hyperparameters.values = event["values"]
            self.open[number], self._begun = trial, number + 1
            return
        number = event["ended"]
        trial = self.open.get(number)
        outcome = None if trial is None else read_outcome(self._run(number))
        if trial is None or outcome is None:
            return  # its file was removed, so that it ends anew
        if outcome.score is None:
            trial.status, trial.message = TrialStatus.FAILED, outcome.reason
        else:
            self.oracle.update_trial(trial.trial_id, {self.monitor: outcome.score})
            trial.status = TrialStatus.COMPLETED
        self.oracle.end_trial(trial)
        del self.open[number]

    def _run(self, number: int) -> RunFolder:
        return self.run_of(number, self.open[number].hyperparameters.values)

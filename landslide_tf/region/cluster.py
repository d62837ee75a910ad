"""Maps a region on a cluster of Ray.

Processes load the model once and do one unit of work after the other; where each runs
is Ray's business. All state is in the folder of the region, so that a process or a
node that ends costs the unit it was at, and the driver nothing but a new start.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from landslide_tf.errors import RunError, first_line
from landslide_tf.region.cluster_start import (
    Seat,
    check_nodes,
    connect,
    number_of_workers,
)
from landslide_tf.region.job import UNIT, RegionJob
from landslide_tf.region.region import Watch
from landslide_tf.region.scenes import RegionScene
from landslide_tf.region.work import Mapper, Outcome, Unit

_PATIENCE = 60.0  # seconds in which what is left of a killed node lets go of a scene
_ENDS = 5  # processes that a unit of work may end
_NO_PLACE = 300.0  # seconds in which one process at least must find a place
_LOOK = 5.0  # seconds between looks at the cluster


class Cluster:
    """Maps scenes on a cluster of Ray.

    Args:
        job: The region; its folder must be on storage that all nodes see.
        address: `HOST:PORT` of a cluster, `"auto"` for the one of this machine, or
            `"local"` for one of this machine alone, which ends with the command.
        workers: Number of processes; None = as many as the cluster has place for.
        cpus: CPUs of each, also the threads of TensorFlow in it.
        gpus: GPUs of each; a fraction shares one.
        unit: Pixels from which a scene is cut; None = `job.UNIT`.
    """

    def __init__(
        self,
        job: RegionJob,
        address: str,
        *,
        workers: int | None = None,
        cpus: float = 1,
        gpus: float = 0,
        unit: int | None = None,
    ) -> None:
        self._job = replace(
            job, out=job.out.absolute(), unit=unit or UNIT, patience=_PATIENCE
        )
        self._address, self._workers = address, workers
        self._seat = Seat(cpus, gpus)

    def run(
        self, scenes: Sequence[RegionScene], watch: Watch
    ) -> Iterator[tuple[RegionScene, Outcome]]:
        """See `region.Engine`.

        Raises:
            RunError: If Ray is not installed, the cluster cannot be reached, has no
                place, has other versions, or does not see the folder.
        """
        ray = connect(self._address)
        try:
            check_nodes(ray, self._job.out)
            number = self._workers or number_of_workers(ray, self._seat)
            yield from _Pool(ray, self._job, self._seat, number).run(scenes, watch)
        finally:
            ray.shutdown()


class Worker:
    """A process of the cluster that maps.

    Args:
        job: The region.
        threads: Threads of its computations.
        folder: Where the command runs, which relative names are relative to.
    """

    def __init__(self, job: RegionJob, threads: int, folder: str) -> None:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ.setdefault(name, str(threads))
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if Path(folder).is_dir():
            os.chdir(folder)
        self._job = job
        self._mapper: Mapper | None = None

    def load(self) -> None:
        """Loads the models."""
        self._mapper = Mapper(self._job, self._job.load())

    def run(self, unit: Unit) -> Outcome:
        """Does a unit of work."""
        assert self._mapper is not None  # units are for those that have loaded
        return self._mapper.run(unit)


class _Pool:
    """Processes of a cluster and what they do.

    Args:
        ray: The package, connected.
        job: The region.
        seat: What of a node each process takes.
        number: Number of processes.
    """

    def __init__(self, ray: Any, job: RegionJob, seat: Seat, number: int) -> None:  # noqa: ANN401
        self._ray, self._job, self._seat, self._number = ray, job, seat, number
        # What a process was at that ended is given to whichever is free: Ray itself
        # would keep it for the same one until that has found a place again.
        self._worker = ray.remote(Worker).options(
            num_cpus=seat.cpus, num_gpus=seat.gpus, max_restarts=0, max_task_retries=0
        )
        self._loading: dict[Any, Any] = {}  # processes by what they will answer
        self._working: dict[Any, tuple[Any, Unit]] = {}
        self._idle: list[Any] = []
        self._units: deque[Unit] = deque()
        self._ends: Counter[object] = Counter()
        self._cut: dict[str, _Cut] = {}
        self._failed: set[str] = set()

    def run(
        self, scenes: Sequence[RegionScene], watch: Watch
    ) -> Iterator[tuple[RegionScene, Outcome]]:
        """Yields scenes with what came of them."""
        self._units.extend(Unit(scene) for scene in scenes)
        for _ in range(self._number):
            self._start()
        silent = 0.0
        while self._units or self._working:
            while self._idle and self._units:
                worker, unit = self._idle.pop(), self._units.popleft()
                self._working[worker.run.remote(unit)] = (worker, unit)
            refs = [*self._working, *self._loading]
            done, _ = self._ray.wait(refs, num_returns=1, timeout=_LOOK)
            silent = 0.0 if done or self._working else silent + _LOOK
            if silent >= _NO_PLACE:
                raise RunError(
                    f"The cluster has had no place for a process with "
                    f"{self._seat.cpus:g} CPUs and {self._seat.gpus:g} GPUs for "
                    f"{_NO_PLACE:.0f} seconds: add nodes, or ask for less "
                    "(`--cpus-per-worker`, `--gpus-per-worker`)."
                )
            for ref in done:
                if ref in self._loading:
                    self._loaded(ref)
                else:
                    yield from self._answered(ref, watch)

    def _start(self) -> None:
        threads = max(1, int(self._seat.cpus))
        worker = self._worker.remote(self._job, threads, os.getcwd())
        self._loading[worker.load.remote()] = worker

    def _loaded(self, ref: Any) -> None:  # noqa: ANN401
        """Takes in a process that has loaded the model, or starts another one."""
        worker, errors = self._loading.pop(ref), self._ray.exceptions
        try:
            self._ray.get(ref)
        except errors.RayActorError as error:
            self._ends[None] += 1
            if self._ends[None] >= _ENDS:
                raise RunError(
                    "Processes of the cluster end before they have loaded the model: "
                    f"{first_line(error)}"
                ) from error
            self._start()
        except errors.RayTaskError as error:
            raise RunError(
                "The model cannot be loaded on the cluster: "
                f"{first_line(error.cause or error)}"
            ) from error
        else:
            self._ends[None] = 0
            self._idle.append(worker)

    def _answered(
        self,
        ref: Any,  # noqa: ANN401
        watch: Watch,
    ) -> Iterator[tuple[RegionScene, Outcome]]:
        """Takes in what came of a unit, or has it done again."""
        worker, unit = self._working.pop(ref)
        try:
            outcome = self._ray.get(ref)
        except self._ray.exceptions.RayActorError:
            self._start()
            key = (unit.scene.id, unit.strips, unit.cuts)
            self._ends[key] += 1
            if self._ends[key] < _ENDS:
                self._units.appendleft(unit)
                return
            outcome = Outcome(
                error=f"{_ENDS} processes ended while they mapped it: out of memory? "
                "Try fewer of them (`--workers`), or smaller batches (`--batch`)."
            )
        else:
            self._idle.append(worker)
        if unit.scene.id not in self._failed:
            yield from self._taken(unit, outcome, watch)

    def _taken(
        self, unit: Unit, outcome: Outcome, watch: Watch
    ) -> Iterator[tuple[RegionScene, Outcome]]:
        """Goes on with a scene of which a unit is done, or ends it."""
        name = unit.scene.id
        if outcome.error:
            self._failed.add(name)
            self._cut.pop(name, None)
            self._units = deque(u for u in self._units if u.scene.id != name)
            yield unit.scene, outcome
        elif outcome.done:
            begun = self._cut.pop(name, None)
            pixels = outcome.pixels if begun is None else begun.done
            yield unit.scene, replace(outcome, pixels=pixels)
        elif outcome.cuts:
            begun = self._cut[name] = _Cut(unit.scene, outcome)
            # What is begun comes before what is not, so that little is half done.
            self._units.extendleft(reversed(begun.units()))
        else:
            begun = self._cut[name]
            begun.done += outcome.pixels
            begun.left -= 1
            watch.moved(name, begun.done, begun.total)
            if not begun.left:
                self._units.appendleft(Unit(unit.scene, cuts=begun.cuts))


class _Cut:
    """A scene that is cut into units.

    Args:
        scene: The scene.
        outcome: How it is cut, and what of it is waiting.
    """

    def __init__(self, scene: RegionScene, outcome: Outcome) -> None:
        self._scene, self.cuts, self.total = scene, outcome.cuts, outcome.total
        self._waiting = outcome.waiting
        self.done, self.left = 0, len(outcome.waiting)

    def units(self) -> list[Unit]:
        """Returns what is to be done of it now."""
        if not self._waiting:
            return [Unit(self._scene, cuts=self.cuts)]
        return [Unit(self._scene, strips) for strips in self._waiting]

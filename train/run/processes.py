"""The processes that train one network together, seen from one of them.

Each runs the same program on its share of every batch (`keras.distribution` on JAX);
the first one alone writes the run folder.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import keras

from landslide_tf.errors import (
    LandslideTFError,
    LostProcessError,
    RunError,
    first_line,
)
from landslide_tf.train.run.hosts import LOST, Hosts

Result = TypeVar("Result")

# Seconds without a sign of life after which a process counts as dead, and seconds for
# which one that has ended waits for the others.
SILENCE = 60
# What JAX says where another process, or the network to it, is gone.
_LOST = ("Gloo", "NCCL", "coordination service", "UNAVAILABLE", "DEADLINE_EXCEEDED")


@dataclass(frozen=True)
class Processes:
    """One of several processes.

    Attributes:
        number: Which of them this is, 0-based.
        count: How many there are.
    """

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the run folder."""
        return self.number == 0

    def exchange(self, value: Any) -> list[Any]:  # noqa: ANN401 - JSON values
        """Returns the JSON values that all processes give, each calling this."""
        if self.count == 1:
            return [value]
        import numpy as np
        from jax.experimental.multihost_utils import process_allgather

        own = np.frombuffer(json.dumps(value).encode(), np.uint8)
        lengths = process_allgather(np.int32(len(own)))
        room = np.zeros(int(lengths.max()), np.uint8)
        room[: len(own)] = own
        texts = process_allgather(room)
        return [
            json.loads(text[: int(length)].tobytes())
            for text, length in zip(texts, lengths, strict=True)
        ]

    def wait(self) -> None:
        """Returns once every process has called it."""
        self.exchange(None)

    def each(self, work: Callable[[], Result]) -> Result:
        """Does what every process does for itself, and fails on all if on one.

        Args:
            work: Must not wait for another process.

        Returns:
            What `work` returns.

        Raises:
            LandslideTFError: What `work` raised in this process.
            RunError: What it raised in another one.
        """
        found: list[Result] = []
        fault: LandslideTFError | None = None
        try:
            found.append(work())
        except LandslideTFError as error:
            fault = error
        faults = self.exchange(None if fault is None else str(fault))
        if fault is not None:
            raise fault
        for number, text in enumerate(faults):
            if text is not None:
                raise RunError(f"Process {number}: {text}")
        return found[0]

    def agree(self, what: str, values: dict[str, Any], otherwise: str) -> None:
        """Refuses to go on where processes have different values.

        Args:
            what: What the values are, for the message: `"installed"`.
            values: JSON values by name.
            otherwise: What to do about a difference, for the message.

        Raises:
            RunError: If one differs; the same on every process.
        """
        first, *others = self.exchange(values)
        for number, other in enumerate(others, 1):
            for name in first | other:
                mine, its = first.get(name), other.get(name)
                if mine != its:
                    raise RunError(
                        f"Process {number} has {what} `{name}` {_shown(its)} and "
                        f"process 0 {_shown(mine)}: {otherwise}."
                    )


ALONE = Processes()


def _shown(value: object) -> str:
    text = json.dumps(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


@contextmanager
def joined(hosts: Hosts) -> Iterator[Processes]:
    """Joins the other processes for the time of the block.

    Where the block raises, the process ends without waiting for the others, which
    notice that it is gone.

    Args:
        hosts: Where they meet, and which of them this is.

    Yields:
        This process among all.

    Raises:
        RunError: If Keras's backend is not JAX, or the others cannot be reached.
        LostProcessError: If another process ends before the block does.
    """
    if keras.backend.backend() != "jax":
        raise RunError(
            "Training over several processes needs Keras's `jax` backend, received "
            f"`{keras.backend.backend()}`: set `KERAS_BACKEND=jax`; TensorFlow trains "
            "on the devices of one host (`--devices`)."
        )
    import jax

    _start(hosts)
    try:
        processes = Processes(jax.process_index(), jax.process_count())
        _check_devices(Counter(device.process_index for device in jax.devices()))
        yield processes
    except LandslideTFError as error:
        _end_alone(error.status)
        raise
    except BaseException as error:
        _end_alone(LostProcessError.status)
        if _is_loss(error):
            raise LostProcessError(LOST) from error
        raise
    part()


def _is_loss(error: BaseException) -> bool:
    """Says whether an exception came of another process's end, at once or later.

    Keras cleans up behind the first one, with arrays that are no longer there.
    """
    import jax

    # JAX raises the same failure of an exchange as either, by where it is noticed.
    kinds = (jax.errors.JaxRuntimeError, ValueError)
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, kinds) and any(word in str(found) for word in _LOST):
            return True
        found = found.__cause__ or found.__context__
    return False


def part() -> None:
    """Parts from the other processes, all of which have to call it.

    What follows is computed by this process alone.
    """
    import jax

    jax.distributed.shutdown()
    # Keras's own state of random numbers lies on the devices of all.
    keras.utils.set_random_seed(0)


def _start(hosts: Hosts) -> None:
    """Starts what JAX needs to compute with the other processes.

    Not by `keras.distribution.initialize`, which lets no time-outs be set and does
    nothing else but draw a seed.
    """
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would keep SIGTERM from ending the process.
    jax.config.update("jax_enable_preemption_service", False)
    address = hosts.address
    if address is not None:
        _meet(address, hosts)
    try:
        jax.distributed.initialize(
            None if address is None else f"{address[0]}:{address[1]}",
            hosts.processes,
            hosts.process,
            # Slurm's tasks take a GPU each.
            cluster_detection_method="deactivate"
            if address is not None and "SLURM_LOCALID" not in os.environ
            else None,
            initialization_timeout=hosts.wait,
            heartbeat_timeout_seconds=SILENCE,
            shutdown_timeout_seconds=SILENCE,
        )
    except (RuntimeError, ValueError, OSError) as error:
        if address is not None:
            raise RunError(f"{hosts.missing} ({first_line(error)})") from error
        raise RunError(
            f"Nothing here says where process 0 is ({first_line(error)}): expected "
            "`--coordinator HOST:PORT`, received `auto`."
        ) from error


def _meet(address: tuple[str, int], hosts: Hosts) -> None:
    """Waits until process 0 is there; in process 0, looks whether its port is free.

    JAX ends the process without a word to a user where it is not.
    """
    host, port = address
    if hosts.process == 0:
        try:
            socket.create_server(("", port)).close()
        except OSError as error:
            raise RunError(
                f"Port {port} of `{host}` cannot be used ({error.strerror}): give "
                "another one in `--coordinator`, on every process."
            ) from error
        return
    deadline = time.monotonic() + hosts.wait
    while True:
        try:
            socket.create_connection(address, timeout=5).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise RunError(f"{hosts.missing} ({first_line(error)})") from error
            time.sleep(0.2)
        else:
            return


def _check_devices(counts: Counter[int]) -> None:
    if len(set(counts.values())) > 1:
        listed = ", ".join(str(count) for _, count in sorted(counts.items()))
        raise RunError(
            "Expected as many devices on every process, received "
            f"{listed}: show each as many (`CUDA_VISIBLE_DEVICES`)."
        )


def _end_alone(status: int) -> None:
    """Lets the interpreter end without JAX's own end, which waits for the others."""

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)

    atexit.register(leave)

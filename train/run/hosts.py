"""Which of several processes a command is, and where they meet; needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass

from landslide_tf.errors import RunError

AUTO = "auto"
LOST = (
    "Another process has ended or cannot be reached, see its log; the same commands on "
    "all of them go on from the last checkpoint."
)


@dataclass(frozen=True)
class Hosts:
    """One of several processes that train together.

    Attributes:
        coordinator: `HOST:PORT` of process 0, free there; `"auto"`: as Slurm, Open MPI,
            Kubernetes or a Cloud TPU tell JAX.
        processes: How many there are; None with `"auto"`: as those tell.
        process: Which of them this is, 0-based; None likewise.
        wait: Seconds to wait for the others at the start.

    Raises:
        RunError: If the values do not fit each other.
    """

    coordinator: str
    processes: int | None
    process: int | None
    wait: int = 300

    def __post_init__(self) -> None:
        """Refuses what could not start."""
        for name in ("processes", "process"):
            if getattr(self, name) is None and self.coordinator != AUTO:
                raise RunError(
                    f"`--coordinator` needs `--{name}` too: it is in none of the "
                    "variables that Slurm, Kubernetes and others set."
                )
        count, number = self.processes, self.process
        if count is not None and number is not None and not 0 <= number < count:
            raise RunError(
                f"`--process`: expected 0 to {count - 1} for `--processes {count}`, "
                f"received {number}."
            )
        _ = self.address

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of process 0; None where JAX finds out.

        Raises:
            RunError: If the coordinator is not of this form.
        """
        if self.coordinator == AUTO:
            return None
        host, _, port = self.coordinator.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise RunError(
                "`--coordinator`: expected `HOST:PORT` of process 0, or `auto`, "
                f"received `{self.coordinator}`."
            )
        return host.strip("[]"), int(port)

    @property
    def missing(self) -> str:
        """Says that the processes have not met."""
        if self.process == 0:
            return (
                f"Not all {self.processes} processes came to `{self.coordinator}` "
                f"within {self.wait} s: start them all with the same `--coordinator`"
            )
        return (
            f"Process 0 does not answer at `{self.coordinator}` within {self.wait} s: "
            "start it there, with the same `--coordinator`, and let its port through"
        )

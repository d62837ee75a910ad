"""Before a cluster maps: is it there, is it the same software, does it see the folder.

Each ends in one line, and none takes longer than it may.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from landslide_tf.errors import RunError, first_line
from landslide_tf.region.region import PROBE

_PACKAGES = ("landslide_tf", "tensorflow", "keras", "jax", "numpy", "rasterio")
_REACHED = 120.0  # seconds in which a cluster must answer, on busy machines too
_LOOKED = 240.0  # seconds in which every node must have looked for the probe
_SEEN = 10.0  # seconds in which storage that is shared shows a new file
_ASK = """
import sys
import ray
try:
    ray.init(address=sys.argv[1], logging_level="CRITICAL", log_to_driver=False)
except BaseException as error:
    print(" ".join(str(error).split())[:300] or type(error).__name__)
    sys.exit(3)
ray.nodes()
"""


class Seat(NamedTuple):
    """What of a node a process takes.

    Attributes:
        cpus: CPUs.
        gpus: GPUs.
    """

    cpus: float
    gpus: float


def connect(address: str) -> Any:  # noqa: ANN401 - a package that may be missing
    """Connects to a cluster.

    Args:
        address: As `region.cluster.Cluster` takes it.

    Returns:
        The package `ray`, connected.

    Raises:
        RunError: If it is not installed, or nothing answers in time.
    """
    if importlib.util.find_spec("ray") is None:
        raise RunError(
            "`--ray` needs Ray, which is not installed: "
            "`pip install 'landslide_tf[ray]'`."
        )
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address.startswith("ray://"):
        raise RunError(
            f"`--ray` takes the address of a cluster, HOST:PORT, received `{address}`: "
            "run the command on a node of the cluster, such as its head."
        )
    if address != "local":
        _check_answers(address)
    import ray

    with contextlib.suppress(Exception):
        ray.shutdown()
    options: dict[str, Any] = {"logging_level": logging.CRITICAL}
    if address == "local":
        options["include_dashboard"] = False
    try:
        ray.init(address=address, log_to_driver=False, **options)
    except Exception as error:
        raise RunError(
            f"Ray cannot be started (`--ray {address}`): {first_line(error)}"
        ) from error
    return ray


def _check_answers(address: str) -> None:
    """Asks a cluster for its nodes in a process of its own.

    Where something else listens, Ray's own code may wait for minutes, and ends its
    process.
    """
    if address != "auto":
        _check_listens(address)
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=_REACHED,
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(
            f"No cluster of Ray answers at `{address}` within {_REACHED:.0f} seconds: "
            "check the address and that the cluster runs (`ray status`)."
        ) from error
    if asked.returncode:
        said = asked.stdout.strip()
        reason = f": {said}" if asked.returncode == 3 and said else ""
        raise RunError(
            f"No cluster of Ray that can be used answers at `{address}`; check the "
            f"address and that the cluster runs (`ray status`){reason}"
        )


def _check_listens(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise RunError(
            "`--ray`: expected `HOST:PORT` of a cluster, `auto` or `local`, received "
            f"`{address}`."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise RunError(
            f"No cluster of Ray answers at `{address}` ({first_line(error)}): check "
            "the address and that the cluster runs (`ray status`)."
        ) from error


def number_of_workers(ray: Any, seat: Seat) -> int:  # noqa: ANN401
    """Returns how many processes a cluster has place for.

    Raises:
        RunError: If it has none.
    """
    number = 0
    for node in ray.nodes():
        has = node["Resources"] if node["Alive"] else {}
        places = [
            has.get(kind, 0) // wanted
            for kind, wanted in (("CPU", seat.cpus), ("GPU", seat.gpus))
            if wanted
        ]
        number += int(min(places, default=1))
    if not number:
        wanted = f"{seat.cpus:g} CPUs" + (f" and {seat.gpus:g} GPUs" * (seat.gpus > 0))
        raise RunError(
            f"The cluster has no node with place for a process with {wanted}: add "
            "nodes, ask for less (`--cpus-per-worker`, `--gpus-per-worker`), or say "
            "how many there will be with `--workers`."
        )
    return number


def check_nodes(ray: Any, out: Path) -> None:  # noqa: ANN401
    """Refuses a cluster with other versions, or without the folder of the region.

    Args:
        ray: The package, connected.
        out: The folder.

    Raises:
        RunError: If a node is so; it is named.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    token = secrets.token_hex(8)
    probe = out / f"{PROBE}{token}"
    probe.write_text(token)
    try:
        look = ray.remote(_look())
        nodes = {n["NodeID"]: n for n in ray.nodes() if n["Alive"]}
        asked = {
            name: look.options(
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False),
            ).remote(_PACKAGES, str(probe), token, name)
            for name in nodes
        }
        own = versions(_PACKAGES)
        for name, ref in asked.items():
            host = nodes[name]["NodeManagerAddress"]
            _check_node(ray, ref, host, own, probe, name)
    finally:
        for path in out.glob(f"{PROBE}{token}*"):
            path.unlink(missing_ok=True)


def _check_node(
    ray: Any,  # noqa: ANN401
    ref: Any,  # noqa: ANN401
    host: str,
    own: dict[str, str],
    probe: Path,
    name: str,
) -> None:
    try:
        theirs, seen = ray.get(ref, timeout=_LOOKED)
    except ray.exceptions.RayError as error:
        raise RunError(
            f"Node {host} of the cluster does not answer: {first_line(error)}"
        ) from error
    differ = [
        f"`{package}` {theirs.get(package, 'not installed')} (here {version})"
        for package, version in own.items()
        if theirs.get(package) != version
    ]
    if differ:
        raise RunError(
            f"Node {host} of the cluster must have the versions of this machine, "
            f"received {', '.join(differ)}: install the same on all."
        )
    answer = probe.with_name(f"{probe.name}-{name}")
    deadline = time.monotonic() + _SEEN
    while seen and not answer.exists() and time.monotonic() < deadline:
        time.sleep(0.2)  # network file systems keep what they knew for a while
    if not seen or not answer.exists():
        raise RunError(
            f"Node {host} of the cluster does not see the folder `{probe.parent}` of "
            "this machine: name an `--out` on storage that all nodes share."
        )


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Returns the versions of installed packages, and of Python."""
    found = {"python": platform.python_version()}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _look() -> Any:  # noqa: ANN401 - a function
    """Returns what a node runs; it travels with all it needs.

    A node may have another version of this package, or none.
    """

    def look(
        packages: tuple[str, ...], probe: str, token: str, name: str
    ) -> tuple[dict[str, str], bool]:
        import importlib.metadata
        import platform
        import time

        found = {"python": platform.python_version()}
        for package in packages:
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                continue
        deadline = time.monotonic() + 10
        while True:
            try:
                with open(probe) as stream:
                    seen = stream.read() == token
                if seen:
                    with open(f"{probe}-{name}", "w") as stream:
                        stream.write(token)
                return found, seen
            except OSError:
                if time.monotonic() > deadline:
                    return found, False
                time.sleep(0.5)

    return look

"""Clusters of Ray on loopback, whose nodes a test ends and replaces."""

import contextlib
import gc
import socket
import warnings


def free_ports(number):
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for found in sockets:
            found.bind(("127.0.0.1", 0))
        return [found.getsockname()[1] for found in sockets]


def ports():
    """Ports of a node's agents: where they are given, a node need not wait for these.

    On a busy machine they start too late for it.
    """
    names = (
        "metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port",
        "runtime_env_agent_port",
    )  # fmt: skip
    return dict(zip(names, free_ports(len(names)), strict=True))


@contextlib.contextmanager
def cluster(nodes=2):
    """A head without place for work, and nodes of a CPU each."""
    from ray.cluster_utils import Cluster

    # Processes of Ray give way to all others (nice 15); on a busy machine they would
    # get a tenth of what these get, and start in minutes.
    config = {"worker_niceness": 0}
    config |= {"health_check_period_ms": 500, "health_check_failure_threshold": 6}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": config}
    found = patiently(
        lambda: Cluster(initialize_head=True, head_node_args=head | ports())
    )
    try:
        for _ in range(nodes):
            add(found)
        yield found
    finally:
        found.shutdown()
        del found
        forget()


def add(found):
    """Adds a node of a CPU; returns it."""
    return patiently(lambda: found.add_node(num_cpus=1, **ports()))


def patiently(start):
    """Starts something of Ray, which gives up where a machine is busy."""
    for _ in range(4):
        with contextlib.suppress(Exception):
            return start()
        forget()
    return start()


def forget():
    """Drops what Ray leaves open, which it tells only when it is collected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()

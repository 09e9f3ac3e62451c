"""Joining a Ray cluster, and what it offers."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

from cluster.ray_private import start_private
from shards.errors import CoursepackError, UsageError

CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class ActorResources:
    """What one actor claims from Ray.

    Attributes:
        num_cpus: Its threads.
        num_gpus: 0 or 1.
        memory: Bytes; 0 = none is claimed.
    """

    num_cpus: float
    num_gpus: float = 0.0
    memory: float = 0.0


def connect(address: str | None) -> Any:
    """Connect to a Ray cluster and return the `ray` module.

    Args:
        address: As for `ray.init`: `auto` for the cluster this program runs in, `host:port`,
            `ray://host:port`, or `local` for a private one on this machine, which listens on
            the loopback alone; None = as RAY_ADDRESS says, else `local`.

    Raises:
        UsageError: if Ray is not installed.
        CoursepackError: if no cluster answers, or it refuses the token.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "Ray is not installed here; `pip install 'coursepack[ray]'`, or run without --address"
        ) from error
    if ray.is_initialized():
        return ray
    listening = _is_listening(address)
    if listening is False:
        raise CoursepackError(
            f"nothing listens at {address}; start a cluster with `ray start --head`, check the "
            "address, or leave --address out to run on this machine"
        )
    place = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        if place == "local":
            start_private(ray, log_to_driver=True, logging_level="warning")
        else:
            ray.init(address=place, log_to_driver=True, logging_level="warning")
    except Exception as error:  # Ray raises a dozen unrelated types for "I cannot join"
        raise CoursepackError(_cannot_join(address, error)) from error
    return ray


def _is_listening(address: str | None) -> bool | None:
    """Whether a server accepts connections at `host:port`; None for addresses of another form.

    Asked first because Ray itself would try for minutes where nothing listens.
    """
    host, separator, port = (address or "").removeprefix("ray://").rpartition(":")
    if not separator or not port.isdigit():
        return None
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _cannot_join(address: str | None, error: Exception) -> str:
    # Ray tells a refused token on standard error alone; its exception speaks of a time-out.
    return (
        f"cannot join the Ray cluster at {address or 'the default address'} "
        f"({first_line(error)}). If it asks for a token, set RAY_AUTH_MODE=token and give its "
        "token in RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token (`ray get-auth-token` "
        "prints it on the head node); if there is none, start it with `ray start --head` or leave "
        "--address out; and its version of Ray must be the one installed here"
    )


def actor_slots(ray: Any, resources: ActorResources) -> int:
    """How many actors of this size the cluster holds now, node by node."""
    slots = 0
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        offered = node["Resources"]
        per_node = int(offered.get("CPU", 0) // max(resources.num_cpus, 0.001))
        if resources.num_gpus:
            per_node = min(per_node, int(offered.get("GPU", 0) // resources.num_gpus))
        if resources.memory:
            per_node = min(per_node, int(offered.get("memory", 0) // resources.memory))
        slots += per_node
    return slots


def cpus_per_gpu(ray: Any) -> int:
    """CPUs that each GPU's worker can have on the node with the fewest, at least 1."""
    shares = [
        int(node["Resources"].get("CPU", 0) // node["Resources"]["GPU"])
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("GPU")
    ]
    return max(1, min(shares, default=1))


def first_line(error: BaseException) -> str:
    """The first line of what an error says; Ray's errors have many."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""Workers as Ray actors: the same stages on a cluster, Ray as control plane only.

One actor holds one opened stage. Tasks and results are a few hundred bytes, so Ray's object store
stays empty; everything large goes straight between the actor and storage.
"""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass
from typing import Any

from cluster.dispatch import Died, PoolEvent, Waiting
from cluster.local_executor import THREAD_VARIABLES, as_event
from cluster.retry import flatten
from cluster.stage import Stage, Task
from shards.errors import CoursepackError, UsageError

CONNECT_TIMEOUT_S = 5.0
REPORT_SILENCE_S = 30.0


@dataclass(frozen=True)
class ActorResources:
    """What one actor claims from Ray: `num_cpus` (threads), `num_gpus` (0 or 1)."""

    num_cpus: float
    num_gpus: float = 0.0


class StageActor:
    """What lives in the actor process; `ray.remote` is applied by `RayPool`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._worker: Any = None

    def open(self) -> tuple[str, Any]:
        try:
            self._worker = self._stage.open()
        except Exception as error:  # whatever it is, the driver must hear of it
            return "cannot open", flatten(error)
        return "ready", None

    def run(self, task: Task) -> tuple[str, Any]:
        try:
            return "done", self._worker.run(task)
        except Exception as error:  # judged and repeated, or quarantined, by the driver
            return "raised", flatten(error)


def connect(address: str | None) -> Any:
    """Connect to a Ray cluster and return the `ray` module.

    Args:
        address: As for `ray.init`: `auto` for the cluster this program runs in, `host:port`,
            `ray://host:port`, or `local` for a private one on this machine.

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
    try:
        ray.init(address=address, log_to_driver=True, logging_level="warning")
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
        f"({_first_line(error)}). If it asks for a token, set RAY_AUTH_MODE=token and give its "
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


class RayPool:
    """A `WorkerPool` of Ray actors, each with its share of CPUs and GPUs."""

    def __init__(self, ray: Any, stage: Stage, *, resources: ActorResources) -> None:
        self._ray = ray
        self._stage = stage
        threads = str(max(1, int(resources.num_cpus)))
        self._actor_class = ray.remote(StageActor).options(
            num_cpus=resources.num_cpus,
            num_gpus=resources.num_gpus,
            max_restarts=0,  # a replacement is started by the dispatcher, which knows the tasks
            runtime_env={"env_vars": dict.fromkeys(THREAD_VARIABLES, threads)},
        )
        self._actors: dict[int, Any] = {}
        self._calls: dict[int, deque[Any]] = {}
        self._next = 0

    def start(self) -> int:
        number, self._next = self._next, self._next + 1
        self._actors[number] = self._actor_class.remote(self._stage)
        self._calls[number] = deque([self._actors[number].open.remote()])
        return number

    def submit(self, worker: int, task: Task) -> None:
        self._calls[worker].append(self._actors[worker].run.remote(task))

    def wait(self) -> PoolEvent:
        # An actor runs its calls in order, so only its oldest can be the next to end.
        oldest = {calls[0]: worker for worker, calls in self._calls.items() if calls}
        ended, _ = self._ray.wait(list(oldest), num_returns=1, timeout=REPORT_SILENCE_S)
        if not ended:
            return Waiting(self._why_silent())
        worker = oldest[ended[0]]
        try:
            kind, content = self._ray.get(ended[0])
        except self._ray.exceptions.RayError as error:
            return self._bury(worker, _first_line(error))
        self._calls[worker].popleft()
        return as_event(worker, kind, content)

    def close(self) -> None:
        for worker in list(self._actors):
            self._kill(worker)

    def _kill(self, worker: int) -> None:
        del self._calls[worker]
        self._ray.kill(self._actors.pop(worker))

    def _why_silent(self) -> str:
        free = self._ray.available_resources()
        return (
            f"no news from {len(self._actors)} actors for {REPORT_SILENCE_S:.0f} s; the cluster "
            f"has {free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs free"
        )

    def _bury(self, worker: int, reason: str) -> Died:
        self._kill(worker)  # a process that Ray lost sight of must not go on writing
        return Died(worker, f"actor {worker} died: {reason}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

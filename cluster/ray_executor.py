"""Workers as Ray actors: the same stages on a cluster, Ray as control plane only.

One actor holds one opened stage. Tasks and results are a few hundred bytes, so Ray's object store
stays empty; everything large goes straight between the actor and storage.
"""

from __future__ import annotations

import contextlib
import pickle
import time
import uuid
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.board import Crumb, Pulse
from cluster.code_fingerprint import code_fingerprint
from cluster.local_executor import THREAD_VARIABLES, as_event
from cluster.ray_connect import ActorResources, actor_slots, connect, cpus_per_gpu, first_line
from cluster.stage import Stage, Task
from cluster.stage_actor import StageActor, last_words
from cluster.worker_pool import DeathKind, Died, PoolEvent

__all__ = ["ActorResources", "RayPool", "actor_slots", "connect", "cpus_per_gpu"]

_LAST_WORDS_S = 20.0
"""Reading the board of a dead actor starts a process on its node; a node in trouble is not waited
for much longer."""

_FAREWELL_S = 2.0


@dataclass
class _Actor:
    """One actor: its calls in order, the question after its pulse, and what it last answered."""

    handle: Any
    board: str
    calls: deque[Any] = field(default_factory=deque)
    asked: Any = None
    pulse: Pulse | None = None
    node: str = ""


@dataclass(frozen=True)
class _Burial:
    """A dead actor whose board is being read."""

    worker: int
    node: str
    reason: str
    until: float


def this_node() -> str:
    """Id of the Ray node that this process runs on."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


class RayPool:
    """A `WorkerPool` of Ray actors, each with its share of CPUs, GPUs and memory."""

    def __init__(self, ray: Any, stage: Stage, *, resources: ActorResources) -> None:
        self._ray = ray
        self._stage = pickle.dumps(stage)
        self._code = code_fingerprint()
        self._resources = resources
        threads = str(max(1, int(resources.num_cpus)))
        self._actor_class = ray.remote(
            num_cpus=resources.num_cpus,
            num_gpus=resources.num_gpus,
            memory=resources.memory or None,
            max_restarts=0,  # a replacement is started by the dispatcher, which knows the tasks
            max_task_retries=0,
            concurrency_groups={"pulse": 1},
            runtime_env={"env_vars": dict.fromkeys(THREAD_VARIABLES, threads)},
        )(StageActor)
        self._last_words = ray.remote(num_cpus=0, max_retries=0)(last_words)
        self._actors: dict[int, _Actor] = {}
        self._burials: dict[Any, _Burial] = {}
        self._events: deque[PoolEvent] = deque()
        self._next = 0

    def start(self) -> int:
        number, self._next = self._next, self._next + 1
        board = f"{uuid.uuid4().hex}-{number}"
        handle = self._actor_class.remote(board, self._code, self._stage, this_node)
        actor = self._actors[number] = _Actor(handle, board)
        actor.calls.append(handle.open.remote())
        actor.asked = self._ask(actor)
        return number

    def submit(self, worker: int, task: Task) -> None:
        actor = self._actors.get(worker)
        if actor is not None:  # else it was just given up, and its `Died` is on its way
            actor.calls.append(actor.handle.run.remote(task))

    def wait(self, timeout_s: float) -> PoolEvent | None:
        if not self._events:
            self._collect(timeout_s)
        return self._events.popleft() if self._events else None

    def pulses(self, workers: Collection[int]) -> Mapping[int, Pulse]:
        self._collect_pulses()
        found: dict[int, Pulse] = {}
        for worker in workers:
            actor = self._actors.get(worker)
            if actor is None:
                continue
            if actor.asked is None:
                actor.asked = self._ask(actor)
            if actor.pulse is not None:
                found[worker] = actor.pulse
        return found

    def kill(self, worker: int, reason: str) -> None:
        if worker in self._actors:
            self._bury(worker, reason)

    def room(self) -> int | None:
        return actor_slots(self._ray, self._resources)

    def why_silent(self) -> str:
        free = self._ray.available_resources()
        return (
            f"no news from {len(self._actors)} actors; the cluster has {free.get('CPU', 0):g} CPUs "
            f"and {free.get('GPU', 0):g} GPUs free"
        )

    def close(self) -> None:
        farewells = [self._beside(actor.handle.leave) for actor in self._actors.values()]
        if farewells:
            self._ray.wait(farewells, num_returns=len(farewells), timeout=_FAREWELL_S)
        for actor in self._actors.values():
            self._ray.kill(actor.handle)
        self._actors.clear()

    def _beside(self, method: Any) -> Any:
        """Call a method in the thread that is free while a task is being done."""
        return method.options(concurrency_group="pulse").remote()

    def _ask(self, actor: _Actor) -> Any:
        return self._beside(actor.handle.pulse)

    def _collect(self, timeout_s: float) -> None:
        """Turn everything that has ended into events."""
        # An actor runs its calls in order, so only its oldest can be the next to end.
        oldest = {actor.calls[0]: worker for worker, actor in self._actors.items() if actor.calls}
        pending = [*oldest, *self._burials]
        if not pending:
            time.sleep(timeout_s)
            return
        ended, rest = self._ray.wait(pending, num_returns=1, timeout=timeout_s)
        if ended and rest:
            ended += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        for call in ended:
            if call in self._burials:
                self._events.append(self._buried(call))
            else:
                self._answered(oldest[call], call)
        now = time.monotonic()
        for call in [call for call, burial in self._burials.items() if burial.until < now]:
            self._events.append(self._buried(call, silent=True))

    def _answered(self, worker: int, call: Any) -> None:
        try:
            kind, content = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            self._bury(worker, f"actor {worker} died: {first_line(error)}")
            return
        self._actors[worker].calls.popleft()
        self._events.append(as_event(worker, kind, content))

    def _collect_pulses(self) -> None:
        asked = {
            actor.asked: worker for worker, actor in self._actors.items() if actor.asked is not None
        }
        if not asked:
            return
        ended, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for call in ended:
            actor = self._actors[asked[call]]
            actor.asked = None
            # A dead actor is told by the call that it was busy with.
            with contextlib.suppress(self._ray.exceptions.RayError):
                actor.pulse, actor.node = self._ray.get(call)

    def _bury(self, worker: int, reason: str) -> None:
        """End an actor for good, and find out what it was doing, without waiting for that."""
        self._collect_pulses()  # its first answer tells where it lives
        actor = self._actors.pop(worker)
        self._ray.kill(actor.handle)  # a process that Ray lost sight of must not go on writing
        if not actor.node:
            self._events.append(Died(worker, reason))
        elif not self._is_alive(actor.node):
            self._events.append(Died(worker, reason, kind="NodeLost"))
        else:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            there = NodeAffinitySchedulingStrategy(actor.node, soft=False)
            call = self._last_words.options(scheduling_strategy=there).remote(actor.board)
            until = time.monotonic() + _LAST_WORDS_S
            self._burials[call] = _Burial(worker, actor.node, reason, until)

    def _buried(self, call: Any, *, silent: bool = False) -> Died:
        burial = self._burials.pop(call)
        crumbs: tuple[Crumb, ...] = ()
        kind: DeathKind = "WorkerDied"
        if silent:
            self._ray.cancel(call, force=True)
        else:
            with contextlib.suppress(self._ray.exceptions.RayError):
                crumbs = self._ray.get(call)
        if not self._is_alive(burial.node):  # which may show only after its actors died
            kind, crumbs = "NodeLost", ()
        return Died(burial.worker, burial.reason, kind=kind, crumbs=crumbs)

    def _is_alive(self, node: str) -> bool:
        return any(one["NodeID"] == node and one["Alive"] for one in self._ray.nodes())

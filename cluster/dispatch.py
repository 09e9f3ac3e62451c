"""The scheduling loop, once, for every kind of worker: feed, collect, watch, replace, quarantine.

The loop holds names, paths and counters only, and it never waits for a worker without a limit: who
gives no sign of life, or makes no progress, is ended and replaced, and its task goes to another.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from cluster.backlog import Backlog
from cluster.crew import Crew
from cluster.leases import LeasePolicy, Leases, Overdue
from cluster.outcomes import (
    Finished,
    InHand,
    Outcome,
    Quarantined,
    Repeated,
    RunAborted,
    Standing,
    Waiting,
)
from cluster.retry import MAX_TRIES, Failure
from cluster.stage import SuspectTask, Task
from cluster.worker_pool import (
    CannotOpen,
    Died,
    Done,
    PoolEvent,
    Raised,
    Ready,
    WorkerPool,
)

__all__ = [
    "CannotOpen", "Died", "Done", "Finished", "LeasePolicy", "Outcome", "PoolEvent", "Quarantined",
    "Raised", "Ready", "Repeated", "RunAborted", "Standing", "Waiting", "WorkerPool", "dispatch",
]  # fmt: skip

TELL_EVERY_S = 10.0
GROW_EVERY_S = 15.0
SILENT_AFTER_S = 30.0


def dispatch(
    pool: WorkerPool,
    tasks: Iterable[Task],
    *,
    workers: int,
    elastic: bool = False,
    leases: LeasePolicy | None = None,
) -> Iterator[Outcome]:
    """Run every task on `workers` workers, largest first, and yield what became of each.

    Args:
        elastic: Use room that appears while it runs: machines that join get workers.
        leases: How long a worker is waited for.

    Raises:
        RunAborted: for a failure that every task would share; what is done stays done.
    """
    loop = _Loop(pool, tasks, workers, elastic, leases or LeasePolicy())
    while loop.unfinished:
        yield from loop.step()


class _Loop:
    """State of one dispatch."""

    def __init__(
        self,
        pool: WorkerPool,
        tasks: Iterable[Task],
        workers: int,
        elastic: bool,
        policy: LeasePolicy,
    ) -> None:
        self._pool = pool
        self._backlog = Backlog(tasks)
        self._crew = Crew()
        self._leases = Leases(policy)
        self._look_every_s = policy.look_every_s
        self._workers = workers
        self._elastic = elastic
        self._doomed: dict[int, Overdue] = {}
        self._idle_deaths = self._deaths = 0
        self._heard = self._looked = self._told = self._grown = time.monotonic()
        self._hire()

    @property
    def unfinished(self) -> int:
        return len(self._backlog) + self._crew.in_hand

    def step(self) -> Iterator[Outcome]:
        """Give out what can be given out, then wait for one event."""
        now = time.monotonic()
        ready = self._backlog.ready(now)
        while ready and (worker := self._crew.next_for(ready)) is not None:
            self._give(worker, self._backlog.take(), now)
            ready -= 1
        event = self._pool.wait(self._patience_s(now))
        now = time.monotonic()
        if event is not None:
            self._heard = now
            yield from self._handle(event, now)
        if now - self._looked >= self._look_every_s:
            self._looked = now
            self._look(now)
            yield from self._tell(now)

    def _patience_s(self, now: float) -> float:
        until = self._looked + self._look_every_s
        pause = self._backlog.next_pause_ends()
        return max(0.01, min(until, pause or until) - now)

    def _handle(self, event: PoolEvent, now: float) -> Iterator[Outcome]:
        if isinstance(event, Ready):
            self._crew.join(event.worker)
            self._leases.ready(event.worker)
        elif isinstance(event, CannotOpen):
            raise RunAborted(event.failure)
        elif isinstance(event, Done):
            self._idle_deaths = 0
            task = self._crew.take_back(event.worker, event.result.name)
            self._ended(event.worker, now, learn=True)
            self._backlog.finished(task)
            for more in event.result.follow_up:
                self._backlog.add(more)
            if event.result.follow_up:
                self._hire()
            yield Finished(task, event.result)
        elif isinstance(event, Raised):
            if event.failure.verdict == "abort":
                raise RunAborted(event.failure)
            task = self._crew.take_back(event.worker)
            self._ended(event.worker, now, learn=False)
            yield self._failed(task, event.failure, now)
        else:
            yield from self._bury(event, now)

    def _bury(self, event: Died, now: float) -> Iterator[Outcome]:
        self._deaths += 1
        in_hand = self._crew.leave(event.worker)
        self._leases.drop(event.worker)
        overdue = self._doomed.pop(event.worker, None)
        kind = overdue.kind if overdue else event.kind
        reason = overdue.reason if overdue else event.reason
        if not in_hand and kind != "NodeLost":
            # A task that kills its worker is counted below; a worker that dies without any is
            # broken itself, and so would be those after it.
            self._idle_deaths += 1
            if self._idle_deaths >= MAX_TRIES * self._workers:
                raise RunAborted(Failure("abort", kind, _hopeless(reason), ""))
        suspect = in_hand.popleft() if in_hand else None
        for task in in_hand:  # these only waited behind the suspect and did nothing wrong
            self._backlog.add(task)
        if suspect is not None:
            if event.crumbs and isinstance(suspect, SuspectTask):
                suspect = suspect.with_suspects(tuple(crumb.index for crumb in event.crumbs))
            outcome = self._failed(suspect, Failure("retry", kind, reason, ""), now)
            if isinstance(outcome, Quarantined):
                outcome = Quarantined(suspect, outcome.failure, outcome.tries, event.crumbs)
            yield outcome
        self._hire()

    def _failed(self, task: Task, failure: Failure, now: float) -> Quarantined | Repeated:
        tries, again = self._backlog.failed(task, failure, now)
        return Repeated(task, failure, tries) if again else Quarantined(task, failure, tries)

    def _give(self, worker: int, task: Task, now: float) -> None:
        self._pool.submit(worker, task)
        if self._crew.give(worker, task):
            self._leases.begin(worker, task.num_bytes, now)

    def _ended(self, worker: int, now: float, *, learn: bool) -> None:
        self._leases.end(worker, now, learn=learn)
        following = self._crew.oldest(worker)
        if following is not None:
            self._leases.begin(worker, following.num_bytes, now)

    def _hire(self) -> None:
        """Start workers up to the number asked for, and no more than there are tasks."""
        while self._crew.size < min(self._workers, self.unfinished):
            worker = self._pool.start()
            self._crew.starting.add(worker)
            self._leases.start(worker, time.monotonic())

    def _look(self, now: float) -> None:
        """Give up workers whose lease has run out; take on more where there is room."""
        self._leases.see(self._pool.pulses(self._leases.to_look_at(now)), now)
        for overdue in self._leases.overdue(now):
            if overdue.worker not in self._doomed:
                self._doomed[overdue.worker] = overdue
                self._pool.kill(overdue.worker, overdue.reason)
        if self._elastic and now - self._grown >= GROW_EVERY_S:
            self._grown = now
            room = self._pool.room()
            if room is not None and room > self._workers:
                self._workers = room
                self._hire()

    def _tell(self, now: float) -> Iterator[Outcome]:
        if now - self._heard >= SILENT_AFTER_S and not any(self._leases.running(now)):
            self._heard = now
            yield Waiting(self._pool.why_silent())
        if now - self._told >= TELL_EVERY_S:
            self._told = now
            oldest: dict[int, Task] = dict(self._crew.working())
            yield Standing(
                workers=len(self._crew.tasks),
                starting=len(self._crew.starting),
                waiting=len(self._backlog),
                in_hand=tuple(
                    InHand(worker, oldest[worker], seconds, units)
                    for worker, seconds, units in self._leases.running(now)
                    if worker in oldest
                ),
                deaths=self._deaths,
            )


def _hopeless(reason: str) -> str:
    return (
        f"workers keep dying before they start anything ({reason}); "
        "look at their output above: out of memory, a broken install, or a library that crashes"
    )

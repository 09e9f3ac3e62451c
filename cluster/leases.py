"""Leases: how long a worker may be silent, and how long a task may go without progress.

Pure bookkeeping over a clock that is passed in. What a task may take is learned from those that
have ended, by size; a slow task that makes progress is never taken for a stuck one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cluster.board import Pulse
from cluster.worker_pool import DeathKind

_SAMPLES = 256
_NO_PULSE = Pulse(-1, 0)

_OPENING = 3
"""Opening a stage is given so many times the limits: imports and weights come from cold storage,
and hold the interpreter while they do."""

_LARGEST_STEP = 4096
"""Progress comes in steps of a batch; none is larger."""


@dataclass(frozen=True)
class LeasePolicy:
    """When a worker is given up.

    Attributes:
        stall_s: A task may go this long without any progress, however fast others were; three
            times as long while nothing has ended yet that it could be compared with.
        silence_s: A worker process may go this long without a sign of life (stopped, swapped out,
            cut off), counted from its first one.
        slack: ... or this many times what such tasks took so far, whichever is longer.
    """

    stall_s: float = 600.0
    silence_s: float = 120.0
    slack: float = 10.0

    @property
    def look_every_s(self) -> float:
        """Pause between two looks at the workers: a small part of what could run out."""
        return max(0.05, min(5.0, self.stall_s / 8, self.silence_s / 8))


@dataclass(frozen=True)
class Overdue:
    """A worker to be given up, and why."""

    worker: int
    kind: DeathKind
    reason: str


class TaskTimes:
    """The running distribution of what tasks took: the latest 256."""

    def __init__(self) -> None:
        self._tasks: deque[tuple[float, int, int]] = deque(maxlen=_SAMPLES)
        self._fitted: tuple[float, float, float] | None = None

    def add(self, seconds: float, num_bytes: int, units: int) -> None:
        self._tasks.append((seconds, num_bytes, units))
        self._fitted = None

    def task_s(self, num_bytes: int) -> float | None:
        """Seconds in which 95 % of tasks of this size end; None before any has ended.

        The median size is added to every size, which stands for the fixed cost of a task: so small
        ones are not expected to take no time at all, and one outlier among them counts little.
        """
        rate, typical, _ = self._fit()
        return rate * (num_bytes + typical) if self._tasks else None

    def step_s(self) -> float | None:
        """Seconds per unit of progress of the slowest twentieth; None where none is reported."""
        return self._fit()[2] or None

    def _fit(self) -> tuple[float, float, float]:
        if self._fitted is None and self._tasks:
            sizes = sorted(num_bytes for _, num_bytes, _ in self._tasks)
            typical = float(max(1, sizes[len(sizes) // 2]))
            rates = [seconds / (size + typical) for seconds, size, _ in self._tasks]
            steps = [seconds / units for seconds, _, units in self._tasks if units]
            self._fitted = (_high(rates), typical, _high(steps) if steps else 0.0)
        return self._fitted or (0.0, 1.0, 0.0)


def _high(values: list[float]) -> float:
    """The 95th percentile, the highest of fewer than twenty."""
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


@dataclass
class _Watch:
    """One worker: `began` is None while it has no task."""

    opening: bool
    seen: bool
    beat_at: float
    moved_at: float
    pulse: Pulse = _NO_PULSE
    began: float | None = None
    num_bytes: int = 0
    units_before: int = 0

    @property
    def units(self) -> int:
        return self.pulse.units - self.units_before


class Leases:
    """Who may still be waited for. All times are of one monotonic clock, in seconds."""

    def __init__(self, policy: LeasePolicy) -> None:
        self._policy = policy
        self._times = TaskTimes()
        self._watches: dict[int, _Watch] = {}

    def start(self, worker: int, now: float) -> None:
        """A worker was asked for. Its time to open the stage runs from its first sign of life."""
        self._watches[worker] = _Watch(True, False, now, now)

    def ready(self, worker: int) -> None:
        """It takes tasks now."""
        self._watches[worker].opening = False

    def begin(self, worker: int, num_bytes: int, now: float) -> None:
        """Its next task begins."""
        watch = self._watches[worker]
        watch.began = watch.moved_at = watch.beat_at = now
        watch.num_bytes, watch.units_before = num_bytes, watch.pulse.units

    def end(self, worker: int, now: float, *, learn: bool) -> None:
        """Its task ended; `learn` from the time that it took, unless it failed."""
        watch = self._watches[worker]
        if learn and watch.began is not None:
            self._times.add(now - watch.began, watch.num_bytes, max(0, watch.units))
        watch.began = None

    def drop(self, worker: int) -> None:
        """It is gone."""
        self._watches.pop(worker, None)

    def to_look_at(self, now: float) -> list[int]:
        """Workers whose signs of life matter now: opening ones, and those long in a task."""
        patience = self._policy.look_every_s
        return [
            worker
            for worker, watch in self._watches.items()
            if watch.opening or (watch.began is not None and now - watch.began >= patience)
        ]

    def see(self, pulses: Mapping[int, Pulse], now: float) -> None:
        """Take note of the latest signs of life."""
        for worker, pulse in pulses.items():
            watch = self._watches[worker]
            if not watch.seen:
                watch.seen, watch.beat_at, watch.moved_at = True, now, now
            if pulse.beats != watch.pulse.beats:
                watch.beat_at = now
            if pulse.units != watch.pulse.units:
                watch.moved_at = now
            watch.pulse = pulse

    def running(self, now: float) -> Iterator[tuple[int, float, int]]:
        """(worker, seconds, units) of every task that is being done."""
        for worker, watch in self._watches.items():
            if watch.began is not None:
                yield worker, now - watch.began, max(0, watch.units)

    def overdue(self, now: float) -> list[Overdue]:
        """Workers that must be given up."""
        found = []
        for worker, watch in self._watches.items():
            if not watch.seen or not (watch.opening or watch.began is not None):
                continue
            silent, still = now - watch.beat_at, now - watch.moved_at
            limit = self._limit_s(watch)
            if silent > self._policy.silence_s * (_OPENING if watch.opening else 1):
                reason = f"worker {worker} gave no sign of life for {silent:.0f} s"
                found.append(Overdue(worker, "WorkerSilent", reason))
            elif still > limit:
                doing = "opening its stage" if watch.opening else f"{watch.units} done of its task"
                reason = f"worker {worker} made no progress for {still:.0f} s ({doing})"
                found.append(Overdue(worker, "WorkerStuck", reason))
        return found

    def _limit_s(self, watch: _Watch) -> float:
        policy = self._policy
        if watch.opening:
            return _OPENING * policy.stall_s
        expected = self._times.task_s(watch.num_bytes)
        if expected is None:
            return 3 * policy.stall_s
        step = self._times.step_s()
        if watch.units > 0 and step is not None:
            expected = min(expected, _LARGEST_STEP * step)
        return max(policy.stall_s, policy.slack * expected)

"""Progress of a long verb: a bar with rate and ETA on a terminal, a line now and then without one.

`Meter` turns the `Progress` values of a verb into a rate and a time left; the two displays draw it.
All of it goes to standard error.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from cluster.cli.run_facts import facts_table, facts_text
from cluster.cli.text import printable
from cluster.cli.units import byte_text, duration
from cluster.progress import OnProgress, Progress, RunFacts

LINE_EVERY_S = 10.0
"""Least time between two plain lines, so that a log of a day stays readable."""

WINDOW_S = 60.0
"""The rate is that of the last minute: the first shard's start-up should not haunt the ETA."""

Clock = Callable[[], float]


class Meter:
    """Rate and time left, from what a verb reports.

    The first report of a continued run counts what earlier calls did, so it is the zero of the
    rate, not part of it.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, Progress]] = deque()

    def update(self, progress: Progress) -> None:
        now = self._clock()
        self._seen.append((now, progress))
        while len(self._seen) > 2 and self._seen[1][0] < now - WINDOW_S:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Work per second, in the unit of the progress; 0.0 while unknown."""
        return self._per_second(lambda progress: progress.done)

    @property
    def images_rate(self) -> float:
        """Images per second; 0.0 while unknown."""
        return self._per_second(lambda progress: progress.images)

    @property
    def left_s(self) -> float | None:
        """Seconds until the work is done at the present rate; None while unknown.

        It goes on falling between two reports, which may lie minutes apart.
        """
        if not self._seen or self.rate <= 0:
            return None
        at, latest = self._seen[-1]
        left = (latest.total - latest.done) / self.rate - (self._clock() - at)
        return max(0.0, left)

    def describe(self) -> str:
        """One line: share, amount, rate, time left."""
        if not self._seen:
            return "starting"
        latest = self._seen[-1][1]
        share = f"{latest.done / latest.total:.1%}" if latest.total else "0.0%"
        facts = [share]
        if latest.unit != "share":
            facts.append(_amount(latest.done, latest.total, latest.unit))
        if latest.images:
            facts.append(f"{latest.images:,} images")
        if self.images_rate:
            facts.append(f"{self.images_rate:,.0f} images/s")
        elif self.rate and latest.unit != "share":
            facts.append(_rate(self.rate, latest.unit))
        if self.left_s is not None:
            facts.append(f"{duration(self.left_s)} left")
        return ", ".join(facts)

    def _per_second(self, of: Callable[[Progress], float]) -> float:
        if len(self._seen) < 2:
            return 0.0
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return max(0.0, (of(last) - of(first)) / (end - start)) if end > start else 0.0


@contextmanager
def show(
    verb: str, stream: TextIO, *, quiet: bool, clock: Clock = time.monotonic
) -> Iterator[OnProgress]:
    """Yield the function to hand to a verb as `on_progress`.

    Args:
        stream: Where to draw; a terminal gets a bar, anything else plain lines.
        quiet: Draw nothing. Notes are told all the same: they say what went wrong.
    """
    if quiet:
        yield lambda progress: _note(verb, progress, stream)
    elif stream.isatty():
        with _bar(verb, stream, clock) as on_progress:
            yield on_progress
    else:
        yield _plain_lines(verb, stream, clock)


def _plain_lines(verb: str, stream: TextIO, clock: Clock) -> OnProgress:
    meter = Meter(clock)
    next_line = clock() + LINE_EVERY_S

    def on_progress(progress: Progress) -> None:
        nonlocal next_line
        meter.update(progress)
        _note(verb, progress, stream)
        if clock() >= next_line:
            told = [meter.describe(), *(facts_text(progress.facts) if progress.facts else [])]
            print(f"{verb}: {', '.join(told)}", file=stream, flush=True)
            next_line = clock() + LINE_EVERY_S

    return on_progress


@contextmanager
def _bar(verb: str, stream: TextIO, clock: Clock) -> Iterator[OnProgress]:
    """A bar, and below it a table of the workers where a verb tells of some."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as Display
    from rich.text import Text

    meter = Meter(clock)
    latest: RunFacts | None = None

    class Facts(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(meter.describe())

    display = Display(TextColumn("{task.description}", markup=False), BarColumn(), Facts())
    task = display.add_task(verb, total=None)

    def draw() -> Group:
        return Group(display) if latest is None else Group(display, facts_table(latest))

    with Live(
        get_renderable=draw, console=Console(file=stream, force_terminal=True), refresh_per_second=4
    ) as live:

        def on_progress(progress: Progress) -> None:
            nonlocal latest
            meter.update(progress)
            latest = progress.facts or latest
            if progress.note:
                live.console.print(
                    f"{verb}: {printable(progress.note)}", markup=False, highlight=False
                )
            display.update(task, total=progress.total or None, completed=progress.done)

        yield on_progress


def _note(verb: str, progress: Progress, stream: TextIO) -> None:
    if progress.note:
        print(f"{verb}: {printable(progress.note)}", file=stream, flush=True)


def _amount(done: float, total: float, unit: str) -> str:
    if unit == "bytes":
        return f"{byte_text(done)} of {byte_text(total)}"
    return f"{done:,.0f} of {total:,.0f} {unit}"


def _rate(rate: float, unit: str) -> str:
    return f"{byte_text(rate)}/s" if unit == "bytes" else f"{rate:,.1f} {unit}/s"

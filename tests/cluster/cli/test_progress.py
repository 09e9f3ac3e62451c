"""Rates and times left are right, and each kind of stream gets its display."""

import io

import pytest

from cluster.cli.progress import LINE_EVERY_S, WINDOW_S, Meter, show
from cluster.progress import Progress, RunFacts


class _Clock:
    """Time that tests move by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock():
    return _Clock()


def test_rate_and_time_left_do_not_count_what_an_earlier_call_did(clock):
    meter = Meter(clock)
    meter.update(Progress(900, 1000))
    assert meter.left_s is None
    clock.now += 10
    meter.update(Progress(950, 1000, images=20))
    assert meter.rate == pytest.approx(5.0)
    assert meter.images_rate == pytest.approx(2.0)
    assert meter.left_s == pytest.approx(10.0)
    clock.now += 4
    assert meter.left_s == pytest.approx(6.0)
    clock.now += 40
    assert meter.left_s == 0.0


def test_rate_follows_the_last_minute(clock):
    meter = Meter(clock)
    done = 0.0
    meter.update(Progress(done, 1e9))
    for rate in (1.0, 100.0):
        for _ in range(int(2 * WINDOW_S)):
            clock.now += 1
            done += rate
            meter.update(Progress(done, 1e9))
    assert meter.rate == pytest.approx(100.0)


def test_nothing_is_divided_by_zero(clock):
    meter = Meter(clock)
    assert meter.describe() == "starting"
    meter.update(Progress(0, 0))
    meter.update(Progress(0, 0))
    assert (meter.rate, meter.left_s) == (0.0, None)
    assert "0.0%" in meter.describe()


def test_description_names_share_amount_rate_and_time_left(clock):
    meter = Meter(clock)
    meter.update(Progress(0, 2e9))
    clock.now += 60
    meter.update(Progress(5e8, 2e9, images=60_000))
    assert meter.describe() == (
        "25.0%, 500.0 MB of 2.0 GB, 60,000 images, 1,000 images/s, 3:00 left"
    )


def test_other_units_are_named(clock):
    meter = Meter(clock)
    meter.update(Progress(0, 100, unit="steps"))
    clock.now += 2
    meter.update(Progress(50, 100, unit="steps"))
    assert meter.describe() == "50.0%, 50 of 100 steps, 25.0 steps/s, 0:02 left"


def test_plain_lines_come_now_and_then(clock):
    stream = io.StringIO()
    with show("score", stream, quiet=False, clock=clock) as on_progress:
        for second in range(31):
            on_progress(Progress(second, 31, unit="shards"))
            clock.now += 1
    lines = stream.getvalue().splitlines()
    assert len(lines) == 30 // LINE_EVERY_S
    assert all(line.startswith("score: ") and line.endswith("left") for line in lines)
    assert "\x1b" not in stream.getvalue()


def test_quiet_tells_notes_alone(clock):
    stream = io.StringIO()
    with show("score", stream, quiet=True, clock=clock) as on_progress:
        on_progress(Progress(0, 1))
        clock.now += 100
        on_progress(Progress(1, 1, note="part 7 is quarantined\x1b[2J"))
    assert stream.getvalue() == "score: part 7 is quarantined\\x1b[2J\n"


def test_a_terminal_gets_a_bar_and_the_notes():
    stream = _Terminal()
    with show("score", stream, quiet=False) as on_progress:
        on_progress(Progress(1, 2, unit="shards", note="goes [red]round\x1b[2J"))
        on_progress(Progress(2, 2, unit="shards"))
    text = stream.getvalue()
    assert "score: goes [red]round\\x1b[2J" in text
    assert "100.0%, 2 of 2 shards" in text


def test_a_run_over_workers_shows_them_below_the_bar_and_in_lines(clock):
    facts = RunFacts(workers=8, parts=2, counters={"status_undecodable": 2.0})
    terminal, log = _Terminal(), io.StringIO()
    for stream in (terminal, log):
        with show("score", stream, quiet=False, clock=clock) as on_progress:
            clock.now += LINE_EVERY_S + 1
            on_progress(Progress(1, 2, unit="shards", facts=facts))
    assert "8 at work" in terminal.getvalue()
    assert "2 undecodable" in terminal.getvalue()
    assert "8 workers, 2 failed images" in log.getvalue()

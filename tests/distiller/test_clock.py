import time

import pytest

from distiller.clock import Clock


def test_rate_counts_training_alone_and_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = Clock(seconds_before=7.0)
    now[0] = 102.0
    clock.count(50)
    now[0] = 110.0  # an evaluation
    clock.skip()
    now[0] = 113.0
    clock.count(50)
    assert clock.rate() == 100 / 5
    assert clock.seconds() == 7 + 13
    assert clock.rate() == 0.0

"""From probes of a known machine the forecast is that machine's time; unknowns widen it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.forecast.estimate import Interval, Probe, estimate, fit, makespan, read_probe

POSITIVE = st.floats(1e-4, 1e4)


@given(POSITIVE, POSITIVE)
def test_a_fit_finds_both_costs(per_part: float, per_image: float) -> None:
    points = [(x, per_part + per_image * x) for x in (64, 128, 640)]
    a, c = fit(points)
    assert a == pytest.approx(per_part, rel=1e-5, abs=1e-5 * per_image * 64)
    assert c == pytest.approx(per_image, rel=1e-5, abs=1e-5 * per_part / 64)


@given(st.lists(st.tuples(st.floats(1, 1e5), POSITIVE), min_size=1, max_size=20))
def test_no_cost_is_negative(points: list[tuple[float, float]]) -> None:
    a, c = fit(points)
    assert a >= 0
    assert c > 0


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40), st.integers(1, 8))
def test_a_makespan_lies_between_its_bounds(parts: list[float], workers: int) -> None:
    found = makespan(parts, workers)
    assert found >= max(max(parts), sum(parts) / workers) - 1e-9
    assert found <= sum(parts) / workers + max(parts) + 1e-9


def probe(per_part: float, per_image: float, *, bytes_per_image: float = 1000.0) -> Probe:
    points = tuple((float(x), per_part + per_image * x) for x in (64, 320, 640))
    images = sum(x for x, _ in points)
    return Probe(points, images, images * bytes_per_image, images * 10)


def test_a_machine_that_is_known_exactly() -> None:
    # 10 shards of 1,280 images, two workers: five shards each.
    found = estimate([probe(0.5, 0.01)] * 4, [1_280_000] * 10, actors=2, batch_size=64)
    assert found.images.value == pytest.approx(12_800)
    assert found.work_s.value == pytest.approx(5 * (0.5 + 12.8))
    assert found.images_per_s == pytest.approx(12_800 / (5 * 13.3))
    assert found.written_bytes.value == pytest.approx(128_000)
    assert found.work_s.low < found.work_s.value < found.work_s.high < 1.2 * found.work_s.value


def test_a_part_batch_costs_a_whole_one() -> None:
    found = estimate([probe(0.0, 0.01)], [65_000] * 2, actors=1, batch_size=64)
    assert found.work_s.value == pytest.approx(2 * 128 * 0.01)


def test_unlike_shards_and_unlike_workers_widen_the_interval() -> None:
    def width(probes: list[Probe]) -> float:
        work = estimate(probes, [10**9], actors=1, batch_size=64).work_s
        return work.high / work.low

    same = [probe(0.1, 0.01)] * 3
    assert width(same) < width([probe(0.1, 0.01), probe(0.1, 0.01), probe(0.1, 0.03)])
    sizes = [probe(0.1, 0.01, bytes_per_image=size) for size in (500, 1000, 2500)]
    assert width(same) < width(sizes)
    assert width(same) < width(same[:1])


def test_a_worker_that_found_no_image_is_left_out() -> None:
    nothing = Probe((), 0.0, 0.0, 0.0)
    whole = estimate([probe(0.1, 0.01)], [10**6], actors=1, batch_size=64)
    assert estimate([nothing, probe(0.1, 0.01)], [10**6], actors=1, batch_size=64) == whole


def test_counters_become_a_probe() -> None:
    counters = {"points": 2.0, "x0": 64.0, "t0": 1.0, "x1": 128.0, "t1": 2.0, "measured_images": 5}
    assert read_probe(counters) == Probe(((64.0, 1.0), (128.0, 2.0)), 5, 0.0, 0.0)
    assert read_probe({}).points == ()


def test_intervals_scale() -> None:
    assert Interval(2.0, 1.0, 3.0).scaled(2) == Interval(4.0, 2.0, 6.0)

"""A forecast is kept, and stands beside what came of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.forecast.estimate import Estimate, Interval
from cluster.forecast.record import Forecast, beside_fact, fact_lines, write_forecast
from cluster.metrics import Throughput
from selector.tables.layout import RunLayout

ESTIMATE = Estimate(
    images=Interval(1000.0, 900.0, 1100.0),
    work_s=Interval(90.0, 80.0, 110.0),
    images_per_s=11.1,
    read_bytes=10**6,
    written_bytes=Interval(100.0, 90.0, 110.0),
    seconds_per_image=0.1,
    seconds_per_part=0.5,
)
FORECAST = Forecast(
    run="", teacher="t", shards=3, startup_s=10.0, estimate=ESTIMATE, bound_by="model_s",
    stage_share={}, executor="local", actors=2, threads=1, device="cpu", batch_size=64,
    probed_actors=2, probe_s=20.0, unit="core", unit_hours=Interval(1, 1, 1), cost=None, at="now",
)  # fmt: skip
FACT = Throughput(
    wall_s=120.0, workers=2, images=1010, num_bytes=1, images_per_s=8.4, bytes_per_s=1, busy_s=1
)


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    return RunLayout(str(tmp_path / "run"))


def test_forecast_beside_fact(layout: RunLayout) -> None:
    assert beside_fact(layout, FACT) is None
    write_forecast(layout, FORECAST)
    found = beside_fact(layout, FACT)
    assert found is not None
    assert found["wall_s"] == {"forecast": 100.0, "fact": 120.0, "ratio": pytest.approx(1.2)}
    assert found["wall_s_interval"] == [pytest.approx(80 + 10 / 1.5), 125.0]
    assert found["images_per_s"]["forecast"] == pytest.approx(10.0)
    assert found["same_work"]
    (line,) = fact_lines(found)
    assert "forecast: 100.0 s (86.7 to 125.0), fact 120.0 s (+20%)" in line


@pytest.mark.parametrize("change", [{"images": 400}, {"workers": 4}])
def test_another_piece_of_work_is_not_held_against_it(
    layout: RunLayout, change: dict[str, int]
) -> None:
    write_forecast(layout, FORECAST)
    found = beside_fact(layout, replace(FACT, **change))  # type: ignore[arg-type]
    assert found is not None
    assert not found["same_work"]
    assert "other work" in fact_lines(found)[0]


def test_a_damaged_forecast_and_a_call_without_work_say_nothing(layout: RunLayout) -> None:
    write_forecast(layout, FORECAST)
    assert beside_fact(layout, replace(FACT, images=0)) is None
    Path(layout.report_dir, "forecast.json").write_text('{"wall_s": 3}')
    assert beside_fact(layout, FACT) is None

"""noise: the bins of a report against the same numbers counted in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selector.report.album import Album
from selector.report.panels.noise import Noise, draw_noise, gather_noise
from selector.report.source import open_source
from selector.selection import select
from selector.tables.read import table_parts
from selector.tables.write import write_part
from tests.support.runs import write_run

RECIPE = {"name": "top", "steps": [{"take": {"n": 70, "order": "noise_value"}}]}


def noise_of(root: str) -> Noise:
    with open_source(root, "top") as source:
        return gather_noise(source)


def test_bins_hold_what_lies_in_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=3, per_shard=200)
    select(run.root, RECIPE)
    noise = noise_of(run.root)
    histogram = noise.histogram
    assert histogram is not None
    scored = run.scores.filter(pc.is_valid(run.scores["noise_value"]))
    values = scored["noise_value"].to_numpy().astype(np.float64)
    edges = [histogram.bins.range_of(i)[0] for i in range(histogram.bins.num_bins)]
    expected, _ = np.histogram(values, bins=[*edges, np.inf])
    assert histogram.pool.tolist() == expected.tolist()
    expected, _ = np.histogram(np.sort(values)[:70], bins=[*edges, np.inf])
    assert histogram.selected.tolist() == expected.tolist()
    assert noise.cut is not None
    assert noise.cut.high == np.sort(values)[69]
    assert draw_noise(noise, Album()).count("<svg") == 2


def test_zero_noise_goes_to_the_first_bin_and_all_zero_has_no_histogram(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=1, failed_every=0)
    (part,) = table_parts(run.layout, "scores")
    at = run.scores.schema.get_field_index("noise_value")
    field = run.scores.schema.field(at)
    values = run.scores["noise_value"].to_numpy().copy()
    values[:3] = 0
    write_part(part, run.scores.set_column(at, field, pa.array(values)))
    select(run.root, RECIPE)
    histogram = noise_of(run.root).histogram
    assert histogram is not None
    assert histogram.pool.sum() == 100
    assert histogram.pool[0] >= 3
    write_part(part, run.scores.set_column(at, field, pa.array(np.zeros(100, np.float32))))
    nothing = noise_of(run.root)
    assert nothing.histogram is None
    assert "nothing to draw" in draw_noise(nothing, Album())

"""gallery: the right images at the right quantiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from selector.report import reach
from selector.report.album import Album
from selector.report.panels import gallery as module
from selector.report.panels.gallery import (
    NUM_BANDS,
    PER_BAND,
    Gallery,
    draw_dropped,
    draw_kept,
    gallery_pictures,
    gather_dropped,
    gather_kept,
)
from selector.report.source import open_source
from selector.selection import select
from selector.tables.schema import split_row_id
from tests.selector.report.real_run import write_real_run
from tests.support.runs import SyntheticRun, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    return write_run(tmp_path_factory.mktemp("run"), num_shards=3, per_shard=200)


def sides(root: str, n: int) -> Iterator[Gallery]:
    name = f"top{n}"
    select(root, {"name": name, "steps": [{"take": {"n": n, "order": "noise_value"}}]})
    with open_source(root, name) as source:
        yield gather_kept(source)
        yield gather_dropped(source)


def test_bands_run_from_the_surest_to_the_least_sure(run: SyntheticRun) -> None:
    kept, dropped = sides(run.root, 120)
    for side in (kept, dropped):
        assert len(side.bands) == NUM_BANDS
        assert len(list(gallery_pictures(side))) == NUM_BANDS * PER_BAND
        assert [b.low for b in side.bands] == sorted(b.low for b in side.bands)
        assert not side.thinned
    assert kept.bands[-1].high < dropped.bands[0].low


def test_rows_are_of_their_side(run: SyntheticRun) -> None:
    kept, dropped = sides(run.root, 150)
    scored = run.scores.filter(pc.is_valid(run.scores["noise_value"]))
    values = scored["noise_value"].to_numpy()
    top = set(scored["row_id"].to_numpy()[values <= np.sort(values)[149]].tolist())
    assert set(gallery_pictures(kept)) < top
    assert not top & set(gallery_pictures(dropped))


def test_small_selections_show_what_they_have(run: SyntheticRun) -> None:
    kept, dropped = sides(run.root, 1)
    assert len(list(gallery_pictures(kept))) == 1
    assert len(list(gallery_pictures(dropped))) == NUM_BANDS * PER_BAND


def test_a_selection_of_everything_drops_nothing(run: SyntheticRun) -> None:
    _, dropped = sides(run.root, 570)
    assert dropped.bands == ()


def test_a_large_pool_is_thinned_the_same_way_each_time(
    run: SyntheticRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(sides(run.root, 70))
    monkeypatch.setattr(module, "CANDIDATES", 100)
    first, second = list(sides(run.root, 70)), list(sides(run.root, 70))
    assert first == second
    assert [side.thinned for side in first] == [False, True]
    assert first[0] == whole[0]
    assert first[1] != whole[1]


def test_of_many_compressed_shards_few_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "LOCAL_BYTES", 1)
    layout = write_real_run(tmp_path, num_plain=0, num_compressed=5)
    for side in sides(layout.root, 120):
        rows = np.array(list(gallery_pictures(side)))
        assert len(np.unique(split_row_id(rows)[0])) <= reach.MAX_STREAMED
        assert len(rows) >= NUM_BANDS * 4


def test_an_empty_side_and_a_pool_out_of_reach_are_told() -> None:
    nothing = Gallery((), thinned=False)
    assert "There are none" in draw_dropped(nothing, Album())
    html = draw_kept(nothing, Album(out_of_reach=True))
    assert "Shards of this pool are compressed, so the images come from few of them" in html

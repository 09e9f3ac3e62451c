"""compare: what only one of two selections has."""

from __future__ import annotations

import numpy as np
import pytest

from selector.report.album import load_album
from selector.report.panels.compare import (
    NUM_SHOWN,
    Comparison,
    comparison_pictures,
    draw_comparison,
    gather_comparison,
)
from selector.report.source import open_source
from selector.selection import select
from selector.tables.selections import read_selection
from tests.support.runs import SyntheticRun, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    made = write_run(tmp_path_factory.mktemp("run"), num_shards=3, per_shard=100)
    select(made.root, {"name": "top", "steps": [{"take": {"n": 90, "order": "noise_value"}}]})
    select(made.root, {"name": "small", "steps": [{"take": {"n": 30, "order": "noise_value"}}]})
    select(made.root, {"name": "rand", "steps": [{"sample": {"n": 80, "seed": 0}}]})
    return made


def comparison_of(run: SyntheticRun, a: str, b: str) -> tuple[Comparison, str]:
    with open_source(run.root, a, compare=b) as source:
        comparison = gather_comparison(source)
        assert comparison is not None
        album = load_album(source, comparison_pictures(comparison))
    return comparison, str(draw_comparison(comparison, album))


def test_without_another_selection_there_is_no_panel(run: SyntheticRun) -> None:
    with open_source(run.root, "top") as source:
        assert gather_comparison(source) is None


def test_sides_are_set_differences(run: SyntheticRun) -> None:
    comparison, html = comparison_of(run, "top", "rand")
    a, b = (set(read_selection(run.layout, n)["row_id"].to_pylist()) for n in ("top", "rand"))
    assert comparison.only_a.count == len(a - b)
    assert comparison.only_b.count == len(b - a)
    assert comparison.both == len(a & b)
    assert comparison.jaccard == len(a & b) / len(a | b)
    assert set(comparison.only_a.row_ids) <= a - b
    assert len(comparison.only_a.row_ids) == NUM_SHOWN
    assert "Only in top" in html
    assert f"{len(b - a)} images, median V" in html


def test_shown_images_span_the_noise_values(run: SyntheticRun) -> None:
    comparison, _ = comparison_of(run, "top", "rand")
    noise = dict(
        zip(run.scores["row_id"].to_pylist(), run.scores["noise_value"].to_pylist(), strict=True)
    )
    shown = [noise[row] for row in comparison.only_b.row_ids]
    assert shown == sorted(shown)
    assert np.log10(shown[-1] / shown[0]) > 2


def test_classes_by_the_size_of_the_difference(run: SyntheticRun) -> None:
    comparison, _ = comparison_of(run, "top", "rand")
    differences = [abs(a - b) for _, a, b in comparison.classes]
    assert differences == sorted(differences, reverse=True)


def test_a_part_of_the_other_has_nothing_of_its_own(run: SyntheticRun) -> None:
    comparison, html = comparison_of(run, "small", "top")
    assert (comparison.only_a.count, comparison.only_a.row_ids) == (0, ())
    assert "Nothing: top has all of it" in html


def test_a_selection_beside_itself(run: SyntheticRun) -> None:
    comparison, html = comparison_of(run, "top", "top")
    assert (comparison.jaccard, comparison.both) == (1.0, 90)
    assert "Classes that differ most" not in html

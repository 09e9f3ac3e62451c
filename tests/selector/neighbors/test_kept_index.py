import numpy as np
import pytest

from selector.neighbors.kept_index import (
    FlatKept,
    ListedKept,
    SearchSettings,
    at_least,
    padded,
    search_settings,
)
from selector.neighbors.unit import unit
from selector.neighbors.workers import workers
from tests.selector.neighbors.planted import planted

pytest.importorskip("faiss", reason="needs the extra `cpu`")


def test_small_sets_are_searched_exactly() -> None:
    assert search_settings(50_000, 64).exact
    assert not search_settings(50_000, 2048).exact
    assert search_settings(1_000_000, 64).lists == 1024
    assert search_settings(10_000_000, 64).lists == 4096


def test_flat_proposes_every_row_within_the_radius() -> None:
    units = unit(planted(3000, 8))
    index = FlatKept(8, min_similarity=0.95)
    for start in range(0, 3000, 700):
        index.add(units[start : start + 700])
    row, number = index.propose(units[:50])
    near = units[:50].astype(float) @ units.T.astype(float) >= 0.95
    proposed = np.zeros_like(near)
    proposed[row, number] = True
    assert (proposed >= near).all()
    assert proposed.sum() <= near.sum() + 5


def test_lists_propose_most_and_the_same_with_any_number_of_threads() -> None:
    units = unit(planted(4000, 10))
    with workers(1):
        settings = SearchSettings(lists=16, probes=4, candidates=16)
        index = ListedKept(units, settings, min_similarity=0.95, seed=3)
        index.add(units[:100])
        index.add(units[100:])
        row, number = index.propose(units[::20])
        again = ListedKept(units, settings, min_similarity=0.95, seed=3)
        again.add(units)
        np.testing.assert_array_equal(again.propose(units[::20])[1], number)
    assert (number[row == 7] == 140).any()
    itself = {(r, n) for r, n in zip(row.tolist(), number.tolist(), strict=True) if n == 20 * r}
    assert len(itself) >= 198


def test_padding_changes_no_product() -> None:
    units = unit(planted(10, 7))
    wide = padded(units, 12)
    assert wide.shape == (10, 12)
    np.testing.assert_allclose(wide @ wide.T, units @ units.T, atol=1e-6)
    assert padded(units, 7) is units


def test_at_least_finds_all_places_in_order() -> None:
    matrix = np.array([[0, 1, 2], [0, 0, 0], [3, 0, 1]], np.float32)
    rows, columns = at_least(matrix, 1.0)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (2, 0),
        (2, 2),
    ]
    assert len(at_least(matrix[:, :0], 1.0)[0]) == 0

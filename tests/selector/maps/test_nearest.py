"""nearest: exact neighbours, a point never among its own."""

from __future__ import annotations

import numpy as np
import pytest

from selector.maps import nearest as module
from selector.maps.nearest import nearest


@pytest.fixture(params=["faiss", "sklearn"])
def search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip(request.param)
    monkeypatch.setattr(module, "backend", lambda: request.param)
    return str(request.param)


def test_the_nearest_by_definition(search: str) -> None:
    points = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)
    indices, distances = nearest(points, 7)
    exact = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(exact, np.inf)
    assert (indices == np.argsort(exact, axis=1)[:, :7]).all()
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :7], atol=1e-3)


def test_equal_points_are_neighbours_but_no_point_its_own(search: str) -> None:
    indices, distances = nearest(np.ones((50, 3), np.float32), 4)
    assert indices.shape == (50, 4)
    assert (indices != np.arange(50)[:, None]).all()
    assert (distances == 0).all()


def test_more_neighbours_than_points_are_refused() -> None:
    with pytest.raises(ValueError, match="4 neighbours of 4 points"):
        nearest(np.ones((4, 3), np.float32), 4)

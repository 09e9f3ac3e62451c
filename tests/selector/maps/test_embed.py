"""embed: places in the plane: finite, repeatable, near for what is alike."""

from __future__ import annotations

import numpy as np
import pytest

from selector.maps import embed as module
from selector.maps.embed import METHODS, check_method, embed, principal, settings, unit_length
from shards.errors import UsageError

pytest.importorskip("openTSNE")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ITERATIONS", (50, 50))


def clusters(num: int = 3, each: int = 20, dim: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(num), each)
    return 5 * rng.standard_normal((num, dim))[labels] + rng.standard_normal((60, dim)), labels


def separation(places: np.ndarray, labels: np.ndarray) -> float:
    """Share of points whose nearest neighbour in the plane is of their own cluster."""
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(axis=1)] == labels).mean())


def test_tsne_keeps_clusters_apart_and_repeats_itself() -> None:
    vectors, labels = clusters()
    steps: list[tuple[int, int]] = []
    places = embed(vectors, method="tsne", on_step=lambda *step: steps.append(step))
    assert (places.shape, places.dtype) == ((60, 2), np.float32)
    assert separation(places, labels) > 0.95
    assert steps[-1] == (100, 100)
    assert steps == sorted(steps)
    assert (embed(vectors, method="tsne") == places).all()


@pytest.mark.slow  # numba compiles for some ten seconds
def test_umap_keeps_clusters_apart_and_repeats_itself() -> None:
    pytest.importorskip("umap")
    vectors, labels = clusters()
    places = embed(vectors, method="umap", seed=3)
    assert separation(places, labels) > 0.95
    assert (embed(vectors, method="umap", seed=3) == places).all()


@pytest.mark.parametrize(
    "vectors",
    [np.ones((40, 4)), np.zeros((40, 4)), np.repeat(np.eye(2), 20, axis=0), np.eye(5),
     np.arange(12.0)[:, None]],
    ids=["one-point", "zeros", "two-points", "as-few-as-may-be", "one-dimension"],
)  # fmt: skip
def test_degenerate_vectors_have_places_too(vectors: np.ndarray) -> None:
    places = embed(vectors, method="tsne")
    assert places.shape == (len(vectors), 2)
    assert np.isfinite(places).all()


def test_scale_of_a_vector_does_not_matter() -> None:
    vectors, _ = clusters()
    lengths = np.linspace(0.1, 10, len(vectors))[:, None]
    a, b = (principal(unit_length(v)) for v in (vectors, vectors * lengths))
    np.testing.assert_allclose(np.abs(a), np.abs(b), atol=1e-4)


def test_wrong_use_is_told() -> None:
    with pytest.raises(UsageError, match="'pca': expected one of tsne, umap"):
        check_method("pca")
    with pytest.raises(UsageError, match="at least 5 images with features, found 4"):
        embed(np.eye(4), method="tsne")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs the package umap, .*coursepack\[map\]"):
        check_method("umap")


def test_settings_are_plain_and_differ() -> None:
    assert len({str(settings(method)) for method in METHODS}) == len(METHODS)  # type: ignore[arg-type]

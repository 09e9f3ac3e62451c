from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.scoring.pca import fit_pca, read_pca, write_pca
from shards.errors import StorageError, UsageError


def sample(rows: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width)) * np.geomspace(1, 1e-2, width)
    return rng.normal(size=(rows, width)) @ mixing.T + rng.normal(size=width) * 5


@given(st.integers(0, 1000), st.integers(2, 9), st.integers(10, 40))
def test_is_the_truncated_singular_value_decomposition(seed: int, width: int, rows: int) -> None:
    data = sample(rows, width, seed)
    dim = width // 2 + 1
    pca = fit_pca(data, dim)
    standard = (data - data.mean(0)) / deviation(data)
    _, values, axes = np.linalg.svd(standard, full_matrices=False)
    variance = values**2 / (rows - 1)
    assert np.allclose(pca.variance, variance[:dim], rtol=1e-6, atol=1e-9 * variance[0])
    assert pca.explained == pytest.approx(variance[:dim].sum() / variance.sum(), abs=1e-9)
    found, expected = pca.project(data), standard @ axes[:dim].T
    distinct = np.diff(variance[: dim + 1]) < -1e-2 * variance[0]
    for k in np.flatnonzero(distinct & np.insert(distinct[:-1], 0, True)):
        sign = np.sign(found[:, k] @ expected[:, k])
        assert np.allclose(found[:, k], sign * expected[:, k], atol=1e-2)


def deviation(data: np.ndarray) -> np.ndarray:
    each = data.std(0, ddof=1)
    return np.maximum(each, 0.01 * np.sqrt((each**2).mean()))


def test_rows_are_orthonormal_with_a_fixed_sign() -> None:
    data = sample(60, 12, 0)
    pca = fit_pca(data, 5)
    rows = pca.components * deviation(data)
    assert np.allclose(rows @ rows.T, np.eye(5), atol=1e-4)
    largest = np.abs(rows).argmax(axis=1)
    assert (rows[np.arange(5), largest] > 0).all()
    assert pca.digest == fit_pca(data, 5).digest
    assert pca.digest != fit_pca(data[1:], 5).digest


def test_survives_the_file(tmp_path: Path) -> None:
    pca = fit_pca(sample(30, 8, 1).astype(np.float16), 3)
    uri = str(tmp_path / "it.pca.safetensors")
    write_pca(uri, pca)
    back = read_pca(uri)
    assert (back.digest, back.rows, back.explained) == (pca.digest, 30, pca.explained)
    Path(uri).write_bytes(b"junk")
    with pytest.raises(StorageError, match="no basis of principal components"):
        read_pca(uri)


def test_scales_of_features_do_not_matter() -> None:
    data = sample(60, 12, 0)
    scaled = fit_pca(data * np.geomspace(0.3, 3, 12), 5)
    assert np.allclose(scaled.variance, fit_pca(data, 5).variance, rtol=1e-6)


def test_a_feature_that_hardly_varies_does_not_drown_the_others() -> None:
    data = sample(200, 6, 0)
    data[:, 0] = 1e-6 * data[:, 1]
    pca = fit_pca(data, 4)
    outlier = data[:1].copy()
    outlier[0, 0] = 1
    assert np.abs(pca.project(outlier) - pca.project(data[:1])).max() < 50
    data[:, 0] = 7
    assert np.isfinite(fit_pca(data, 4).components).all()


def test_constant_features_lose_nothing() -> None:
    pca = fit_pca(np.ones((10, 4), np.float32), 2)
    assert pca.explained == 1
    assert not pca.project(np.ones((3, 4), np.float32)).any()


@pytest.mark.parametrize(("rows", "dim"), [(5, 5), (5, 0), (100, 9), (1, 1)])
def test_more_components_than_can_be_told_are_refused(rows: int, dim: int) -> None:
    with pytest.raises(UsageError, match="components exist"):
        fit_pca(sample(rows, 8, 0), dim)

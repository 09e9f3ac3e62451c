import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from selector.neighbors.unit import SLACK, cosine, unit, usable

numbers = st.floats(-1e4, 1e4, width=16)


def test_zeros_nan_and_infinity_have_no_direction() -> None:
    rows = np.array([[0, 0], [1, 0], [np.nan, 1], [np.inf, 1], [-0.0, 0], [6e-8, 0]], np.float16)
    assert usable(rows).tolist() == [False, True, False, False, False, True]
    assert usable(rows[:0]).tolist() == []


@given(arrays(np.float16, (3, 5), elements=numbers), arrays(np.float16, (3, 5), elements=numbers))
def test_cosine_by_formula_and_by_units(a: np.ndarray, b: np.ndarray) -> None:
    fits = usable(a) & usable(b)
    a, b = a[fits], b[fits]
    near = cosine(a, b)
    assert (np.abs(near) <= 1).all()
    np.testing.assert_array_equal(near, cosine(b, a))
    np.testing.assert_array_equal(cosine(a, a), 1.0)
    for row, (x, y) in enumerate(zip(a.astype(float), b.astype(float), strict=True)):
        expected = x @ y / (np.linalg.norm(x) * np.linalg.norm(y))
        assert near[row] == pytest.approx(expected, abs=1e-12)
    assert (np.abs((unit(a) * unit(b)).sum(axis=1) - near) < SLACK / 10).all()


def test_length_does_not_matter() -> None:
    row = np.array([[3, 4]], np.float16)
    assert cosine(row, 100 * row)[0] == pytest.approx(1.0, abs=1e-12)
    assert unit(100 * row)[0].tolist() == pytest.approx([0.6, 0.8])

"""map_columns: what becomes numbers, what becomes categories, and what becomes nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from selector.report.map_columns import MOST_NAMES, NOTHING, Categories, Numbers, column_of


def make(values: pa.Array) -> Categories | Numbers | None:
    return column_of("c", pa.chunked_array([values]))


def test_floats_are_numbers_with_a_scale_that_outliers_do_not_use_up() -> None:
    values = [None, float("nan"), float("inf"), *np.linspace(0, 1, 1001), 1e9]
    column = make(pa.array(values, pa.float32()))
    assert isinstance(column, Numbers)
    assert np.isnan(column.values[:3]).all()
    assert (0 < column.low < 0.02, 0.98 < column.high < 1, column.log) == (True, True, False)


def test_orders_of_magnitude_make_a_logarithmic_scale() -> None:
    column = make(pa.array(10.0 ** -np.arange(9)))
    assert isinstance(column, Numbers)
    assert column.log


def test_one_value_makes_a_scale_of_one_point() -> None:
    column = make(pa.array([2.5, 2.5]))
    assert isinstance(column, Numbers)
    assert (column.low, column.high) == (2.5, 2.5)


def test_few_whole_numbers_are_categories_and_many_are_numbers() -> None:
    few = make(pa.array([3, None, 1, 3], pa.int32()))
    assert isinstance(few, Categories)
    assert few.names == ("1", "3")
    assert few.codes.tolist() == [1, NOTHING, 0, 1]
    assert isinstance(make(pa.array(range(MOST_NAMES + 1))), Numbers)


def test_whole_numbers_are_in_their_order() -> None:
    column = make(pa.array([10, 9, 2]))
    assert isinstance(column, Categories)
    assert column.names == ("2", "9", "10")


def test_truth_and_texts_are_categories() -> None:
    truth = make(pa.array([True, False, None]))
    assert isinstance(truth, Categories)
    assert truth.codes.tolist() == [0, 1, NOTHING]
    texts = make(pa.array(["b", "a", None]).dictionary_encode())
    assert isinstance(texts, Categories)
    assert texts.names == ("a", "b")


def test_what_cannot_colour_is_nothing() -> None:
    assert make(pa.array([b"x"])) is None
    assert make(pa.array([None, None], pa.float32())) is None
    assert make(pa.array([None], pa.int32())) is None
    assert make(pa.array([str(i) for i in range(MOST_NAMES + 1)])) is None

"""numerals: what a person reads, character by character."""

from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.report import numerals
from selector.report.numerals import bytes_text, count_text, power_text, score_text, share_text


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_the_docstrings_tell_the_truth() -> None:
    assert doctest.testmod(numerals).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.386, "1.39"),
        (0.001, "0.001"),
        (0.00099, "9.90 × 10⁻⁴"),
        (2.889e-15, "2.89 × 10⁻¹⁵"),
        (12345.0, "1.23 × 10⁴"),
        (math.inf, "inf"),
    ],
)
def test_scores(value: float, text: str) -> None:
    assert plain(score_text(value)) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "–"), (1000, 10003, "10 %"), (3, 10003, "0.03 %"), (1, 1, "100 %"), (2, 3, "66.7 %")],
)
def test_shares(part: int, whole: int, text: str) -> None:
    assert plain(share_text(part, whole)) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (7_088_035, "7.1 MB"), (10**18, "1000.0 PB")]
)
def test_sizes(size: int, text: str) -> None:
    assert plain(bytes_text(size)) == text


def test_counts_and_powers() -> None:
    assert count_text(1234567) == "1,234,567"
    assert [power_text(e) for e in (-12, 0, 1, 2)] == ["10⁻¹²", "1", "10", "10²"]


@given(st.floats(min_value=1e-30, max_value=1e30))
def test_a_score_reads_back_within_half_a_percent(value: float) -> None:
    factor, _, power = plain(score_text(value)).partition(" × 10")
    exponent = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    assert float(factor) * 10.0 ** int(exponent or "0") == pytest.approx(value, rel=0.0051)

"""figures: what is drawn is in proportion to what was counted."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from selector.report.cuts import Cut
from selector.report.figures import NARROW, WIDE, noise_histogram, paired_bars, single_bar
from selector.report.stats import Histogram, LogBins


@pytest.fixture
def histogram() -> Histogram:
    bins = LogBins(-4, 0)
    pool = np.zeros(16, dtype=np.int64)
    selected = np.zeros(16, dtype=np.int64)
    pool[[0, 5, 15]] = 10, 40, 80
    selected[[0, 5]] = 10, 20
    return Histogram(bins, pool, selected)


def bars(figure: str, css: str) -> list[ET.Element]:
    return [r for r in ET.fromstring(figure).iter("rect") if r.get("class") == css]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_bars_are_in_proportion(histogram: Histogram, width: float) -> None:
    figure = noise_histogram(histogram, cut=None, width=width)
    heights = [float(r.get("height", "0")) for r in bars(figure, "pool")]
    assert heights == pytest.approx([heights[2] / 8, heights[2] / 2, heights[2]], rel=1e-2)
    # Per bin one bar of the selection and one of its share, here 10/10 and 20/40.
    selected = [float(r.get("height", "0")) for r in bars(figure, "selected")]
    assert selected[0] == pytest.approx(heights[0])
    assert selected[2] == pytest.approx(heights[1] / 2, rel=1e-2)
    assert selected[1] == pytest.approx(2 * selected[3])


def test_one_image_in_a_million_can_be_seen() -> None:
    pool = np.array([1_000_000, 1, 0, 0])
    figure = noise_histogram(Histogram(LogBins(-1, 0), pool, pool * 0), cut=None, width=WIDE)
    heights = [float(r.get("height", "0")) for r in bars(figure, "pool")]
    assert len(heights) == 2
    assert min(heights) >= 0.5


def test_each_bin_tells_its_numbers(histogram: Histogram) -> None:
    figure = noise_histogram(histogram, cut=None, width=WIDE)
    hints = [node.text or "" for node in ET.fromstring(figure).iter("title")]
    assert len(hints) == 3
    assert "40 images, 20 selected (50\u00a0%)" in hints[1]


def test_a_cut_stands_at_its_value(histogram: Histogram) -> None:
    figure = noise_histogram(histogram, cut=Cut(0.01, 0.01, 1), width=WIDE)
    (cut,) = [node for node in ET.fromstring(figure).iter("line") if node.get("class") == "cut"]
    axis = next(node for node in ET.fromstring(figure).iter("line") if node.get("class") == "axis")
    left, right = float(axis.get("x1", "")), float(axis.get("x2", ""))
    assert float(cut.get("x1", "")) == pytest.approx((left + right) / 2)
    assert "cut 0.01" in figure
    assert not bars(figure, "cut-band")


def test_cuts_of_classes_are_a_band(histogram: Histogram) -> None:
    figure = noise_histogram(histogram, cut=Cut(0.001, 0.1, 7), width=WIDE)
    (band,) = bars(figure, "cut-band")
    lines = [node for node in ET.fromstring(figure).iter("line") if node.get("class") == "cut"]
    xs = [float(node.get("x1", "")) for node in lines]
    assert float(band.get("width", "")) == pytest.approx(xs[1] - xs[0], abs=0.02)
    assert "cuts of 7 classes" in figure


@pytest.mark.parametrize("value", [0.0, 1e-30, 50.0])
def test_a_cut_beyond_the_axis_stays_in_the_drawing(histogram: Histogram, value: float) -> None:
    figure = noise_histogram(histogram, cut=Cut(value, value, 1), width=NARROW)
    (cut,) = [node for node in ET.fromstring(figure).iter("line") if node.get("class") == "cut"]
    assert 0 < float(cut.get("x1", "")) < NARROW


def test_paired_and_single_bars() -> None:
    pool, selected = ET.fromstring(paired_bars(0.2, 0.05, largest=0.4))
    assert (pool.get("width"), selected.get("width")) == ("50", "12.5")
    assert [r.get("width") for r in ET.fromstring(paired_bars(0, 0, largest=0))] == ["0", "0"]
    track, part = ET.fromstring(single_bar(1, 4, css="failed"))
    assert (track.get("width"), part.get("width"), part.get("class")) == ("100", "25", "failed")
    assert ET.fromstring(single_bar(0, 0, css="failed"))[1].get("width") == "0"

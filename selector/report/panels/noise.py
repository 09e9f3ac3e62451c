"""Panel: histogram of the noise value, the selected images marked in it, with the cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from selector.report.album import Album
from selector.report.cuts import Cut, noise_cut
from selector.report.figures import NARROW, WIDE, noise_histogram
from selector.report.panel import Panel
from selector.report.source import SCORED, Source
from selector.report.stats import Histogram, bin_counts, log_bins
from selector.report.template import fill


@dataclass(frozen=True)
class Noise:
    """The histogram (None where no image has a positive noise value) and the cut."""

    histogram: Histogram | None
    cut: Cut | None


def gather_noise(source: Source) -> Noise:
    """Two scans of the scores."""
    return Noise(_histogram(source), noise_cut(source.facts.stats["steps"]))


def _histogram(source: Source) -> Histogram | None:
    low, high = source.sql.sql(
        f"SELECT min(noise_value), max(noise_value) FROM scores WHERE {SCORED} AND noise_value > 0"
    ).fetchall()[0]
    if low is None:
        return None
    bins = log_bins(low, high)
    # A value of exactly 0 (float32 has no smaller one) goes to the first bin.
    rows = source.sql.execute(
        "SELECT CAST(floor((log10(greatest(noise_value, 1e-45)) - $low) * $per_decade) AS BIGINT), "
        f"count(*), count(*) FILTER (selected) FROM judged WHERE {SCORED} GROUP BY 1",
        {"low": bins.low, "per_decade": bins.per_decade},
    ).fetchall()
    index, pool, selected = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Histogram(
        bins,
        bin_counts(index, pool, num_bins=bins.num_bins),
        bin_counts(index, selected, num_bins=bins.num_bins),
    )


def draw_noise(noise: Noise, _: Album) -> Markup:
    """The figure twice, for wide and for narrow pages."""
    histograms = [
        noise_histogram(noise.histogram, cut=noise.cut, width=width)
        for width in (WIDE, NARROW)
        if noise.histogram is not None
    ]
    return fill("panels/noise.html", histograms=histograms, cut=noise.cut)


PANEL = Panel("noise", "Noise value", gather_noise, draw_noise)

"""Panel: two selections side by side: what only one of them has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from selector.report.album import Album
from selector.report.figures import paired_bars
from selector.report.panel import Panel
from selector.report.source import Source
from selector.report.stats import effective_classes
from selector.report.template import fill

NUM_SHOWN = 36
NUM_CLASSES = 15

_SIDES = {"only_a": "selected AND NOT compared", "only_b": "compared AND NOT selected"}


@dataclass(frozen=True)
class Side:
    """Images that only one selection has: how many, and some spread over their noise values.

    Attributes:
        median: of the noise value, nats; None without a scored image.
    """

    name: str
    count: int
    median: float | None
    row_ids: tuple[int, ...]


@dataclass(frozen=True)
class Comparison:
    """Two selections.

    Attributes:
        both: images that both have; `jaccard` their share of the images that either has.
        classes: name, images of it in one and in the other, by the size of the difference.
        effective: effective classes of one and of the other.
    """

    only_a: Side
    only_b: Side
    both: int
    jaccard: float
    classes: tuple[tuple[str, int, int], ...]
    effective: tuple[float, float]


def gather_comparison(source: Source) -> Comparison | None:
    """None unless another selection was asked for."""
    if source.compare is None:
        return None
    both, union = source.sql.sql(
        "SELECT count(*) FILTER (selected AND compared), count(*) FROM judged "
        "WHERE selected OR compared"
    ).fetchall()[0]
    rows = source.sql.sql(
        "SELECT pseudo_label, count(*) FILTER (selected), count(*) FILTER (compared) FROM judged "
        "WHERE pseudo_label IS NOT NULL AND (selected OR compared) GROUP BY 1 "
        "ORDER BY abs(count(*) FILTER (selected) - count(*) FILTER (compared)) DESC, 1"
    ).fetchall()
    counts = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Comparison(
        only_a=_side(source, source.facts.selection, _SIDES["only_a"]),
        only_b=_side(source, source.compare, _SIDES["only_b"]),
        both=both,
        jaccard=both / union if union else 1.0,
        classes=tuple((source.facts.class_name(c), a, b) for c, a, b in rows[:NUM_CLASSES]),
        effective=(effective_classes(counts[:, 1]), effective_classes(counts[:, 2])),
    )


def _side(source: Source, name: str, condition: str) -> Side:
    count, median = source.sql.sql(
        f"SELECT count(*), median(noise_value) FROM judged WHERE {condition}"
    ).fetchall()[0]
    # Every so-many-th by noise value: the whole range is seen.
    rows = source.sql.execute(
        "WITH ranked AS (SELECT row_id, row_number() OVER (ORDER BY noise_value, row_id) - 1 AS n, "
        "count(*) OVER () AS total FROM judged SEMI JOIN reach USING (shard_id) "
        f"WHERE {condition}) SELECT row_id FROM ranked "
        "WHERE n * $most // total <> (n - 1) * $most // total OR n = 0 ORDER BY n",
        {"most": NUM_SHOWN},
    ).fetchall()
    return Side(name, count, median, tuple(row for (row,) in rows[:NUM_SHOWN]))


def comparison_pictures(comparison: Comparison) -> Iterator[int]:
    """The images shown of both sides."""
    yield from comparison.only_a.row_ids
    yield from comparison.only_b.row_ids


def draw_comparison(comparison: Comparison, album: Album) -> Markup:
    """Counts, classes that differ most, and thumbnails of either side."""
    largest = max((max(a, b) for _, a, b in comparison.classes), default=0)
    classes: list[dict[str, Any]] = [
        {"name": name, "a": a, "b": b, "bars": paired_bars(a, b, largest=largest)}
        for name, a, b in comparison.classes
        if a != b
    ]
    return fill("panels/compare.html", comparison=comparison, classes=classes, album=album)


PANEL = Panel("compare", "Comparison", gather_comparison, draw_comparison, comparison_pictures)

"""Panel: how many images of each class the pool has, and how many of them were selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from selector.report.album import Album
from selector.report.figures import paired_bars
from selector.report.numerals import share_text
from selector.report.panel import Panel
from selector.report.source import Source
from selector.report.stats import IntArray, bin_counts, shown_classes
from selector.report.template import fill

MAX_CLASS_ROWS = 40


@dataclass(frozen=True)
class Classes:
    """Images per pseudo-label, (C,) each, and the classes' names or numbers."""

    names: tuple[str, ...]
    pool: IntArray
    selected: IntArray


def gather_classes(source: Source) -> Classes:
    """One scan of the scores."""
    rows = source.sql.sql(
        "SELECT pseudo_label, count(*), count(*) FILTER (selected) FROM judged "
        "WHERE pseudo_label IS NOT NULL GROUP BY 1"
    ).fetchall()
    label, pool, selected = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    names = source.facts.class_names
    return Classes(
        names,
        bin_counts(label, pool, num_bins=len(names)) if len(names) else pool,
        bin_counts(label, selected, num_bins=len(names)) if len(names) else selected,
    )


def draw_classes(classes: Classes, _: Album) -> Markup:
    """A table; shares are of the pool's and of the selection's images."""
    shown = shown_classes(classes.pool, classes.selected, most=MAX_CLASS_ROWS)
    totals = max(int(classes.pool.sum()), 1), max(int(classes.selected.sum()), 1)
    shares = classes.pool / totals[0], classes.selected / totals[1]
    largest = max(float(share.max(initial=0.0)) for share in shares)

    def row(c: int) -> dict[str, Any]:
        return {
            "index": c,
            "name": classes.names[c],
            "pool": int(classes.pool[c]),
            "selected": int(classes.selected[c]),
            "pool_share": share_text(float(shares[0][c]), 1),
            "selected_share": share_text(float(shares[1][c]), 1),
            "bars": paired_bars(float(shares[0][c]), float(shares[1][c]), largest=largest),
        }

    return fill(
        "panels/classes.html",
        num_classes=len(classes.names),
        first=[row(int(c)) for c in shown.first],
        last=[row(int(c)) for c in shown.last],
        num_between=shown.num_between,
        num_absent=shown.num_absent,
        num_empty=int((classes.selected == 0).sum()),
    )


PANEL = Panel("classes", "Classes", gather_classes, draw_classes)

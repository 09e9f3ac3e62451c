"""Panel: the selection against what the pool's samples say of themselves, where they do."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from selector.report.album import Album
from selector.report.figures import single_bar
from selector.report.panel import Panel
from selector.report.source import Source
from selector.report.template import fill


@dataclass(frozen=True)
class Truth:
    """Counts: images of the pool with a known truth, those of the domain, selected, and both."""

    pool: int
    positives: int
    selected: int
    hits: int


def gather_truth(source: Source) -> Truth | None:
    """One scan; None where the run has no fact table `truth`."""
    if not source.has("truth"):
        return None
    row = source.sql.sql(
        "SELECT count(*), count(*) FILTER (t.is_positive = 1), count(*) FILTER (j.selected), "
        "count(*) FILTER (j.selected AND t.is_positive = 1) "
        "FROM judged j JOIN truth t USING (row_id) WHERE t.is_positive IS NOT NULL"
    ).fetchall()[0]
    return Truth(*(int(count) for count in row)) if row[0] else None


def draw_truth(truth: Truth, _: Album) -> Markup:
    """Precision, recall and the share of the pool, each with a bar."""
    rows = [
        ("Pool", "share that is of the teacher's domain", truth.positives, truth.pool, "pool"),
        ("Precision", "share of the selection that is", truth.hits, truth.selected, "selected"),
        (
            "Recall",
            "share of the domain's images selected",
            truth.hits,
            truth.positives,
            "selected",
        ),
    ]
    return fill("panels/truth.html", rows=rows, bar=single_bar)


PANEL = Panel("truth", "Ground truth", gather_truth, draw_truth)

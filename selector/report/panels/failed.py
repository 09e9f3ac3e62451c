"""Panel: why images have no scores, with the first of each reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from selector.report.album import Album
from selector.report.figures import single_bar
from selector.report.panel import Panel
from selector.report.source import Source
from selector.report.template import fill

EXAMPLES_PER_STATUS = 5


@dataclass(frozen=True)
class Failure:
    """One reason why images have no scores, with the first of them (key, shard, error)."""

    status: str
    count: int
    examples: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Failures:
    """Reasons by count, and the images of the pool, failed ones included."""

    num_rows: int
    reasons: tuple[Failure, ...]


def gather_failures(source: Source) -> Failures:
    """A scan of the scores for each reason."""
    failed = [pair for pair in source.facts.status_counts if pair[0] != "ok"]
    return Failures(source.facts.num_rows, tuple(_failure(source, *pair) for pair in failed))


def _failure(source: Source, status: str, count: int) -> Failure:
    examples = source.sql.sql(
        "SELECT row_id, key, shard, error FROM scores WHERE status = $status "
        "ORDER BY row_id LIMIT $most",
        params={"status": status, "most": EXAMPLES_PER_STATUS},
    ).to_arrow_table()
    return Failure(status, count, tuple(examples.to_pylist()))


def draw_failures(failures: Failures, _: Album) -> Markup:
    """A table of reasons."""
    return fill("panels/failed.html", failures=failures, bar=single_bar)


PANEL = Panel("failed", "Failed", gather_failures, draw_failures)

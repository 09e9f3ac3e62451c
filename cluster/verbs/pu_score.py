"""`pu score`: PU scores for what came to the pool since the classifier was fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cluster.execution import ExecutionConfig
from cluster.progress import OnProgress
from cluster.pu_finetune import rescore
from cluster.pu_table import commit_scores, teller
from selector.pu.classifier import read_classifier
from selector.tables.facts import find_fact, open_fact
from selector.tables.layout import RunLayout


@dataclass(frozen=True)
class PUScoreReport:
    """What a call of `pu score` did.

    Attributes:
        id, name: of the PU table.
        parts, parts_made: of the table, and those made now.
        num_pool: rows of the table.
    """

    run: str
    id: str
    name: str
    parts: int
    parts_made: int
    num_pool: int

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def pu_score(
    run: str,
    *,
    which: str | None = None,
    execution: ExecutionConfig | None = None,
    on_progress: OnProgress | None = None,
) -> PUScoreReport:
    """Score the parts of a pool that a PU table lacks, with the classifier that it was made by.

    The features of new shards must be there: `coursepack score ... --features` adds them. A
    fine-tuned classifier reads the images of new shards instead. Nothing is fitted anew, and the
    prior stays what it was.

    Args:
        run: Run directory.
        which: Id or name of the PU table; None = the newest.
        execution: Where a fine-tuned classifier runs.
        on_progress: Called now and then from this thread.

    Raises:
        UsageError: no such table; features of another teacher, or with NaN.
        RunLocked: another driver works on this run.
        StorageError: something cannot be read or written.
    """
    layout = RunLayout(run)
    table = find_fact(layout, "pu", which)
    tell = teller(on_progress)
    before = len(table.table.parts)
    if table.about.get("mode") == "finetune":
        table = rescore(layout, table, execution=execution or ExecutionConfig(), tell=tell)
        made = len(table.table.parts) - before
    else:
        classifier = read_classifier(layout, table.fact_id)
        features = find_fact(layout, "features", classifier.card["features"]["id"])
        table, made = commit_scores(
            layout,
            features,
            classifier,
            table.fact_id,
            about=table.about,
            name=table.name,
            tell=tell,
        )
    return PUScoreReport(
        run=layout.root,
        id=table.fact_id,
        name=table.name,
        parts=len(table.table.parts),
        parts_made=made,
        num_pool=int(open_fact(table).count_rows()),
    )

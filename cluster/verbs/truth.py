"""`truth`: ground truth that a pool for experiments carries, as a fact table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cluster.progress import OnProgress
from cluster.pu_table import teller
from cluster.run_lock import RunLock
from selector.strict_yaml import parse_mapping
from selector.tables.connection import class_names
from selector.tables.facts import make_fact_id, open_fact, write_fact_table
from selector.tables.layout import RunLayout
from selector.tables.read import read_table_list
from selector.truth import KIND, parse_rule, write_truth_parts
from shards import storage


@dataclass(frozen=True)
class TruthReport:
    """What is known of a pool.

    Attributes:
        positives, negatives, unknown: rows.
    """

    run: str
    id: str
    positives: int
    negatives: int
    unknown: int

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def truth(
    run: str,
    *,
    member: str = "cls",
    field: str | None = None,
    mapping: Mapping[str, Any] | str | None = None,
    missing: Literal["negative", "unknown"] = "negative",
    on_progress: OnProgress | None = None,
) -> TruthReport:
    """Read the true class of every image of a run's pool, for evaluation and baselines.

    The facts become the table "truth": is_positive (1, 0, null) and label. No score reads it.

    Args:
        run: Run directory, scored.
        member: "cls" or "json": the member of a sample that says what it is.
        field: Of the .json.
        mapping: Value -> class name or number of the teacher, or null; or a YAML file of that.
            Values that are not in it are no positives. None = the values are classes themselves.
        missing: What a sample without that member is.
        on_progress: Called now and then from this thread.

    Raises:
        UsageError: another member, or a class that the teacher does not have.
        RunLocked: another driver works on this run.
        StorageError, ShardError: something cannot be read or written.
    """
    layout = RunLayout(run)
    if isinstance(mapping, str):
        mapping = parse_mapping(storage.read_bytes(mapping).decode(), where=mapping)
    rule = parse_rule(
        member, field=field, mapping=mapping, missing=missing, class_names=class_names(layout)
    )
    about = {
        "member": member,
        "field": field,
        "classes": None if mapping is None else dict(sorted(rule.classes.items())),
        "missing": missing,
    }
    fact_id = make_fact_id(about)
    tell = teller(on_progress)
    with RunLock(layout.lock) as lock:
        scores = read_table_list(layout, "scores")
        parts = write_truth_parts(
            layout, rule, fact_id, on_part=lambda done, total: tell("reading truth", done, total)
        )
        lock.check()
        table = write_fact_table(layout, KIND, fact_id, parts, about=about, inputs=scores.inputs)
    counts = {"positives": 0, "negatives": 0, "unknown": 0}
    for batch in open_fact(table).to_batches(columns=["is_positive"]):
        known = batch.column("is_positive")
        ones = int(known.fill_null(0).to_numpy().sum())
        counts["positives"] += ones
        counts["unknown"] += known.null_count
        counts["negatives"] += len(known) - known.null_count - ones
    return TruthReport(run=layout.root, id=fact_id, **counts)

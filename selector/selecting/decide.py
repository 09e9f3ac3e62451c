"""What one step decided about one row, told in words, from the cuts that the selection stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from selector.selecting.diverse import was_kept
from selector.selecting.plan import Combine, Diverse, Flag, Limit, Listed, Order, Rank, Step
from selector.selecting.rank import is_within
from selector.selecting.rows import columns_of, keeps, order_of
from selector.selecting.source import NO_GROUP, Chunk


@dataclass(frozen=True)
class Decision:
    """Whether a row passed, and why."""

    kept: bool
    text: str


def decide(step: Step, entry: Mapping[str, Any], row: Chunk) -> Decision:
    """The decision of a step about a row that reached it.

    Args:
        entry: of this step, in stats.json.
        row: a chunk of one row.
    """
    match step:
        case Flag() | Listed() | Limit():
            return _alone(step, row)
        case Rank():
            return _ranked(step, entry, row)
        case Diverse():
            kept = was_kept(entry, int(row["row_id"][0]))
            side = "unlike" if kept else "too like"
            return Decision(kept, f"{_value(step.order, row)}, {side} the others of its group")
        case Combine():
            return _combined(step, entry, row)


def _alone(step: Flag | Listed | Limit, row: Chunk) -> Decision:
    kept = bool(keeps(step, row)[0])
    match step:
        case Flag(keep=True):
            return Decision(kept, "true" if kept else "not true")
        case Flag():
            return Decision(kept, "no duplicate" if kept else "duplicate of another row")
        case Listed():
            return Decision(kept, "not on the list" if kept else "on the list")
        case Limit():
            side = "within" if kept else "beyond"
            limit = step.limit * step.order.sign
            return Decision(kept, f"{_value(step.order, row)}, {side} the limit {limit:.9g}")


def _ranked(step: Rank, entry: Mapping[str, Any], row: Chunk) -> Decision:
    value = _value(step.order, row)
    if np.isnan(order_of(step.order, row)[0]):
        return Decision(False, f"{value}: rows without a value are never taken")
    cuts = entry["cuts"]
    where = ""
    if step.by is not None:
        name = step.by.removeprefix("group ")
        group = int(row[step.by][0])
        if group == NO_GROUP:
            return Decision(False, f"{name} is null: rows without a group are never taken")
        cuts = [cut for cut in cuts if cut["group"] == group]
        where = f" of {name} {cuts[0]['name']}" if cuts else ""
    cut = cuts[0] if cuts else {"available": 0, "kept": 0}
    kept = is_within(step.order, columns_of(step.order, row), 0, cut)
    rows = f"{cut['kept']} of {cut['available']} rows{where} kept"
    if "value" not in cut:
        return Decision(False, f"{value}; {rows}")
    side = "within" if kept else "beyond"
    tie = "" if not _ties(step.order, row, cut) else " (equal: the content hash decides)"
    return Decision(kept, f"{value}, {side} the cut {float(cut['value']):.9g}{tie}; {rows}")


def _combined(step: Combine, entry: Mapping[str, Any], row: Chunk) -> Decision:
    stored = {part["path"]: part for part in entry.get("parts", [])}
    decisions = []
    for part in step.parts:
        told = stored.get(part.path, {})
        decision = decide(part, told, row)
        if step.how == "fill" and decision.kept and isinstance(part, Rank | Limit):
            columns = columns_of(part.order, row)
            if not is_within(part.order, columns, 0, told.get("last_taken", {})):
                text = f"{decision.text}, but the {step.n} places were filled before its turn"
                decision = Decision(False, text)
        decisions.append(decision)
    verdicts = [decision.kept for decision in decisions]
    kept = all(verdicts) if step.how == "all" else any(verdicts)
    words = {"all": "all of", "any": "any of", "fill": "filled from"}[step.how]
    texts = [
        f"{part.label}: {'in' if decision.kept else 'out'}, {decision.text}"
        for part, decision in zip(step.parts, decisions, strict=True)
    ]
    return Decision(kept, f"{words} [{' | '.join(texts)}]")


def _value(order: Order, row: Chunk) -> str:
    value = float(order_of(order, row)[0]) * order.sign + 0.0
    name = order.column if order.column is not None else f"random draw (seed {order.seed})"
    return f"{name} is null" if np.isnan(value) else f"{name} {value:.9g}"


def _ties(order: Order, row: Chunk, cut: Mapping[str, Any]) -> bool:
    return bool(order_of(order, row)[0] == float(cut["value"]) * order.sign)

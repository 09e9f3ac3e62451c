"""A selection done the plain way: all rows as dicts, sorted in Python, one step after the other."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np

from selector.policies.draw import random_order

Row = dict[str, Any]
DIRECTION = {"noise_value": 1, "entropy": 1, "width": 1, "max_prob": -1, "margin": -1}


def select_reference(rows: list[Row], steps: list[dict]) -> set[int]:
    """row_ids that the steps keep of the rows with status ok; shortages are accepted."""
    kept = [row for row in rows if row["status"] == "ok"]
    for step in steps:
        kept = apply(kept, step)
    return {row["row_id"] for row in kept}


def apply(rows: list[Row], step: dict) -> list[Row]:
    ((kind, options),) = step.items()
    match kind:
        case "where":  # the tests use this one alone
            return [row for row in rows if row["width"] is not None and row["width"] >= 200]
        case "exclude":
            return [row for row in rows if row["key"] not in options["list"]]
        case "sample":
            return ranked(rows, {"order": "random", **options})[: options["n"]]
        case "take":
            ordered = ranked(rows, options)
            if "n" in options:
                return ordered[: options["n"]]
            if "quantile" in options:
                share = Fraction(str(options["quantile"])) * len(ordered)
                return ordered[: math.floor(share)]
            sign = sign_of(options)
            limit = float(np.float32(options["threshold"]))
            return [row for row in ordered if sign * row[options["order"]] <= sign * limit]
        case "quota":
            return quota(rows, options)
        case "all":
            kept = [{row["row_id"] for row in apply(rows, part)} for part in options]
            return [row for row in rows if all(row["row_id"] in ids for ids in kept)]
        case "any":
            kept = [{row["row_id"] for row in apply(rows, part)} for part in options]
            return [row for row in rows if any(row["row_id"] in ids for ids in kept)]
        case "fill":
            taken: dict[int, Row] = {}
            for part in options["from"]:
                part_options = next(iter(part.values()))
                if "sample" in part:
                    part_options = {"order": "random", **part_options}
                for row in ranked(apply(rows, part), part_options):
                    if len(taken) < options["n"]:
                        taken.setdefault(row["row_id"], row)
            return list(taken.values())
    raise AssertionError(kind)


def quota(rows: list[Row], options: dict) -> list[Row]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in ranked(rows, options):
        if row[options["by"]] is not None:
            groups[row[options["by"]]].append(row)
    n = options["n"]
    kept = [row for group in groups.values() for row in group[:n]]
    if options["shortage"] == "redistribute":
        rank = n
        while len(kept) < n * len(groups) and any(len(group) > rank for group in groups.values()):
            offered = ranked([g[rank] for g in groups.values() if len(g) > rank], options)
            kept += offered[: n * len(groups) - len(kept)]
            rank += 1
    return kept


def sign_of(options: dict) -> int:
    if "descending" in options:
        return -1 if options["descending"] else 1
    return DIRECTION.get(options["order"], 1)


def ranked(rows: list[Row], options: dict) -> list[Row]:
    """Rows that have a value, best first: value, content hash, row_id."""

    def value(row: Row) -> float | None:
        if options["order"] == "random":
            ids = np.array([row["row_id"]])
            return float(random_order(ids, seed=options.get("seed", 0))[0])
        stored = row[options["order"]]
        return None if stored is None or math.isnan(stored) else sign_of(options) * stored

    usable = [row for row in rows if value(row) is not None]
    return sorted(usable, key=lambda row: (value(row), row["content_hash"], row["row_id"]))

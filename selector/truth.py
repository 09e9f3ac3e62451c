"""Ground truth as a fact table: which images of a pool are known to be positive, for evaluation.

    run/facts/truth/<id>/<part>.parquet   row_id, is_positive (1, 0, null = unknown), label

A pool has none in real use. Pools for experiments carry it in a member of each sample: a class
number in .cls, or a field of .json. Scores never read it; recipes do for baselines, reports for
precision and recall.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from selector.tables.connection import read_pool
from selector.tables.layout import RunLayout
from selector.tables.read import open_filesystem, read_table_list
from selector.tables.schema import column, fact_schema, split_row_id
from selector.tables.write import write_part
from shards import storage
from shards.errors import UsageError
from shards.reader import open_shard

KIND = "truth"

SCHEMA = fact_schema(
    KIND,
    [
        column(
            "is_positive",
            pa.int8(),
            "1: of the labelled domain, 0: not, null: not known; ground truth for evaluation",
            direction="higher",
        ),
        column("label", pa.int32(), "true class; null where there is none", unit="class"),
    ],
)


@dataclass(frozen=True)
class TruthRule:
    """How a member of a sample becomes truth.

    Attributes:
        member: extension of the member, "cls" or "json".
        field: of the .json; None for .cls.
        classes: value -> class number; values that are not in it are no positives.
        missing: what a sample without the member (or the field) is.
    """

    member: str
    field: str | None
    classes: Mapping[str, int]
    missing: Literal["negative", "unknown"] = "negative"

    def __call__(self, data: bytes | None) -> tuple[int | None, int | None]:
        """(is_positive, label) of one sample's member; None: it has none."""
        value = None if data is None else self._value(data)
        if value is None:
            return (0 if self.missing == "negative" else None), None
        label = self.classes.get(value)
        return (0, None) if label is None else (1, label)

    def _value(self, data: bytes) -> str | None:
        text = data.decode("utf-8", "replace").strip()
        if self.field is None:
            return text
        try:
            found = json.loads(text)
        except ValueError:
            return None
        value = found.get(self.field) if isinstance(found, dict) else None
        return None if value is None else str(value)


def parse_rule(
    member: str,
    *,
    field: str | None,
    mapping: Mapping[str, Any] | None,
    missing: Literal["negative", "unknown"],
    class_names: Sequence[str] | None,
) -> TruthRule:
    """The rule that a member, a field and a mapping mean.

    Args:
        member: "cls", or "json" with a field.
        mapping: value -> class name, class number, or null for none; None = values are class
            names or numbers themselves.

    Raises:
        UsageError: another member, or a class that the teacher does not have.
    """
    if member not in ("cls", "json") or (member == "json") != bool(field):
        raise UsageError(
            f"member {member!r} with field {field!r}; expected cls without a field, or json with "
            "the field that holds the class"
        )
    names = {name: number for number, name in enumerate(class_names or ())}
    if mapping is None:
        numbers = {str(number): number for number in range(max(len(names), 10_000))}
        return TruthRule(member, field, {**numbers, **names}, missing)
    classes: dict[str, int] = {}
    for value, wanted in mapping.items():
        if wanted is None:
            continue
        number = names.get(str(wanted), wanted)
        if isinstance(number, str) and number.isdigit():
            number = int(number)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            known = ", ".join(names) or "numbers only: the run knows no class names"
            raise UsageError(f"{value!r} is mapped to {wanted!r}, no class; expected {known}")
        classes[str(value)] = number
    return TruthRule(member, field, classes, missing)


def write_truth_parts(
    layout: RunLayout,
    rule: TruthRule,
    fact_id: str,
    *,
    on_part: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Read the member of every sample of the pool and write one part per part of the scores.

    Local shards are mapped and only the members touched; remote ones are streamed whole.

    Raises:
        StorageError, ShardError: a shard cannot be read.
    """
    shards = {row["shard_id"]: row["uri"] for row in read_pool(layout).to_pylist()}
    parts = read_table_list(layout, "scores").parts
    uris: list[str] = []
    known: dict[int, list[tuple[int | None, int | None]]] = {}
    for done, part in enumerate(parts, start=1):
        filesystem, path = open_filesystem(part)
        ids = pq.read_table(path, filesystem=filesystem, columns=["row_id"])["row_id"].to_numpy()
        shard_N, index_N = split_row_id(ids)
        needed = np.unique(shard_N).tolist()
        known = {shard: known.get(shard) or _read_shard(shards[shard], rule) for shard in needed}
        found = [known[s][i] for s, i in zip(shard_N.tolist(), index_N.tolist(), strict=True)]
        columns = [pa.array(ids), *(pa.array(list(c)) for c in zip(*found, strict=True))]
        table = pa.table(
            [values.cast(f.type) for values, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
        )
        uris.append(layout.facts_part(KIND, fact_id, storage.name(part).removesuffix(".parquet")))
        write_part(uris[-1], table)
        if on_part is not None:
            on_part(done, len(parts))
    return uris


def _read_shard(uri: str, rule: TruthRule) -> list[tuple[int | None, int | None]]:
    """(is_positive, label) of every sample of a shard, in order."""
    found = []
    with open_shard(uri) as shard:
        for sample in shard.samples():
            data = None
            for member, content in zip(sample.entry.members, sample.data, strict=True):
                if member.extension == rule.member:
                    data = bytes(content)
            found.append(rule(data))
    return found

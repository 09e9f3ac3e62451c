"""Fact tables: what is learned of images after they were scored, beside the scores, never in them.

Several tables of one kind live side by side: features whole and reduced, PU scores of several
classifiers. Each has an id, the fingerprint of what made it, and may have a name. Its parts lie in
`facts/<kind>/<id>/` under the names of the score parts, one row per row of the score part in the
same order; its table list (`tables/<kind>-<version>.json`) says id, name, and what it is about.
All tables of a kind share one sequence of versions; the newest is what the kind's bare name means.

SQL sees `<kind>` (the newest), `<kind>_<name>` and `<kind>_<id>`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from selector.tables.layout import RunLayout, check_fact_name
from selector.tables.read import (
    TableList,
    listed_versions,
    open_filesystem,
    open_parts,
    read_table_list,
)
from selector.tables.vectors import decode_vectors
from selector.tables.write import write_table_list
from shards import storage
from shards.errors import StorageError, UsageError

NOT_FACTS = frozenset({"scores", "members"})
"""Kinds of tables that have no id."""


@dataclass(frozen=True)
class FactTable:
    """The newest version of one fact table.

    Attributes:
        kind, fact_id, name: which it is; `name` is "" where none was given.
        about: what made it, plain JSON values: for features dim, taps, teacher fingerprint; for PU
            scores prior, classifier; and so on.
        table: its parts.
    """

    kind: str
    fact_id: str
    name: str
    about: Mapping[str, Any]
    table: TableList

    @property
    def views(self) -> tuple[str, ...]:
        """Names under which SQL sees this very table, the plain `kind` apart."""
        named = (f"{self.kind}_{self.name}",) if self.name else ()
        return (*named, f"{self.kind}_{self.fact_id}")


def make_fact_id(made_from: Mapping[str, Any]) -> str:
    """Fingerprint of what makes a fact table: 12 hex digits of a SHA-256 over plain JSON values."""
    text = json.dumps(made_from, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_fact_table(
    layout: RunLayout,
    kind: str,
    fact_id: str,
    parts: Iterable[str],
    *,
    about: Mapping[str, Any],
    name: str = "",
    inputs: str = "",
) -> FactTable:
    """Declare the parts of a fact table, which from now on is the newest of its kind.

    Args:
        parts: URIs of complete parts; see `RunLayout.facts_part`.
        about: see `FactTable`.
        name: so that people need not write the id: lower case letters, digits, underscores.
        inputs: as for `write_table_list`.

    Raises:
        UsageError: the name cannot name a view, or another table of this kind has it.
    """
    if name:
        check_fact_name(name)
        for other in fact_tables(layout, kind):
            if other.name == name and other.fact_id != fact_id:
                raise UsageError(
                    f"the run has {kind} called {name!r} already (id {other.fact_id}), made from "
                    "something else; choose another name"
                )
    fact = {"id": fact_id, "name": name, "about": dict(about)}
    version = write_table_list(layout, kind, parts, inputs=inputs, fact=fact)
    return _fact(read_table_list(layout, kind, version))


def fact_tables(layout: RunLayout, kind: str | None = None) -> list[FactTable]:
    """Every fact table of the run, or those of a kind: the newest version of each id.

    Sorted by kind, then by age: the last of a kind is the one that its bare name means.
    """
    newest: dict[tuple[str, str], FactTable] = {}
    for found, version in sorted(listed_versions(layout)):
        if found in NOT_FACTS or kind not in (None, found):
            continue
        fact = _fact(read_table_list(layout, found, version))
        newest[found, fact.fact_id] = fact
    return sorted(newest.values(), key=lambda fact: (fact.kind, fact.table.version))


def find_fact(layout: RunLayout, kind: str, which: str | None = None) -> FactTable:
    """One fact table: the newest of its kind, or the one with an id (or its beginning) or name.

    Raises:
        UsageError: the run has no such table; lists those that it has.
    """
    tables = fact_tables(layout, kind)
    if not tables:
        raise UsageError(f"run {layout.root} has no {kind}; {_HOW_TO.get(kind, 'make them first')}")
    if which is None:
        return tables[-1]
    named = [table for table in tables if table.name == which]
    found = named or [table for table in tables if which and table.fact_id.startswith(which)]
    if len(found) != 1:
        known = ", ".join(f"{t.fact_id} ({t.name})" if t.name else t.fact_id for t in tables)
        problem = "no" if not found else "several"
        raise UsageError(f"run {layout.root} has {problem} {kind} {which!r}; it has {known}")
    return found[0]


_HOW_TO = {
    "features": "`coursepack score POOL --out RUN --features full` adds them, scores are kept",
    "pu": "`coursepack pu fit RUN --positives FOLDER` makes them",
}


@dataclass(frozen=True)
class VectorChunk:
    """Some consecutive rows of a table of vectors.

    Attributes:
        part: URI of the part they lie in.
        row_ids: (n,) int64.
        vectors: (n, D) float16, zeros where not valid.
        valid: (n,) bool; False = the image failed, it has no vector.
    """

    part: str
    row_ids: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float16]
    valid: npt.NDArray[np.bool_]


def iter_vectors(
    fact: FactTable, *, column: str = "features", chunk_rows: int = 65_536
) -> Iterator[VectorChunk]:
    """The vectors of a fact table in order of row_id, in the memory of a chunk.

    Raises:
        StorageError: a part is missing or damaged.
        UsageError: the table has no such column of vectors.
    """
    for part in fact.table.parts:
        filesystem, path = open_filesystem(part)
        try:
            with pq.ParquetFile(path, filesystem=filesystem) as file:
                if column not in file.schema_arrow.names:
                    raise UsageError(f"{part} has no column {column!r}")
                for batch in file.iter_batches(chunk_rows, columns=["row_id", column]):
                    vectors, valid = decode_vectors(batch.column(1))
                    yield VectorChunk(part, batch.column(0).to_numpy(), vectors, valid)
        except (pa.ArrowException, OSError) as error:
            raise StorageError(
                f"{part} cannot be read ({' '.join(str(error).split())}); remove it and run the "
                f"command again that made these {fact.kind}"
            ) from error


def load_vectors(
    fact: FactTable, *, column: str = "features"
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float16]]:
    """All vectors that there are, in memory: 2 D bytes an image (960-d: 1.9 GB a million).

    Returns:
        row_ids (n,) and vectors (n, D), in order of row_id; images without a vector are left out.

    Raises:
        As `iter_vectors`; UsageError also for a table without parts.
    """
    chunks = [
        (chunk.row_ids[chunk.valid], chunk.vectors[chunk.valid])
        for chunk in iter_vectors(fact, column=column)
    ]
    if not chunks:
        raise UsageError(f"{fact.kind} {fact.fact_id} has no parts; run the command again")
    row_ids, vectors = zip(*chunks, strict=True)
    return np.concatenate(row_ids), np.concatenate(vectors)


def open_fact(fact: FactTable) -> Any:
    """A fact table as a pyarrow dataset, read when it is scanned.

    Raises:
        UsageError: a part of an unknown schema; StorageError: a part that cannot be read.
    """
    return open_parts(fact.kind, fact.table.parts)


def _fact(table: TableList) -> FactTable:
    fact = dict(table.fact or {})
    if not fact and table.parts:  # the folder tells the id as well
        fact = {"id": storage.name(table.parts[0].rpartition("/")[0])}
    return FactTable(
        kind=table.kind,
        fact_id=str(fact.get("id", "")),
        name=str(fact.get("name", "")),
        about=fact.get("about", {}),
        table=table,
    )

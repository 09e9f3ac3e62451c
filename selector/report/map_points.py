"""The points of a map: places, keys, and every column that they can be coloured by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from selector.maps.make import originals_file
from selector.maps.strata import allocate, row_hash
from selector.report.map_columns import NOTHING, Categories, Column, column_of
from selector.report.source import Source
from selector.tables.facts import FactTable, fact_tables, find_fact
from selector.tables.read import open_filesystem
from shards import storage

MOST_POINTS = 50_000
"""Of the pool in one page; of a map with more, a sample by selection and class."""

MOST_FACT_COLUMNS = 12

LOCAL_BYTES, REMOTE_BYTES = 8_000_000_000, 300_000_000
"""Of image files read for the pictures of a map; further points have none."""

_SCORES = ("noise_value", "max_prob", "entropy", "margin")
_NO_COLOURS = ("features", "logits", "map")


@dataclass(frozen=True)
class Points:
    """What a map shows; the images of the pool first, then original images.

    Attributes:
        fact: the map; `about` tells how it was made.
        row_ids: (N,) -1 for original images.
        keys: (N,) text.
        places: (N, 2) float32.
        pictured: row_ids of the pool whose pictures are shown.
        longest: the longer side that nearly all of those have, pixels.
        originals: JPEGs of the original images, in order.
        columns: what colours them; the selection first.
        num_drawn: images of the pool that the map has; N may be fewer.
        unread: points without a picture because it would have cost too much to read.
    """

    fact: FactTable
    row_ids: npt.NDArray[np.int64]
    keys: list[str]
    places: npt.NDArray[np.float32]
    pictured: list[int]
    longest: int
    originals: list[bytes]
    columns: tuple[Column, ...]
    num_drawn: int
    unread: int


def gather_points(source: Source) -> Points | None:
    """None where the run has no map."""
    if not fact_tables(source.layout, "map"):
        return None
    fact = find_fact(source.layout, "map")
    rows = _rows(source)
    num_drawn = rows.num_rows
    if not num_drawn:
        return None
    rows = thin(rows, MOST_POINTS)
    own = _originals(source, fact)
    keys = rows["key"].to_pylist() + own["key"].to_pylist()
    places = [
        np.concatenate([table[axis].to_numpy().astype(np.float32) for table in (rows, own)])
        for axis in ("x", "y")
    ]
    pictured = _affordable(source, rows)
    return Points(
        fact=fact,
        row_ids=np.concatenate([rows["row_id"].to_numpy(), np.full(own.num_rows, -1)]),
        keys=keys,
        places=np.stack(places, axis=1),
        pictured=pictured["row_id"].to_pylist(),
        longest=_longest(pictured),
        originals=own["thumbnail"].to_pylist(),
        columns=tuple(_columns(source, rows, own.num_rows)),
        num_drawn=num_drawn,
        unread=rows.num_rows - pictured.num_rows,
    )


def thin(rows: pa.Table, most: int) -> pa.Table:
    """At most so many rows, by selection and class as the map itself was sampled."""
    if rows.num_rows <= most:
        return rows
    selected = rows["selected"].to_numpy(zero_copy_only=False).astype(np.int64)
    compared = rows["compared"].fill_null(False).to_numpy(zero_copy_only=False).astype(np.int64)
    strata = np.stack([selected + 2 * compared, rows["pseudo_label"].to_numpy()], axis=1)
    kinds, kind, counts = np.unique(strata, axis=0, return_inverse=True, return_counts=True)
    sizes = {(int(m), int(c)): int(n) for (m, c), n in zip(kinds, counts, strict=True)}
    wanted = allocate(sizes, most)
    hashes = row_hash(rows["row_id"].to_numpy(), 0)
    order = np.lexsort((hashes, kind.ravel()))
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    kept = [
        order[start : start + wanted[int(m), int(c)]]
        for (m, c), start in zip(kinds, first, strict=True)
    ]
    return rows.take(np.sort(np.concatenate(kept)))


def _rows(source: Source) -> pa.Table:
    """Drawn images of the pool, by row_id, with every column that may colour them."""
    facts = list(fact_columns(source))
    joins = " ".join(f'LEFT JOIN "{kind}" USING (row_id)' for kind in dict(facts))
    names = "".join(f', "{kind}"."{name}" AS "{kind}.{name}"' for kind, name in facts)
    return source.sql.sql(
        "SELECT j.row_id, j.shard_id, j.key, j.pseudo_label, j.selected, j.compared, j.num_bytes, "
        f"greatest(j.width, j.height) AS longest, {', '.join(f'j.{s}' for s in _SCORES)}, "
        f"m.x, m.y{names} FROM judged j JOIN map m USING (row_id) {joins} "
        "WHERE m.x IS NOT NULL ORDER BY j.row_id"
    ).to_arrow_table()


def fact_columns(source: Source) -> Iterator[tuple[str, str]]:
    """(kind, column) of the newest fact table of each kind, as far as there is room."""
    kinds = dict.fromkeys(fact.kind for fact in fact_tables(source.layout))
    found = [
        (kind, column)
        for kind in kinds
        if kind not in _NO_COLOURS
        for column, data_type in source.sql.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $kind "
            "ORDER BY column_index",
            {"kind": kind},
        ).fetchall()
        if column != "row_id" and data_type != "BLOB"
    ]
    yield from found[:MOST_FACT_COLUMNS]


def _columns(source: Source, rows: pa.Table, num_originals: int) -> Iterator[Column]:
    yield _selection(source, rows, num_originals)
    names = source.facts.class_names
    shown = [label for label in rows["pseudo_label"].unique().to_pylist() if label is not None]
    if len(shown) < NOTHING:
        at = {label: position for position, label in enumerate(sorted(shown))}
        codes = [NOTHING if c is None else at[c] for c in rows["pseudo_label"].to_pylist()]
        labels = tuple(names[label] for label in sorted(shown))
        yield _extended(Categories("class", np.array(codes, np.uint8), labels), num_originals)
    known = ("row_id", "shard_id", "key", "pseudo_label", "selected", "compared", "num_bytes",
             "longest", "x", "y")  # fmt: skip
    for name in rows.column_names:
        if name in known:
            continue
        values = rows[name]
        if name.endswith(".duplicate_of"):
            values = pa.chunked_array([values.is_valid()])
            kind = name.removesuffix(".duplicate_of").replace("_", " ")
            column = column_of(kind, values)
        else:
            column = column_of(name.replace("_", " ").replace(".", ": "), values)
        if column is not None:
            yield _extended(column, num_originals)


def _selection(source: Source, rows: pa.Table, num_originals: int) -> Categories:
    """In which selections a point is; or that it is an original image."""
    name, other = source.facts.selection, source.compare
    selected = rows["selected"].to_numpy(zero_copy_only=False)
    if other is None:
        names = ["not selected", name]
        codes = selected.astype(np.uint8)
    else:
        compared = rows["compared"].to_numpy(zero_copy_only=False).astype(bool)
        names = ["in neither", f"only in {name}", f"only in {other}", "in both"]
        codes = (selected + 2 * compared).astype(np.uint8)
    if num_originals:
        codes = np.concatenate([codes, np.full(num_originals, len(names), np.uint8)])
        names.append("original images")
    return Categories("selection", codes, tuple(names))


def _extended(column: Column, num_originals: int) -> Column:
    """The column with no value for each of the original images."""
    if isinstance(column, Categories):
        nothing = np.full(num_originals, NOTHING, np.uint8)
        return Categories(column.name, np.concatenate([column.codes, nothing]), column.names)
    nan = np.full(num_originals, np.nan, np.float32)
    values = np.concatenate([column.values, nan])
    return type(column)(column.name, values, column.low, column.high, column.log)


def _affordable(source: Source, rows: pa.Table) -> pa.Table:
    """Rows within reach whose images may be read; chosen by hash where they are too many bytes."""
    reach = pa.array(sorted(source.facts.reach), pa.int32())
    near = rows.filter(pa.compute.is_in(rows["shard_id"], reach))
    remote = any(not storage.is_local(uri) for uri in source.facts.shards["uri"].to_pylist())
    order = np.argsort(row_hash(near["row_id"].to_numpy(), 1), kind="stable")
    sizes = near["num_bytes"].fill_null(0).to_numpy()[order]
    within = np.cumsum(sizes) <= (REMOTE_BYTES if remote else LOCAL_BYTES)
    return near.take(np.sort(order[within]))


def _longest(rows: pa.Table) -> int:
    sides = rows["longest"].drop_null().to_numpy()
    return int(np.quantile(sides, 0.9, method="higher")) if len(sides) else 0


def _originals(source: Source, fact: FactTable) -> pa.Table:
    uri = originals_file(source.layout, fact)
    if uri is None:
        return pa.table(
            {
                "key": pa.array([], pa.string()),
                "x": pa.array([], pa.float32()),
                "y": pa.array([], pa.float32()),
                "thumbnail": pa.array([], pa.binary()),
            }
        )
    filesystem, path = open_filesystem(uri)
    return pq.read_table(path, filesystem=filesystem)

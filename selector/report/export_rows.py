"""Rows for other tools: the images of the map, or a sample where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from selector.maps.sample import draw_rows
from selector.report.map_points import fact_columns
from selector.report.pictures import read_images
from selector.report.source import Source
from selector.tables.facts import fact_tables
from shards.sample import Data

MOST_ROWS = 50_000
"""Without a map; a map says itself which images it draws."""

_SCORES = ("pseudo_label", "noise_value", "max_prob", "entropy", "margin", "width", "height")


def has_map(source: Source) -> bool:
    """Whether the run has a map."""
    return bool(fact_tables(source.layout, "map"))


def export_rows(source: Source) -> pa.Table:
    """Scored images by row_id.

    Returns:
        row_id, key, shard, class (its name), the scores, selected (and compared, where another
        selection is), every column of facts that is a number or a text as kind_column, and x, y
        where the run has a map: then its images, else at most `MOST_ROWS`, by selection and class.
        Besides shard_id, content_hash: to read the images.
    """
    facts = list(fact_columns(source))
    joins = " ".join(f'LEFT JOIN "{kind}" USING (row_id)' for kind in dict(facts))
    names = "".join(f', "{kind}"."{name}" AS "{kind}_{name}"' for kind, name in facts)
    compared = ", j.compared" if source.compare is not None else ""
    if has_map(source):
        chosen, places = "JOIN map m USING (row_id)", ", m.x, m.y"
        where = "WHERE m.x IS NOT NULL"
    else:
        selections = [s for s in (source.facts.selection, source.compare) if s is not None]
        drawn = draw_rows(source.sql, selections=selections, points=MOST_ROWS, seed=0)
        source.sql.register("export_rows", pa.table({"row_id": drawn}))
        chosen, places, where = "SEMI JOIN export_rows USING (row_id)", "", ""
    return source.sql.sql(
        "SELECT j.row_id, j.key, j.shard, c.name AS class, "
        f"{', '.join(f'j.{name}' for name in _SCORES)}, j.selected{compared}{places}{names}, "
        f"j.shard_id, j.content_hash FROM judged j {chosen} "
        f"LEFT JOIN classes c ON c.pseudo_label = j.pseudo_label {joins} {where} "
        "ORDER BY j.row_id"
    ).to_arrow_table()


def export_images(source: Source, rows: pa.Table) -> Iterator[tuple[int, Data | None]]:
    """(row_id, image bytes) of every row; None where the image cannot be read any more."""
    facts = source.facts
    uris = dict(
        zip(facts.shards["shard_id"].to_pylist(), facts.shards["uri"].to_pylist(), strict=True)
    )
    yield from read_images(facts.run, rows, uris=uris, image_ext=facts.origin.image_ext)

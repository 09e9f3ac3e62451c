"""Panel: images that are there twice, by grade: how many, the largest groups, the least alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from selector.report.album import Album
from selector.report.panel import Panel
from selector.report.source import Source
from selector.report.template import fill

GRADES = ("exact", "perceptual", "semantic")
NUM_GROUPS = 6
PER_GROUP = 8
NUM_PAIRS = 6


@dataclass(frozen=True)
class Group:
    """A kept image and images removed for it.

    Attributes:
        kept: its row_id.
        removed: the nearest of them first; not all of a large group.
        size: how many were removed for it.
    """

    kept: int
    removed: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class Pair:
    """A removed image and the kept one, of those that are hardly alike enough.

    `nearness` is a cosine for semantic duplicates, differing bits for perceptual ones.
    """

    kept: int
    removed: int
    nearness: float


@dataclass(frozen=True)
class Grade:
    """Duplicates of one grade.

    Attributes:
        num_removed: images for which another is kept; `num_selected` of them are in the selection.
        num_groups: kept images that have duplicates.
        farthest: none for exact duplicates.
    """

    name: str
    num_removed: int
    num_selected: int
    num_groups: int
    groups: tuple[Group, ...]
    farthest: tuple[Pair, ...]


def gather_duplicates(source: Source) -> tuple[Grade, ...] | None:
    """The newest table of each grade; None where there is none."""
    found = [_grade(source, grade) for grade in GRADES if source.has(f"duplicates_{grade}")]
    return tuple(found) or None


def _grade(source: Source, name: str) -> Grade:
    table = f"duplicates_{name}"
    removed, selected, groups = source.sql.sql(
        "SELECT count(*), count(*) FILTER (j.selected), count(DISTINCT d.duplicate_of) "
        f"FROM {table} d JOIN judged j USING (row_id) WHERE d.duplicate_of IS NOT NULL"
    ).fetchall()[0]
    nearness, nearest_first = _nearness(source, table)
    # Only pairs whose two images can be shown, so that a group is seen as one.
    source.sql.execute(
        "CREATE OR REPLACE TEMP TABLE pairs AS SELECT d.duplicate_of AS kept, d.row_id AS removed, "
        f"{nearness} AS nearness FROM {table} d "
        "SEMI JOIN reach a ON a.shard_id = d.row_id >> 32 "
        "SEMI JOIN reach b ON b.shard_id = d.duplicate_of >> 32 WHERE d.duplicate_of IS NOT NULL"
    )
    members = source.sql.execute(
        "SELECT kept, size, list(removed ORDER BY place) FROM (SELECT kept, removed, size, "
        "row_number() OVER "
        f"(PARTITION BY kept ORDER BY nearness {nearest_first}, removed) AS place "
        "FROM pairs JOIN (SELECT kept, count(*) AS size FROM pairs GROUP BY 1 "
        "ORDER BY 2 DESC, 1 LIMIT $groups) USING (kept)) "
        "WHERE place <= $members GROUP BY 1, 2 ORDER BY 2 DESC, 1",
        {"groups": NUM_GROUPS, "members": PER_GROUP},
    ).fetchall()
    farthest: list[tuple[int, int, float]] = []
    if nearness != "0":
        backwards = "ASC" if nearest_first == "DESC" else "DESC"
        farthest = source.sql.execute(
            f"SELECT kept, removed, nearness FROM pairs ORDER BY nearness {backwards}, removed "
            "LIMIT $pairs",
            {"pairs": NUM_PAIRS},
        ).fetchall()
    return Grade(
        name=name,
        num_removed=removed,
        num_selected=selected,
        num_groups=groups,
        groups=tuple(Group(kept, tuple(rows), size) for kept, size, rows in members),
        farthest=tuple(Pair(kept, row, float(near)) for kept, row, near in farthest),
    )


def _nearness(source: Source, table: str) -> tuple[str, str]:
    """SQL of how near two duplicates are, and which order has the nearest first."""
    names = [
        name
        for (name,) in source.sql.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = $table", {"table": table}
        ).fetchall()
    ]
    if "similarity" in names:
        return "d.similarity", "DESC"
    if "distance" in names:
        return "d.distance", "ASC"
    return "0", "ASC"


def duplicate_pictures(grades: tuple[Grade, ...]) -> Iterator[int]:
    """Both sides of every pair shown."""
    for grade in grades:
        for group in grade.groups:
            yield group.kept
            yield from group.removed
        for pair in grade.farthest:
            yield from (pair.kept, pair.removed)


def draw_duplicates(grades: tuple[Grade, ...], album: Album) -> Markup:
    """For each grade its groups, the kept image in front."""
    return fill("panels/duplicates.html", grades=grades, album=album)


PANEL = Panel("duplicates", "Duplicates", gather_duplicates, draw_duplicates, duplicate_pictures)

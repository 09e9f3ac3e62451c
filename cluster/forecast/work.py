"""What a call to `score` would have to do: shards, parts, sizes; nothing of it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster.ledger import Ledger
from cluster.pool_manifest import PoolState, compare, follow_moves, read_manifest
from cluster.runs import differences, read_config
from cluster.surveys import Divisions, SurveyTask, read_divisions, tasks_for
from selector.tables.layout import RunLayout
from shards.errors import UsageError
from shards.file_info import FileInfo
from shards.manifest import PoolManifest


@dataclass(frozen=True)
class Work:
    """What is to be done: shards, those that are divided already, and parts that are finished."""

    state: PoolState
    divisions: Divisions
    done: frozenset[str] = frozenset()


def find_work(
    layout: RunLayout | None, listing: Sequence[FileInfo], semantic: dict[str, Any]
) -> tuple[Work, dict[str, Any]]:
    """The work, and the choices that a run which was begun has stored."""
    if layout is None or (config := read_config(layout)) is None:
        return Work(compare(PoolManifest(), listing, {}), {}), {}
    told = list(differences(config["semantic"], semantic))
    if told:
        raise UsageError(
            f"{layout.root} was made with another configuration: {'; '.join(told)}; plan another "
            "--out, or ask for the stored configuration"
        )
    manifest, _ = follow_moves(read_manifest(layout), listing)
    done, divisions = Ledger(layout.ledger_dir).listing(), read_divisions(layout, manifest)
    state = compare(manifest, listing, done, divisions)
    finished = done.keys() - {marker.part for marker in state.mended}
    return Work(state, divisions, frozenset(finished)), config["execution"]


def part_sizes(work: Work, *, split_bytes: int, batch_size: int) -> list[int]:
    """Bytes of every part that is to be done; large shards are divided, as in the run."""
    sizes: list[int] = []
    for task in tasks_for(
        work.state.todo, work.divisions, work.done,
        run="", split_bytes=split_bytes, batch_size=batch_size,
    ):  # fmt: skip
        count = task.pieces if isinstance(task, SurveyTask) else 1
        sizes += [max(0, task.num_bytes) // count] * count
    return sizes

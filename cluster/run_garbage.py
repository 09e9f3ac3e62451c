"""What in a run's folder nobody needs any more: leftovers of the dead, and what is superseded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.ledger import Ledger
from selector.tables.facts import NOT_FACTS
from selector.tables.layout import RunLayout, parse_table_list
from selector.tables.read import newest_versions, read_table_list
from selector.tables.run_files import read_json
from shards import storage
from shards.file_info import FileInfo

QUIET_S = 3600.0
"""What was touched within the last hour may belong to a verb at work that takes no lock."""


@dataclass(frozen=True)
class Garbage:
    """A file that can go, and why."""

    uri: str
    num_bytes: int
    why: str


def find_garbage(layout: RunLayout, *, quiet_s: float = QUIET_S) -> list[Garbage]:
    """Everything in a run that is safe to remove once no driver works on it.

    Facts, selections that are whole, reports and the newest table lists always stay; so does a
    part that the ledger or the newest list of its table names.

    Args:
        quiet_s: Files younger than this are left alone.

    Raises:
        StorageError: the run cannot be listed, or a table list is damaged.
    """
    found = [*_superseded_lists(layout), *_superseded_parts(layout), *_leftovers(layout)]
    found += _unfinished_selections(layout)
    before = time.time() - quiet_s
    return [
        Garbage(info.uri, max(0, info.num_bytes), why)
        for info, why in sorted(found, key=lambda one: one[0].uri)
        if info.modified_s is not None and info.modified_s < before
    ]


def _superseded_lists(layout: RunLayout) -> Iterator[tuple[FileInfo, str]]:
    """Table lists of which a newer version exists; of facts, a newer one of the same id."""
    if not storage.exists(layout.tables_dir):
        return
    newest: dict[tuple[str, str], tuple[int, FileInfo]] = {}
    for info in storage.list_files(layout.tables_dir, suffix=".json"):
        parsed = parse_table_list(storage.name(info.uri))
        if parsed is None:
            continue
        kind, version = parsed
        table = (kind, "" if kind in NOT_FACTS else _fact_id(info.uri))
        known = newest.get(table)
        if known is None or known[0] < version:
            newest[table] = (version, info)
        older = known[1] if known and known[0] < version else info
        if known:
            yield older, "an older version of this table's list"


def _fact_id(uri: str) -> str:
    fact = read_json(uri, cure="restore it, or make the facts again").get("fact") or {}
    return str(fact.get("id", ""))


def _superseded_parts(layout: RunLayout) -> Iterator[tuple[FileInfo, str]]:
    """Parts of scores and members that neither the ledger nor the newest list names.

    Without any marker nothing is judged: then the ledger, not the parts, is what is missing.
    """
    done = Ledger(layout.ledger_dir).listing()
    versions = newest_versions(layout)
    if not done or not versions.keys() >= NOT_FACTS:
        return
    for kind, folder in (("scores", layout.scores_dir), ("members", layout.members_dir)):
        stems = [done[part].scores_name if kind == "scores" else part for part in done]
        named = {storage.join(folder, f"{stem}.parquet") for stem in stems}
        named |= set(read_table_list(layout, kind).parts)
        for info in storage.list_files(folder, suffix=".parquet"):
            if info.uri not in named:
                yield info, "no marker and no table names this part"


def _leftovers(layout: RunLayout) -> Iterator[tuple[FileInfo, str]]:
    """Temporary files of killed processes, and folders of plans that were cut off."""
    if storage.is_local(layout.root):
        root = Path(layout.root)
        for path in [*root.rglob(".*.tmp"), *root.glob(".plan-*/**/*")]:
            if path.is_file():
                yield storage.stat(str(path)), "left by a process that was killed"
        return
    for info in storage.list_files(layout.root, recursive=True):
        if info.uri[len(layout.root) + 1 :].startswith(".plan-"):
            yield info, "left by a plan that was cut off"


def _unfinished_selections(layout: RunLayout) -> Iterator[tuple[FileInfo, str]]:
    if not storage.exists(layout.selections_dir):
        return
    files = storage.list_files(layout.selections_dir, recursive=True)
    whole = {info.uri.rpartition("/")[0] for info in files if info.uri.endswith("/stats.json")}
    for info in files:
        if info.uri.rpartition("/")[0] not in whole:
            yield info, "of a selection that was never finished"

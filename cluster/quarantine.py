"""Parts that could not be done: one record each, kept until the part is done after all.

`run/quarantine/<part>.json` says where the bytes lie, what happened, and how often it was tried. A
later call lists these parts and tries them again.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cluster.outcomes import Quarantined
from cluster.provenance import now
from selector.tables.layout import RunLayout
from selector.tables.run_files import read_json
from shards import atomic, storage

if TYPE_CHECKING:
    from selector.scoring.task import ScoreTask


def folder(layout: RunLayout) -> str:
    return storage.join(layout.root, "quarantine")


def held_parts(layout: RunLayout) -> set[str]:
    """Names of the quarantined parts, from a listing alone."""
    if not storage.exists(folder(layout)):
        return set()
    files = storage.list_files(folder(layout), suffix=".json")
    return {storage.name(info.uri).removesuffix(".json") for info in files}


def record_of(outcome: Quarantined) -> dict[str, Any]:
    """What is known of a part that could not be done.

    `suspects` are the images that were being decoded when it last took a worker down: their index
    in the shard, and where their bytes lie in the tar.
    """
    task: ScoreTask | Any = outcome.task
    record: dict[str, Any] = {
        "part": task.name,
        "kind": outcome.failure.kind,
        "reason": outcome.failure.message,
        "traceback": outcome.failure.traceback,
        "tries": outcome.tries,
        "suspects": [asdict(crumb) for crumb in outcome.crumbs],
        "at": now(),
    }
    shard = getattr(task, "shard", None)
    if shard is not None:
        record |= {"uri": shard.uri, "num_bytes": shard.num_bytes, "etag": shard.etag}
        record |= {"start": getattr(task, "start", 0), "stop": getattr(task, "stop", None)}
    return record


def put(layout: RunLayout, outcome: Quarantined) -> None:
    """Keep the record of a part that could not be done."""
    data = json.dumps(record_of(outcome), indent=1, sort_keys=True).encode() + b"\n"
    atomic.write_bytes(storage.join(folder(layout), f"{outcome.task.name}.json"), data)


def release(layout: RunLayout, part: str) -> None:
    """It is done now."""
    storage.remove(storage.join(folder(layout), f"{part}.json"))


def records(layout: RunLayout) -> list[dict[str, Any]]:
    """Every record, in order of part name.

    Raises:
        StorageError: a record that is damaged.
    """
    cure = "remove it; the next score tries that part again anyway"
    return [
        read_json(storage.join(folder(layout), f"{part}.json"), cure=cure)
        for part in sorted(held_parts(layout))
    ]

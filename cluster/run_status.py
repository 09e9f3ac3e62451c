"""How far a run is, from its files alone: no driver is asked, so any machine may look.

What is read: the pool manifest, one listing of the ledger, the newest lock file, and the records of
what is in flight and what is quarantined. The cost is that of a listing; no table is opened.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cluster.ledger import Ledger
from cluster.marker_rate import FinishedPart, bytes_per_s
from cluster.pool_manifest import read_manifest
from cluster.run_lock import read_holder
from cluster.runs import read_config
from cluster.surveys import Divisions, pieces, read_divisions
from selector.tables.layout import RunLayout
from shards import storage
from shards.errors import StorageError, UsageError
from shards.manifest import PoolManifest


@dataclass(frozen=True)
class Driver:
    """Who works on a run, or did last.

    Attributes:
        alive: It holds the run now, as far as can be told from here.
        heartbeat_age_s: Seconds since its last sign of life; it gives one every ten.
    """

    host: str
    pid: int
    epoch: int
    alive: bool
    heartbeat_age_s: float


@dataclass(frozen=True)
class RunStatus:
    """A run as its files show it.

    Attributes:
        state: `running`, `stopped` (the same command continues it), `finished`, or `empty`
            (begun, no shard listed yet).
        shards, shards_done: Of the pool manifest; a shard counts when all of its parts are done.
        num_bytes, bytes_done: The same in bytes of input.
        parts_done: Finished parts.
        damaged: Parts whose shard breaks off.
        bytes_per_s: Input per second lately, None while unknown.
        left_s: Seconds to the end at that rate; None while unknown or not running.
        last_part_s: When the last part was finished, seconds since 1970.
        in_flight: What the driver wrote about its workers lately, {} if nothing.
        quarantined: Records of parts that could not be done: `uri`, `part`, `reason`, ...
    """

    run: str
    teacher: str
    state: str
    shards: int
    shards_done: int
    num_bytes: int
    bytes_done: int
    parts_done: int
    damaged: int
    bytes_per_s: float | None
    left_s: float | None
    last_part_s: float | None
    driver: Driver | None
    in_flight: dict[str, Any] = field(default_factory=dict)
    quarantined: list[dict[str, Any]] = field(default_factory=list)


def read_status(run: str) -> RunStatus:
    """Look at the run in the folder or URI `run`.

    Raises:
        UsageError: no run is there.
        StorageError: its files cannot be read, or are damaged.
    """
    layout = RunLayout(run)
    config = read_config(layout)
    if config is None:
        raise UsageError(
            f"{layout.root} holds no run; expected a folder made by `coursepack score`"
        )
    manifest, driver = read_manifest(layout), _driver(layout)
    alive = driver is not None and driver.alive
    done = _finished(layout, manifest)
    sizes = _done_by_shard(manifest, done, read_divisions(layout, manifest))
    parts = [FinishedPart(at_s, num_bytes) for at_s, num_bytes in sizes.times if at_s is not None]
    now = time.time()
    rate = bytes_per_s(parts, now_s=now if alive else None) if parts else None
    total = sum(entry.num_bytes for entry in manifest.entries)
    left = total - sizes.num_bytes
    finished = bool(manifest.entries) and sizes.shards == len(manifest.entries)
    ended = "finished" if finished else "stopped" if manifest.entries else "empty"
    return RunStatus(
        run=layout.root,
        teacher=str(config["semantic"].get("teacher", "")),
        state="running" if alive else ended,
        shards=len(manifest.entries),
        shards_done=sizes.shards,
        num_bytes=total,
        bytes_done=round(sizes.num_bytes),
        parts_done=len(done),
        damaged=sum(damaged for _, damaged in done.values()),
        bytes_per_s=rate,
        left_s=left / rate if alive and rate else None,
        last_part_s=max((part.at_s for part in parts), default=None),
        driver=driver,
        in_flight=_read_json(storage.join(layout.root, "in_flight.json")) or {},
        quarantined=_quarantined(layout),
    )


def _driver(layout: RunLayout) -> Driver | None:
    holder = read_holder(layout.lock)
    if holder is None:
        return None
    now = time.time()
    return Driver(
        host=holder.host.split("/")[0],
        pid=holder.pid,
        epoch=holder.epoch,
        alive=not holder.is_dead(now),
        heartbeat_age_s=max(0.0, now - holder.heartbeat),
    )


def _finished(layout: RunLayout, manifest: PoolManifest) -> dict[str, tuple[float | None, bool]]:
    """Finished part -> (when, damaged?), by one listing of the ledger."""
    if not manifest.entries or not storage.exists(layout.ledger_dir):
        return {}
    markers = Ledger(layout.ledger_dir).listing()
    files = {storage.name(info.uri): info for info in storage.list_files(layout.ledger_dir)}
    return {
        part: (info.modified_s if (info := files.get(marker.file_name)) else None, marker.damaged)
        for part, marker in markers.items()
    }


@dataclass(frozen=True)
class _Sizes:
    shards: int
    num_bytes: float
    times: list[tuple[float | None, float]]


def _done_by_shard(
    manifest: PoolManifest,
    done: dict[str, tuple[float | None, bool]],
    divisions: Divisions,
) -> _Sizes:
    """How many shards are done, how many bytes those parts stand for, and when each ended."""
    times = []
    parts: Counter[int] = Counter()
    for part, (at_s, _) in done.items():
        shard_id = int(part[:8])
        if shard_id < len(manifest.entries):
            parts[shard_id] += 1
            times.append((at_s, manifest.entries[shard_id].num_bytes / pieces(divisions, shard_id)))
    finished = sum(count >= pieces(divisions, shard_id) for shard_id, count in parts.items())
    return _Sizes(finished, sum(size for _, size in times), times)


def _quarantined(layout: RunLayout) -> list[dict[str, Any]]:
    folder = storage.join(layout.root, "quarantine")
    if not storage.exists(folder):
        return []
    found = [_read_json(info.uri) for info in storage.list_files(folder, suffix=".json")]
    return [record for record in found if record]


def _read_json(uri: str) -> dict[str, Any] | None:
    """A record that a driver may replace or remove at this very moment; None if it is not there."""
    try:
        content = json.loads(storage.read_bytes(uri))
    except (StorageError, ValueError):
        return None
    return content if isinstance(content, dict) else None

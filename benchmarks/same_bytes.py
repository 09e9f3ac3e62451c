"""Is a run the same bytes whatever carried it out, and whoever was killed on the way?

    python -m benchmarks.same_bytes POOL --teacher he/resnet20 --weights W.npz --work DIR

Scores the pool with 1, 2 and 4 local workers and Ray actors of one thread; again with every shard
larger than a third of the largest one in pieces; and twice more with a `kill -9` in mid-run: of a
worker, and of the driver, followed by the same command.

Prints one JSON line per run with the sha256 over all score and member parts, and over the rows of
both tables. Exit code 1 if the bytes of two runs differ that divide their shards alike, or the rows
of any two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa

from cluster.provenance import hardware, now, versions
from selector.tables.layout import RunLayout
from selector.tables.read import read
from shards import storage

ARMS = [
    "local:1", "local:2", "local:4", "ray:1", "ray:2", "ray:4", "local:2:worker", "local:2:driver",
    "local:1:split", "local:2:split", "local:4:split", "ray:1:split", "ray:2:split", "ray:4:split",
]  # fmt: skip
COMMAND = str(Path(sys.executable).with_name("coursepack"))


def digest(run: Path) -> str:
    """One sha256 over names and bytes of every part."""
    total = hashlib.sha256()
    for part in sorted([*(run / "scores").glob("*"), *(run / "members").glob("*")]):
        total.update(part.name.encode() + part.read_bytes())
    return total.hexdigest()


def rows_digest(run: Path) -> str:
    """One sha256 over the rows of both tables, wherever a part begins."""
    total = hashlib.sha256()
    for kind in ("scores", "members"):
        table = read(RunLayout(str(run)), kind)
        plain = pa.schema(
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in table.schema
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, plain) as writer:
            writer.write_table(table.cast(plain).combine_chunks())
        total.update(sink.getvalue())
    return total.hexdigest()


def split_bytes(pool: str) -> int:
    """A third of the largest shard."""
    return -(-max(info.num_bytes for info in storage.expand([pool])) // 3)


def markers(run: Path) -> int:
    return len(list((run / "ledger").glob("*.json")))


def start(
    options: argparse.Namespace, run: Path, executor: str, actors: int, split: int
) -> subprocess.Popen:
    return subprocess.Popen(
        [
            COMMAND, "score", options.pool, "--teacher", options.teacher, "--weights",
            options.weights, "--out", run, "--executor", executor, "--actors", str(actors),
            "--threads", "1", "--json", "--set", f"execution.split_bytes={split}",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"RAY_ADDRESS": "local"},  # a cluster of its own
    )  # fmt: skip


def wait_for(run: Path, parts: int, process: subprocess.Popen) -> None:
    while markers(run) < parts and process.poll() is None:
        time.sleep(0.05)


def measure(options: argparse.Namespace, executor: str, actors: int, kill: str) -> dict:
    run = Path(options.work) / f"{executor}-{actors}-{kill or 'whole'}"
    shutil.rmtree(run, ignore_errors=True)
    begun = time.monotonic()
    split = split_bytes(options.pool) if kill == "split" else 0
    process = start(options, run, executor, actors, split)
    at_kill = None
    if kill in ("worker", "driver"):
        wait_for(run, 2, process)
        at_kill = markers(run)
        victim = process.pid
        if kill == "worker":
            children = Path(f"/proc/{victim}/task/{victim}/children").read_text().split()
            victim = int(children[0])
        os.kill(victim, signal.SIGKILL)
    output, errors = process.communicate()
    if kill == "driver":
        process = start(options, run, executor, actors, split)
        output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(errors)
    report = json.loads(output)
    again = start(options, run, executor, 1, split)
    before = time.monotonic()
    idle = json.loads(again.communicate()[0])
    return {
        "benchmark": "same_bytes",
        "executor": executor,
        "actors": actors,
        "killed": kill if kill != "split" else "",
        "split_bytes": split,
        "parts": markers(run),
        "parts_at_kill": at_kill,
        "rows": report["rows"],
        "sha256": digest(run),
        "rows_sha256": rows_digest(run),
        "seconds": round(before - begun, 1),
        "again_parts_done": idle["parts_done"],
        "again_seconds": round(time.monotonic() - before, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--arms", nargs="+", default=ARMS, help="executor:workers[:split|victim]")
    options = parser.parse_args()
    seen: dict[int, set[str]] = {}
    rows = set()
    for arm in options.arms:
        executor, actors, *kill = arm.split(":")
        result = measure(options, executor, int(actors), kill[0] if kill else "")
        seen.setdefault(result["split_bytes"], set()).add(result["sha256"])
        rows.add(result["rows_sha256"])
        stamp = {"at": now(), "hardware": hardware(), "versions": versions()}
        print(json.dumps(result | stamp), flush=True)
    sys.exit(len(rows) != 1 or any(len(digests) != 1 for digests in seen.values()))


if __name__ == "__main__":
    main()

"""Is a run the same bytes whatever carried it out, and whoever was killed on the way?

    python -m benchmarks.same_bytes POOL --teacher he/resnet20 --weights W.npz --work DIR

Scores the pool with 1, 2 and 4 local workers and Ray actors of one thread, and twice more with a
`kill -9` in mid-run: of a worker, and of the driver, followed by the same command. Prints one JSON
line per run with the sha256 over all score and member parts; exit code 1 if any differs.
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

from cluster.provenance import hardware, now, versions

ARMS = [
    "local:1", "local:2", "local:4", "ray:1", "ray:2", "ray:4", "local:2:worker", "local:2:driver",
]  # fmt: skip
COMMAND = str(Path(sys.executable).with_name("coursepack"))


def digest(run: Path) -> str:
    """One sha256 over names and bytes of every part."""
    total = hashlib.sha256()
    for part in sorted([*(run / "scores").glob("*"), *(run / "members").glob("*")]):
        total.update(part.name.encode() + part.read_bytes())
    return total.hexdigest()


def markers(run: Path) -> int:
    return len(list((run / "ledger").glob("*.json")))


def start(options: argparse.Namespace, run: Path, executor: str, actors: int) -> subprocess.Popen:
    return subprocess.Popen(
        [
            COMMAND, "score", options.pool, "--teacher", options.teacher, "--weights",
            options.weights, "--out", run, "--executor", executor, "--actors", str(actors),
            "--threads", "1", "--json",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(run: Path, parts: int, process: subprocess.Popen) -> None:
    while markers(run) < parts and process.poll() is None:
        time.sleep(0.05)


def measure(options: argparse.Namespace, executor: str, actors: int, kill: str) -> dict:
    run = Path(options.work) / f"{executor}-{actors}-{kill or 'whole'}"
    shutil.rmtree(run, ignore_errors=True)
    begun = time.monotonic()
    process = start(options, run, executor, actors)
    at_kill = None
    if kill:
        wait_for(run, 2, process)
        at_kill = markers(run)
        victim = process.pid
        if kill == "worker":
            children = Path(f"/proc/{victim}/task/{victim}/children").read_text().split()
            victim = int(children[0])
        os.kill(victim, signal.SIGKILL)
    output, errors = process.communicate()
    if kill == "driver":
        process = start(options, run, executor, actors)
        output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(errors)
    report = json.loads(output)
    again = start(options, run, executor, 1)
    before = time.monotonic()
    idle = json.loads(again.communicate()[0])
    return {
        "benchmark": "same_bytes",
        "executor": executor,
        "actors": actors,
        "killed": kill,
        "parts_at_kill": at_kill,
        "rows": report["rows"],
        "sha256": digest(run),
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
    parser.add_argument("--arms", nargs="+", default=ARMS, help="executor:workers[:victim]")
    options = parser.parse_args()
    seen = set()
    for arm in options.arms:
        executor, actors, *kill = arm.split(":")
        result = measure(options, executor, int(actors), kill[0] if kill else "")
        seen.add(result["sha256"])
        stamp = {"at": now(), "hardware": hardware(), "versions": versions()}
        print(json.dumps(result | stamp), flush=True)
    sys.exit(len(seen) != 1)


if __name__ == "__main__":
    main()

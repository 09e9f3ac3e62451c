"""Does a run end, with the same bytes, whatever is killed while it goes on?

    python -m benchmarks.chaos --work DIR [--rounds 50] [--seed 0]

Scores a pool of 30 shards on a Ray cluster of three nodes once undisturbed. Then, in every round,
into a new run, while at random moments actors are killed or stopped, a whole node is killed and
replaced, the driver is killed (the same command is given again), and calls of the operating system
on the run's files fail. One image of the pool kills every process that decodes it.

A round is over when the command succeeds; its score and member parts must then be those of the
undisturbed run, byte by byte, and its table must hold every row once. Prints one JSON line per
round and one for all; exit code 1 if a row was lost or doubled, a byte differed, a round did not
end, or Ray's object store was used.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.disturbed_cluster import DisturbedCluster
from benchmarks.ray_store import store_use
from cluster.provenance import hardware, now, versions
from selector.tables.layout import RunLayout
from selector.tables.read import read
from tests.support.lethal import poison
from tests.support.pools import COMMAND, table_hashes, write_shard, write_teacher

SHARDS, IMAGES = 30, 40
FAULT_RATE = 0.01
MAX_CALLS = 20
HANG_S = 300.0
STORE_LIMIT = 50_000_000


@dataclass
class Round:
    """What was done to a run, and what became of it."""

    seed: int
    faults: bool
    struck: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    exit_codes: list[int] = field(default_factory=list)
    repeated: int = 0
    ended: bool = False
    same_bytes: bool = False
    rows_lost: int = 0
    rows_doubled: int = 0
    longest_pause_s: float = 0.0
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return self.ended and self.same_bytes and not self.rows_lost and not self.rows_doubled


@dataclass(frozen=True)
class Bench:
    """Where the pool, the teacher and the cluster are."""

    work: Path
    cluster: DisturbedCluster

    def start(self, run: Path, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [
                    COMMAND, "score", self.work / "pool", "--teacher", "lenet/5", "--weights",
                    self.work / "teacher.safetensors", "--out", run, "--address",
                    self.cluster.address, "--threads", "1", "--batch-size", "16", "--json",
                    "--set", "execution.stall_s=15", "--set", "execution.silence_s=15",
                ],
                stdout=output, stderr=output, env=self.cluster.environment,
            )  # fmt: skip


def markers(run: Path) -> int:
    return len(list((run / "ledger").glob("*.json")))


def plan(chance: random.Random) -> list[tuple[int, float, str]]:
    """Strikes of a round: (when so many shards are done, and so much later, what)."""
    kinds = ["actor"] * chance.randint(1, 3)
    kinds += ["node"] * (chance.random() < 0.35) + ["driver"] * (chance.random() < 0.4)
    kinds += ["stop"] * (chance.random() < 0.15)
    return sorted((chance.randrange(SHARDS - 4), chance.uniform(0, 0.3), kind) for kind in kinds)


def disturb(bench: Bench, seed: int, run: Path) -> Round:
    """Score into `run` until the command succeeds, and strike meanwhile."""
    chance = random.Random(seed)
    result = Round(seed, faults=run.name.startswith("faulty"))
    strikes = plan(chance)
    log = run.with_suffix(".log")
    begun = progressed = time.monotonic()
    seen = 0
    driver = bench.start(run, log)
    result.calls = 1

    def strike(kind: str) -> bool:
        if kind == "driver":
            driver.kill()
            return True
        if kind == "node":
            bench.cluster.kill_node(chance)
            return True
        how = signal.SIGKILL if kind == "actor" else signal.SIGSTOP
        return bench.cluster.kill_actor(chance, how=how)

    while result.calls <= MAX_CALLS and time.monotonic() - progressed < HANG_S:
        code = driver.poll()
        if code is not None:
            result.exit_codes.append(code)
            if code == 0:
                result.ended = True
                break
            driver = bench.start(run, log)
            result.calls += 1
        done = markers(run)
        if done > seen:
            result.longest_pause_s = max(result.longest_pause_s, time.monotonic() - progressed)
            seen, progressed = done, time.monotonic()
        if strikes and done >= strikes[0][0]:
            time.sleep(strikes[0][1])
            if strike(strikes[0][2]):
                result.struck[strikes.pop(0)[2]] += 1
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    result.seconds = time.monotonic() - begun
    result.repeated = log.read_text(errors="replace").count("goes round again")
    return result


def compare(result: Round, run: Path, undisturbed: Path) -> None:
    """Fill in what the table of a round lacks, has twice, or has otherwise."""
    expected, found = (
        read(RunLayout(str(place)), "scores", ["row_id"])["row_id"].to_numpy()
        for place in (undisturbed, run)
    )
    result.rows_lost = len(np.setdiff1d(expected, found))
    result.rows_doubled = len(found) - len(np.unique(found))
    result.same_bytes = table_hashes(run) == table_hashes(undisturbed)


def prepare(work: Path) -> None:
    """A pool of photographs' size with one lethal image, and a teacher with random weights."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "pool").mkdir(parents=True)
    for seed in range(SHARDS):
        shard = write_shard(work / "pool" / f"s-{seed:03d}.tar", images=IMAGES, seed=seed, size=480)
        if seed == SHARDS // 2:
            poison(shard, {17: "SEGV"})
    write_teacher(work / "teacher.safetensors", name="lenet/5")


def run_rounds(
    work: Path, rounds: int, seed: int, tell: Callable[[dict[str, object]], None]
) -> bool:
    """All of it; True if every round is good."""
    prepare(work)
    cluster = DisturbedCluster(nodes=2, faults=f"{FAULT_RATE}:{seed}:{work / 'faulty'}")
    bench = Bench(work, cluster)
    results: list[Round] = []
    spilled = created = 0
    try:
        whole = bench.start(work / "undisturbed", work / "undisturbed.log")
        if whole.wait(HANG_S):
            raise SystemExit((work / "undisturbed.log").read_text())
        for number in range(seed, seed + rounds):
            name = "faulty" if number % 2 else "round"
            run = work / f"{name}-{number:03d}"
            result = disturb(bench, number, run)
            if result.ended:
                compare(result, run, work / "undisturbed")
            results.append(result)
            use = store_use(cluster.address)
            spilled, created = max(spilled, use.spilled_bytes), max(created, use.created_bytes)
            tell({"benchmark": "chaos_round", **result.__dict__})
            if result.is_good:
                shutil.rmtree(run)
                run.with_suffix(".log").unlink()
    finally:
        cluster.close()
    struck: Counter[str] = sum((one.struck for one in results), Counter())
    tell(
        {
            "benchmark": "chaos",
            "rounds": rounds,
            "seeds": [seed, seed + rounds - 1],
            "ended": sum(one.ended for one in results),
            "same_bytes": sum(one.same_bytes for one in results),
            "rows_lost": sum(one.rows_lost for one in results),
            "rows_doubled": sum(one.rows_doubled for one in results),
            "kills": dict(struck),
            "rounds_with_storage_faults": sum(one.faults for one in results),
            "calls": sum(one.calls for one in results),
            "shards_repeated": sum(one.repeated for one in results),
            "longest_pause_s": round(max(one.longest_pause_s for one in results), 1),
            "seconds": round(sum(one.seconds for one in results), 1),
            "spilled_bytes": spilled,
            "object_store_created_bytes": created,
            "at": now(),
            "hardware": hardware(),
            "versions": versions(),
        }
    )
    return all(one.is_good for one in results) and not spilled and created < STORE_LIMIT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    good = run_rounds(
        options.work, options.rounds, options.seed, lambda line: print(json.dumps(line), flush=True)
    )
    sys.exit(not good)


if __name__ == "__main__":
    main()

"""coursepack against its peers: same pool, teacher, outputs and cores, in turns in one run.

    python -m benchmarks.peers --data $COURSEPACK_DATA --work DIR [--rounds 5] [--cases small ...]
        [--runtimes eager openvino]

Cases: `resnet18` and `stub` on full-size ImageNet JPEGs (110 KB; the sample is repeated under new
keys), `small` (64 x 64 JPEGs to 32 x 32, a network of LeNet's size). Contestants, each in a process
of its own: coursepack; webdataset + DataLoader; ImageFolder + DataLoader, on files that were
unpacked beforehand; Ray Data. All compute the noise value of every image with torchvision's stock
transform, in float32, and write Parquet; the rows of all are compared with coursepack's. The peers
run the network as eager PyTorch, as their own examples do, and so does coursepack, unless
--runtimes names others: each is a contestant.

Every contestant scores a small pool (a quarter) and a large one: what both take is start-up, and
the rate without it is that of the images that the large one has more. Prints one JSON line a case:
images per second with and without start-up, and for every peer how many times faster coursepack is:
the ratios of rounds, their median and its 95 % interval.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.dataset as ds
import torch
from safetensors.torch import save_file

from benchmarks.peers.job import Job, build
from cluster.provenance import hardware, now, usable_cores, versions
from cluster.speed.figures import median_interval
from shards import storage
from shards.reader import open_shard
from shards.writer import ShardWriter

OURS = "ours"
CASES = {
    "resnet18": ("torchvision/resnet18", 224, 8),
    "stub": ("stub", 224, 64),
    "small": ("lenet", 32, 64),
}
"""Teacher, side of its input, and the peers' batch size: the fastest on a CPU of 8 and 64."""

Rows = dict[str, tuple[int, float]]
"""key -> (pseudo-label, noise value)."""

PEERS = ("webdataset_loader", "image_folder", "ray_data")


def make_pool(case: str, data: Path, target: Path, *, images: int, per_shard: int) -> None:
    """Plain tars, and the same images as files in one class folder."""
    files = target / "files" / "all"
    files.mkdir(parents=True)
    originals = itertools.islice(_originals(case, data), images)
    with ShardWriter(str(target), max_count=per_shard) as writer:
        for number, content in enumerate(originals):
            key = f"{number:06d}"
            writer.write(key, {"jpg": content})
            (files / f"{key}.jpg").write_bytes(content)


def _originals(case: str, data: Path) -> Iterator[bytes]:
    """JPEGs, from the start again when they end."""
    folder = str(data / ("wild" if case == "small" else "imagenet_sample"))
    for info in itertools.cycle(storage.expand([folder])):
        with open_shard(info.uri) as shard:
            for sample in shard.samples():
                found = sample.image(("jpg", "jpeg"))
                if found is not None:
                    yield bytes(found[1])


class Contestant(NamedTuple):
    """Who scores.

    Attributes:
        program: its module in `benchmarks.peers`.
        runtime: of coursepack; the peers run eager PyTorch.
    """

    program: str
    runtime: str = "eager"

    @property
    def suffix(self) -> str:
        """What tells it from the same program with eager PyTorch."""
        return "" if self.runtime == "eager" else f"_{self.runtime}"

    @property
    def name(self) -> str:
        return self.program + self.suffix


def run(contestant: Contestant, job: Job, *, images: int) -> float:
    """Seconds of one contestant, in a process of its own, into an empty folder."""
    shutil.rmtree(job.out, ignore_errors=True)
    job = replace(job, runtime=contestant.runtime)
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.peers.{contestant.program}", job.to_json()],
        capture_output=True, text=True, env={**os.environ, "RAY_DATA_DISABLE_PROGRESS_BARS": "1"},
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{contestant.name} failed:\n{done.stderr[-3000:]}")
    found = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    if found["images"] != images:
        raise SystemExit(f"{contestant.name} scored {found['images']} of {images} images")
    return seconds


def rows_of(contestant: Contestant, out: str) -> Rows:
    """What a contestant wrote below `out`."""
    place = f"{out}/{contestant.name}" + ("/scores" if contestant.program == OURS else "")
    table = ds.dataset(place, format="parquet").to_table(
        columns=["key", "pseudo_label", "noise_value"]
    )
    rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    return {key: (label, value) for key, label, value in rows}


def agreement(
    ours: dict[str, tuple[int, float]], theirs: dict[str, tuple[int, float]]
) -> dict[str, float]:
    """How far rows of a peer are from ours; the same keys are required."""
    if ours.keys() != theirs.keys():
        raise SystemExit(f"{len(ours.keys() ^ theirs.keys())} keys are in one output alone")
    keys = sorted(ours)
    mine, other = (np.array([rows[key][1] for key in keys]) for rows in (ours, theirs))
    same = np.mean([ours[key][0] == theirs[key][0] for key in keys])
    relative = np.abs(mine - other) / np.maximum(np.abs(mine), 1e-6)
    return {"same_label": float(same), "largest_relative_difference": float(relative.max())}


def measure(
    small: Job,
    large: Job,
    *,
    sizes: tuple[int, int],
    rounds: int,
    ours: list[Contestant],
    peers: list[Contestant],
) -> dict[str, object]:
    """All contestants on a small and a large pool: what the small one takes too is start-up."""
    whole: dict[str, list[float]] = defaultdict(list)
    marginal: dict[str, list[float]] = defaultdict(list)
    agree: dict[str, dict[str, float]] = {}
    contestants = [*ours, *peers]
    for number in range(rounds):
        for contestant in contestants if number % 2 else reversed(contestants):
            one, other = (
                run(contestant, replace(job, out=f"{job.out}/{contestant.name}"), images=size)
                for job, size in zip((small, large), sizes, strict=True)
            )
            whole[contestant.name].append(other)
            marginal[contestant.name].append(other - one)
        if number == 0:
            first, *others = contestants
            mine = rows_of(first, large.out)
            agree = {one.name: agreement(mine, rows_of(one, large.out)) for one in others}
    return {
        "images": sizes[1],
        "agreement": agree,
        "with_start_up": summary(whole, sizes[1], ours, peers),
        "without_start_up": summary(marginal, sizes[1] - sizes[0], ours, peers),
    }


def summary(
    seconds: dict[str, list[float]], images: int, ours: list[Contestant], peers: list[Contestant]
) -> dict[str, object]:
    """Images/s of every contestant, and how many times faster than each peer coursepack is."""
    ratios: dict[str, dict[str, object]] = {}
    for one in ours:
        faster = ratios["times_faster" + one.suffix] = {}
        for peer in peers:
            rounds = zip(seconds[peer.name], seconds[one.name], strict=True)
            pairs = [theirs / mine for theirs, mine in rounds]
            low, high = median_interval(pairs)
            faster[peer.name] = {
                "ratio": round(float(np.median(pairs)), 2),
                "interval": [round(low, 2), round(high, 2)],
                "pairs": [round(pair, 2) for pair in pairs],
            }
    rates = {name: round(images / float(np.median(one)), 1) for name, one in seconds.items()}
    return {"images_per_s": rates, **ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--runtimes", nargs="+", default=["eager"], help="of coursepack")
    parser.add_argument("--images", type=int, help="of the large pool; 480, 2,400 or 48,000")
    options = parser.parse_args()
    for case in options.cases:
        teacher, side, batch_size = CASES[case]
        large = options.images or {"resnet18": 480, "stub": 2_400, "small": 48_000}[case]
        sizes = (large // 4, large)
        torch.manual_seed(0)
        state = build(teacher).state_dict()
        options.work.mkdir(parents=True, exist_ok=True)
        weights = str(options.work / f"{case}.safetensors")
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, weights)
        jobs = []
        for size in sizes:
            place = options.work / f"{case}-{size}"
            shutil.rmtree(place, ignore_errors=True)
            make_pool(case, options.data, place, images=size, per_shard=max(16, size // 8))
            shards = [str(path) for path in sorted(place.glob("*.tar"))]
            jobs.append(
                Job(
                    shards=shards, folder=str(place / "files"), teacher=teacher, weights=weights,
                    side=side, cores=usable_cores(), batch_size=batch_size,
                    runtime="eager", out=str(place / "out"),
                )
            )  # fmt: skip
        found = measure(
            *jobs, sizes=sizes, rounds=options.rounds,
            ours=[Contestant(OURS, runtime) for runtime in options.runtimes],
            peers=[Contestant(peer) for peer in options.peers],
        )  # fmt: skip
        line = {
            "benchmark": "peers", "case": case, "teacher": teacher, "rounds": options.rounds,
            "cores": usable_cores(), **found,
            "at": now(), "hardware": hardware(), "versions": versions(),
        }  # fmt: skip
        print(json.dumps(line), flush=True)
        for size in sizes:
            shutil.rmtree(options.work / f"{case}-{size}", ignore_errors=True)


if __name__ == "__main__":
    main()

"""What `coursepack plan` forecasts against what `coursepack score` then takes, on unlike pools.

    python -m benchmarks.plan_vs_fact --data $COURSEPACK_DATA --work /tmp/plan [--repeats 3]

Three pools: `wild` (64 x 64 JPEGs in compressed tars, he/resnet20: the model bounds), `imagenet`
(full-size JPEGs of 110 KB, the sample copied until it is a few hundred MB, torchvision/resnet18
with random weights: a large model), `digits` (28 x 28 PNGs in many small tars, lenet/5: what a part
costs by itself). Each repeat plans into a new run and scores into it at once, both as installed
commands; the forecast that `plan` left in the run is compared with the report of `score`.

One JSON line per repeat: forecast and fact of wall clock (start-up of the workers included), of
images, of the rate; of the work alone (`work_s`: the fact is the seconds that a worker spent inside
parts, on average, so an idle tail is not in it); the 90 % interval and whether the fact lies in it;
the load of the machine before and after, because a machine that others use meanwhile can keep no
promise.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.random_weights import write_random_weights
from cluster.provenance import hardware, now, versions

COMMAND = str(Path(sys.executable).with_name("coursepack"))


@dataclass(frozen=True)
class Case:
    """A pool and its teacher."""

    name: str
    teacher: str
    make_pool: Callable[[Path, Path, bool], None]
    num_classes: int
    weights: str = ""


def make_wild(data: Path, pool: Path, small: bool) -> None:
    shards = sorted((data / "wild").glob("*.tar.gz"))
    if not small:
        for shard in shards[:4]:
            shutil.copy(shard, pool)
        return
    with tarfile.open(shards[0]) as source:
        members = [member for member in source if member.isfile()][:6000]
        for number in range(4):
            with tarfile.open(pool / f"wild-{number}.tar.gz", "w:gz") as tar:
                for member in members[number * 1500 : (number + 1) * 1500]:
                    tar.addfile(member, source.extractfile(member))


def make_imagenet(data: Path, pool: Path, small: bool) -> None:
    for copy in range(1 if small else 6):
        for shard in sorted((data / "imagenet_sample").glob("*.tar")):
            shutil.copy(shard, pool / f"{shard.stem}-{copy}.tar")


def make_digits(data: Path, pool: Path, small: bool) -> None:
    found = next((data / "mnist").rglob("*train-images*"))
    opener = gzip.open if found.suffix == ".gz" else open
    with opener(found, "rb") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    for number, chunk in enumerate(np.split(pixels, 60)[: 15 if small else 60]):
        with tarfile.open(pool / f"digits-{number:03d}.tar", "w", tarfile.USTAR_FORMAT) as tar:
            for index, image in enumerate(chunk):
                buffer = BytesIO()
                Image.fromarray(image).save(buffer, "PNG")
                info = tarfile.TarInfo(f"{number:03d}-{index:04d}.png")
                info.size = buffer.tell()
                buffer.seek(0)
                tar.addfile(info, buffer)


CASES = (
    Case("wild", "he/resnet20", make_wild, 10, "weights/*20*.npz"),
    Case("imagenet", "torchvision/resnet18", make_imagenet, 1000),
    Case("digits", "lenet/5", make_digits, 10),
)


def weights_of(case: Case, data: Path, work: Path) -> Path:
    if case.weights:
        return next(data.glob(case.weights))
    path = work / f"{case.name}.safetensors"
    return write_random_weights(path, case.teacher, num_classes=case.num_classes)


def call(verb: str, *arguments: object) -> dict:
    words = [COMMAND, verb, *map(str, arguments), "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return json.loads(done.stdout)


def measure(case: Case, pool: Path, weights: Path, run: Path, seconds: float) -> dict:
    shutil.rmtree(run, ignore_errors=True)
    asked = [pool, "--teacher", case.teacher, "--weights", weights, "--out", run, "--actors", "2",
             "--threads", "1"]  # fmt: skip
    load = os.getloadavg()[0]
    plan = call("plan", *asked, "--seconds", seconds)
    load_between = os.getloadavg()[0]
    report = call("score", *asked)
    compared = report["forecast"]
    low, high = compared["wall_s_interval"]
    written = [path.stat().st_size for path in run.glob("*/*.parquet")]
    return {
        "benchmark": "plan_vs_fact",
        "pool": case.name,
        "teacher": case.teacher,
        "shards": plan["shards"],
        "bound_by": plan["bound_by"],
        "probe_s": plan["probe_s"],
        "startup_s": plan["startup_s"],
        **{name: compared[name] for name in ("wall_s", "images", "images_per_s")},
        "work_s": {
            "forecast": plan["estimate"]["work_s"]["value"],
            "fact": report["throughput"]["busy_s"] / report["throughput"]["workers"],
        },
        "wall_s_interval": [low, high],
        "inside_interval": low <= compared["wall_s"]["fact"] <= high,
        "within_20_percent": abs(compared["wall_s"]["ratio"] - 1) <= 0.2,
        "written_bytes": {
            "forecast": plan["estimate"]["written_bytes"]["value"],
            "fact": sum(written),
        },
        "load_before_plan": load,
        "load_before_score": load_between,
        "load_after": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="probing time of a worker")
    parser.add_argument("--small", action="store_true", help="pools of a few thousand images")
    parser.add_argument("--cases", nargs="+", default=[case.name for case in CASES])
    options = parser.parse_args()
    for case in CASES:
        if case.name not in options.cases:
            continue
        pool = options.work / f"{case.name}-pool"
        if not pool.exists():
            pool.mkdir(parents=True)
            case.make_pool(options.data, pool, options.small)
        weights = weights_of(case, options.data, options.work)
        for _ in range(options.repeats):
            result = measure(case, pool, weights, options.work / "run", options.seconds)
            result["small"] = options.small
            stamp = {"at": now(), "hardware": hardware(), "versions": versions()}
            print(json.dumps(result | stamp), flush=True)


if __name__ == "__main__":
    main()

"""What do stage features cost a run? Paired runs with and without, on the same images.

    python -m benchmarks.features_cost POOL --teacher torchvision/resnet34 --side 64 --work DIR

Scores the first images of the pool with random weights, which cost what trained ones do, inline
with one thread; `--pairs` times with and without `--features`, in turn, the order within a pair
alternating, after one pair that is not counted. Prints one JSON line: ratio of wall time and of
processor time of the whole `score` call (the teacher loaded and traced in it), each as the median
of the pairs with a 95 % bootstrap interval, and the bytes that the features take. On a machine that
others use too, processor time is the one to go by.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tarfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from cluster import score
from cluster.execution import ExecutionConfig
from cluster.provenance import hardware, now, versions
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.teachers.spec import TeacherSpec
from selector.teachers.zoo import build_model
from shards import storage
from shards.reader import open_shard


def first_images(pool: str, count: int, target: Path) -> None:
    """The first `count` images of a pool as one tar."""
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        written = 0
        for info in storage.expand([pool]):
            with open_shard(info.uri) as shard:
                for sample in shard.samples():
                    found = sample.image()
                    if found is None or written == count:
                        continue
                    member = tarfile.TarInfo(f"{written:06d}.{found[0].extension}")
                    member.size = len(found[1])
                    tar.addfile(member, io.BytesIO(bytes(found[1])))
                    written += 1
            if written == count:
                return


def measure(shard: Path, spec: ScoreSpec, out: Path, mode: str | None) -> dict[str, float]:
    """Wall and processor seconds of one call."""
    shutil.rmtree(out, ignore_errors=True)
    execution = ExecutionConfig(executor="inline", threads=1)
    features = None if mode is None else FeatureSpec(mode=mode)
    wall, cpu = time.perf_counter(), time.process_time()
    report = score([str(shard)], spec=spec, out=str(out), execution=execution, features=features)
    result = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "parts_s": report.throughput.busy_s,
    }
    if report.features is not None:
        parts = (out / "facts" / "features").rglob("*.parquet")
        result["dim"] = report.features["dim"]
        result["bytes_per_image"] = sum(p.stat().st_size for p in parts) / report.rows
    return result


def interval(ratios: np.ndarray) -> list[float]:
    """95 % bootstrap interval of the median."""
    rng = np.random.default_rng(0)
    drawn = np.median(rng.choice(ratios, (10_000, len(ratios))), axis=1)
    return [round(float(q), 4) for q in np.quantile(drawn, (0.025, 0.975))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--side", type=int, help="input side; the teacher's own if not given")
    parser.add_argument("--mode", default="full")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--work", required=True)
    options = parser.parse_args()
    work = Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = build_model(options.teacher, num_classes=10)
    weights = work / "random.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, weights)
    size = None
    if options.side:
        size = {"resize": options.side, "resize_mode": "squash", "crop": options.side}
    teacher = TeacherSpec(name=options.teacher, weights=str(weights), preprocessing=size)
    spec = ScoreSpec(teacher=teacher)
    shard = work / "pool.tar"
    first_images(options.pool, options.images, shard)
    pairs = []
    for number in range(options.pairs + 1):
        arms = [None, options.mode] if number % 2 else [options.mode, None]
        taken = {mode: measure(shard, spec, work / "run", mode) for mode in arms}
        if number:
            pairs.append((taken[None], taken[options.mode]))
    result = {
        "benchmark": "features_cost",
        "teacher": options.teacher,
        "side": options.side,
        "mode": options.mode,
        "dim": pairs[0][1]["dim"],
        "images": options.images,
        "pairs": len(pairs),
        "bytes_per_image": round(pairs[0][1]["bytes_per_image"], 1),
    }
    for name in ("wall_s", "cpu_s", "parts_s"):
        base = np.array([plain[name] for plain, _ in pairs])
        more = np.array([featured[name] for _, featured in pairs])
        result[f"{name}_without"] = round(float(np.median(base)), 3)
        result[f"{name}_ratio"] = round(float(np.median(more / base)), 4)
        result[f"{name}_ratio_interval"] = interval(more / base)
    extra = np.median([f["cpu_s"] - plain["cpu_s"] for plain, f in pairs])
    result["extra_cpu_us_per_image"] = round(1e6 * float(extra) / options.images, 1)
    stamp = {"at": now(), "hardware": hardware(), "versions": versions()}
    print(json.dumps(result | stamp), flush=True)


if __name__ == "__main__":
    main()

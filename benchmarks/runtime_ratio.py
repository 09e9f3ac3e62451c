"""The engine with each runtime against the engine with eager PyTorch, on the same shard.

    python -m benchmarks.runtime_ratio --shard POOL.tar [--teachers he/resnet20 cifar/resnet18]
        [--runtimes openvino openvino-bf16] [--images 4096] [--pairs 7] [--threads 1]
    python -m benchmarks.runtime_ratio --shard POOL.tar --teachers he/resnet20 --weights T.npz

Teachers have random weights: their speed is that of trained ones. How far a runtime agrees with
eager is better asked of a trained one, given by --weights for a single teacher. Every pair scores
the same images with eager and with one other runtime, one right after the other and in turns first,
in one process; both were warmed up. Prints one JSON line for each teacher and runtime: images/s,
the ratio of every pair, their median, the 95 % interval of the median (from the order statistics of
the pairs), and what `--runtime auto` would have chosen. Reading, decoding, hashing and writing are
in all figures.

A line `bare_model` compares, in one thread and without images, every runtime with `stock`: the
network as it comes from its library, run by PyTorch as it is. coursepack's own eager runtime is
faster than that already: it folds batch norms and keeps channels last.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.random_weights import write_random_weights
from cluster.provenance import hardware, now, versions
from cluster.speed.figures import median_interval
from selector.scoring.shard_scorer import ShardScorer
from selector.scoring.spec import ScoreSpec
from selector.scoring.task import ScoreTask
from selector.tables.layout import RunLayout
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.open_runtime import RUNTIMES, open_runtime, why_not
from selector.teachers.probe_runtimes import CANDIDATES, probe_runtimes
from selector.teachers.runtime import made_up_pixels
from selector.teachers.spec import RuntimeName, TeacherSpec
from shards import storage
from shards.manifest import ShardEntry


def score_once(scorer: ShardScorer, shard: ShardEntry, images: int, run: str) -> float:
    """Images/s of one part."""
    task = ScoreTask(shard=shard, start=0, stop=images, run=run)
    begin = perf_counter()
    result = scorer.score(task)
    return result.counters["images"] / (perf_counter() - begin)


def compare(
    teacher: str, name: RuntimeName, shard: ShardEntry, options: argparse.Namespace, work: Path
) -> dict[str, object]:
    """All pairs of one teacher and one runtime."""
    spec = TeacherSpec(name=teacher, weights=weights_of(teacher, options, work))
    runs = {one: str(work / f"{teacher.replace('/', '-')}-{one}") for one in ("eager", name)}
    scorers: dict[str, ShardScorer] = {}
    for one in runs:
        scorers[one] = ShardScorer(
            ScoreSpec(teacher=spec, runtime=one),  # type: ignore[arg-type]  # a RuntimeName
            batch_size=64,
            threads=options.threads,
        )
    for one, scorer in scorers.items():
        score_once(scorer, shard, min(512, options.images), runs[one] + "-warm")
    rates: dict[str, list[float]] = {one: [] for one in runs}
    for pair in range(options.pairs):
        order = list(runs) if pair % 2 else list(reversed(runs))
        for one in order:
            rates[one].append(
                score_once(scorers[one], shard, options.images, f"{runs[one]}-{pair}")
            )
    ratios = [fast / slow for fast, slow in zip(rates[name], rates["eager"], strict=True)]
    low, high = median_interval(ratios)
    values = [noise_values(f"{runs[one]}-0") for one in runs]
    for scorer in scorers.values():
        scorer.close()
    return {
        "images_per_s": {one: round(statistics.median(rates[one]), 1) for one in runs},
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio": round(statistics.median(ratios), 3),
        "interval": [round(low, 3), round(high, 3)],
        "noise_value_rank_correlation": round(float(spearmanr(*values).statistic), 6),
        "overlap_of_lowest_quarter": round(overlap(values[0], values[1]), 4),
    }


def weights_of(teacher: str, options: argparse.Namespace, work: Path) -> str:
    """Those of --weights, else random ones, the same at every call."""
    if options.weights:
        return str(options.weights)
    path = work / f"{teacher.replace('/', '-')}.safetensors"
    return str(write_random_weights(path, teacher, num_classes=10))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Share of the quarter of lowest noise value that both have."""
    most = len(one) // 4
    both = set(np.argsort(one, kind="stable")[:most]) & set(np.argsort(other, kind="stable")[:most])
    return len(both) / most


def bare(teacher: Teacher, *, pairs: int, batch_size: int = 64) -> dict[str, object]:
    """Each runtime against the network as it is: images/s of one thread, and ratios of pairs."""
    pixels = made_up_pixels(teacher, num_images=batch_size)
    arms: dict[str, Callable[[Tensor], Tensor]] = {"stock": teacher.logits}
    for name in CANDIDATES["cpu"]:
        if not why_not(name, teacher):
            arms[name] = open_runtime(name, teacher, batch_size=batch_size)
    rates: dict[str, list[float]] = {name: [] for name in arms}
    with torch.inference_mode():
        for pair in range(-2, pairs):  # two rounds to warm up
            for name in sorted(arms, reverse=bool(pair % 2)):
                begin = perf_counter()
                for _ in range(3):
                    arms[name](pixels)
                if pair >= 0:
                    rates[name].append(3 * batch_size / (perf_counter() - begin))
    ratios = {
        name: [one / stock for one, stock in zip(found, rates["stock"], strict=True)]
        for name, found in rates.items()
    }
    return {
        "images_per_s": {name: round(statistics.median(rates[name]), 1) for name in arms},
        "ratio_to_stock": {name: round(statistics.median(ratios[name]), 3) for name in arms},
        "interval": {
            name: [round(bound, 3) for bound in median_interval(ratios[name])] for name in arms
        },
        "pairs": pairs,
    }


def noise_values(run: str) -> np.ndarray:
    """Of the one part of a run that has no table list."""
    (part,) = Path(RunLayout(run).scores_dir).glob("*.parquet")
    return np.asarray(pq.read_table(part)["noise_value"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shard", required=True)
    parser.add_argument("--teachers", nargs="+", default=["he/resnet20", "cifar/resnet18"])
    parser.add_argument(
        "--runtimes", nargs="*", default=["onnxruntime", "openvino", "openvino-bf16"]
    )
    parser.add_argument("--weights", type=Path, help="of the one teacher that is named")
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    (info,) = storage.expand([options.shard])
    shard = ShardEntry(0, info.uri, info.num_bytes, info.etag)
    with tempfile.TemporaryDirectory() as folder:
        for teacher in options.teachers:
            weights = weights_of(teacher, options, Path(folder))
            loaded = load_teacher(TeacherSpec(name=teacher, weights=weights))
            probed = probe_runtimes(loaded, device="cpu", batch_size=64, seconds=2.0)
            line = {
                "benchmark": "runtime_ratio",
                "what": "bare_model",
                "teacher": teacher,
                **bare(loaded, pairs=options.pairs),
                "probe": probed.reason,
                "at": now(),
                "hardware": hardware(),
                "versions": versions(),
            }
            print(json.dumps(line), flush=True)
            for name in options.runtimes:
                assert name in RUNTIMES
                if reason := why_not(name, loaded):
                    print(
                        json.dumps({"benchmark": "runtime_ratio", "runtime": name, "not": reason})
                    )
                    continue
                found = compare(teacher, name, shard, options, Path(folder))
                line = {
                    "benchmark": "runtime_ratio",
                    "what": "engine",
                    "teacher": teacher,
                    "runtime": name,
                    "is_the_choice_of_auto": probed.fastest == name,
                    "probe": probed.reason,
                    "images": options.images,
                    "threads": options.threads,
                    **found,
                    "at": now(),
                    "hardware": hardware(),
                    "versions": versions(),
                }
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

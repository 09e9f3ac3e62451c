"""What do stage features cost a run? The same part scored with and without them, in pairs.

    python -m benchmarks.features_cost POOL --teacher torchvision/resnet34 --side 64 --work DIR

Two shard scorers with one thread are opened on random weights, which cost what trained ones do:
one with features, one without. They score the first images of the pool in turn, the order within a
pair alternating, after one pair that is not counted. Prints one JSON line: ratio of processor time
and of wall time of a part, from its first byte read to its last file in place, as the median of the
pairs with a 95 % bootstrap interval; the seconds that opening takes longer, once per worker; and
the bytes that the features take. On a machine that others use too, processor time is the one to go
by.
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
import pyarrow.parquet as pq

from benchmarks.random_weights import write_random_weights
from cluster.provenance import hardware, now, versions
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import KIND, FeaturePlan, choose_taps, make_feature_plan
from selector.scoring.pca import fit_pca
from selector.scoring.shard_scorer import ScoreTask, ShardScorer
from selector.scoring.spec import ScoreSpec
from selector.tables.vectors import decode_vectors
from selector.teachers.load import load_teacher
from selector.teachers.runtime import EagerRuntime
from selector.teachers.spec import TeacherSpec
from shards import storage
from shards.manifest import ShardEntry
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


def measure(scorer: ShardScorer, shard: Path, out: Path) -> dict[str, float]:
    """Wall and processor seconds of one part."""
    shutil.rmtree(out, ignore_errors=True)
    entry = ShardEntry(0, str(shard), shard.stat().st_size, "")
    wall, cpu = time.perf_counter(), time.process_time()
    result = scorer.score(ScoreTask(entry, run=str(out)))
    taken = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    if len(result.paths) == 3:
        size = Path(result.paths[2]).stat().st_size
        taken["bytes_per_image"] = size / result.counters["images"]
    return taken


def open_scorer(spec: ScoreSpec, plan: FeaturePlan | None) -> tuple[ShardScorer, float]:
    """An opened scorer and the processor seconds that it took."""
    begin = time.process_time()
    return ShardScorer(spec, batch_size=64, threads=1, features=plan), time.process_time() - begin


def make_plan(spec: ScoreSpec, mode: str, shard: Path, work: Path) -> FeaturePlan:
    """Features in full, or components fitted on the images themselves."""
    teacher, wish = load_teacher(spec.teacher_spec), FeatureSpec(mode=mode)
    taps = choose_taps(wish, teacher)
    runtime = EagerRuntime(teacher, taps=taps)
    plan = make_feature_plan(teacher, runtime, taps)
    if wish.pca_dim is None:
        return plan
    with ShardScorer(spec, batch_size=64, threads=1, features=plan) as scorer:
        entry = ShardEntry(0, str(shard), shard.stat().st_size, "")
        paths = scorer.score(ScoreTask(entry, run=str(work / "fit"))).paths
    values, valid = decode_vectors(pq.read_table(paths[2])[KIND])
    return make_feature_plan(teacher, runtime, taps, pca=fit_pca(values[valid], wish.pca_dim))


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
    weights = write_random_weights(work / "random.safetensors", options.teacher, num_classes=10)
    size = None
    if options.side:
        size = {"resize": options.side, "resize_mode": "squash", "crop": options.side}
    teacher = TeacherSpec(name=options.teacher, weights=str(weights), preprocessing=size)
    spec = ScoreSpec(teacher=teacher)
    shard = work / "pool.tar"
    first_images(options.pool, options.images, shard)
    plan = make_plan(spec, options.mode, shard, work)
    for warm_up in (None, plan):
        open_scorer(spec, warm_up)[0].close()
    plain, plain_open_s = open_scorer(spec, None)
    more, more_open_s = open_scorer(spec, plan)
    arms, pairs = [plain, more], []
    for number in range(options.pairs + 1):
        order = arms if number % 2 else arms[::-1]
        taken = {scorer: measure(scorer, shard, work / "run") for scorer in order}
        if number:
            pairs.append((taken[plain], taken[more]))
    for scorer in arms:
        scorer.close()
    result = {
        "benchmark": "features_cost",
        "teacher": options.teacher,
        "side": options.side,
        "mode": options.mode,
        "dim": plan.dim,
        "images": options.images,
        "pairs": len(pairs),
        "bytes_per_image": round(pairs[0][1]["bytes_per_image"], 1),
        "open_cpu_s_more": round(more_open_s - plain_open_s, 2),
    }
    for name in ("cpu_s", "wall_s"):
        base = np.array([without[name] for without, _ in pairs])
        featured = np.array([with_them[name] for _, with_them in pairs])
        result[f"{name}_without"] = round(float(np.median(base)), 3)
        result[f"{name}_ratio"] = round(float(np.median(featured / base)), 4)
        result[f"{name}_ratio_interval"] = interval(featured / base)
    stamp = {"at": now(), "hardware": hardware(), "versions": versions()}
    print(json.dumps(result | stamp), flush=True)


if __name__ == "__main__":
    main()

"""Does the memory of a scoring worker grow with the pool? Peaks over 1,000 to 40,000 images.

    python -m benchmarks.peak_rss --data DIR --work DIR [--features full] [--views ten]
        [--form shards|one_tar] [--sizes 1000 5000 10000 20000 40000]

DIR holds wild/ (40,000 images in 8 .tar.gz) and weights/ (a CIFAR-10 ResNet-20). Every size is
scored by a driver and a worker of its own, one thread each, whose peaks are read from /proc while
they run: VmHWM (all resident pages, those of mapped files included), and the most of RssAnon (what
cannot be dropped) and of RssFile. `shards`: the pool as it is, a part a shard; the first 1,000
images are a shard of their own. `one_tar`: the same images in one uncompressed tar, which the
worker maps.

Appends one JSON line to benchmarks/results/peak_rss.jsonl: the points in MB, and for worker and
driver the least-squares slope in MB per 1,000 images, from 5,000 images on: what is loaded once
(libraries, the teacher, a row group of the tables) is paid for by then.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cluster.provenance import commit, hardware, now, versions
from shards import storage
from shards.reader import open_shard

RESULTS = Path(__file__).parent / "results" / "peak_rss.jsonl"
SIZES = (1_000, 5_000, 10_000, 20_000, 40_000)
SETTLED = 5_000
_EVERY_S = 0.02


class Watch:
    """Peaks of this process and of the one child it has, in MB, until it is told to stop."""

    def __init__(self) -> None:
        self.peaks: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, float]:
        self._stop.set()
        self._thread.join()
        return self.peaks

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._look("driver", "self")
            for task in Path("/proc/self/task").iterdir():
                for child in _read(task / "children").split():
                    # Others are short: a driver asks git which commit it is.
                    if "cluster.local_worker" in _read(Path("/proc", child, "cmdline")):
                        self._look("worker", child)

    def _look(self, name: str, process: str) -> None:
        lines = dict(
            line.split(":", 1)
            for line in _read(Path("/proc", process, "status")).splitlines()
            if ":" in line
        )
        for key, label in (("VmHWM", "peak"), ("RssAnon", "anonymous"), ("RssFile", "of_files")):
            if key in lines:
                found = int(lines[key].split()[0]) / 1024
                place = f"{name}_{label}_mb"
                self.peaks[place] = max(self.peaks.get(place, 0.0), round(found, 1))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended meanwhile
        return ""


def score_once(options: argparse.Namespace) -> dict[str, float]:
    """Score the pool given, in this process as the driver; its peaks and its worker's."""
    from cluster import score
    from cluster.execution import ExecutionConfig
    from selector.scoring.feature_spec import FeatureSpec
    from selector.scoring.spec import ScoreSpec
    from selector.teachers.spec import TeacherSpec

    weights = str(options.data / "weights" / "resnet20_cifar10.npz")
    watch = Watch()
    report = score(
        options.pool,
        spec=ScoreSpec(
            teacher=TeacherSpec(name="he/resnet20", weights=weights), views=options.views
        ),
        out=str(options.work / "run"),
        execution=ExecutionConfig(actors=1, threads=1, device="cpu"),
        features=None if options.features == "none" else FeatureSpec(mode=options.features),
    )
    return {"images": report.rows, **watch.stop()}


def members(shards: list[str], count: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of all files of the first `count` samples."""
    left = count
    for uri in shards:
        if not left:
            return
        with open_shard(uri) as shard:
            for sample in shard.samples(stop=left):
                left -= 1
                for member, data in zip(sample.entry.members, sample.data, strict=True):
                    yield member.name, bytes(data)


def write_tar(path: Path, shards: list[str], count: int, *, mode: str) -> str:
    """The first `count` samples of a pool as one tar; kept if it is there."""
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with tarfile.open(unfinished, mode, format=tarfile.USTAR_FORMAT) as tar:  # type: ignore[call-overload]
            for name, data in members(shards, count):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        unfinished.rename(path)
    return str(path)


def pool_of(size: int, options: argparse.Namespace) -> list[str]:
    """Shards of `size` images."""
    shards = [info.uri for info in storage.expand([str(options.data / "wild")])]
    if options.form == "one_tar":
        return [write_tar(options.work / f"{size}.tar", shards, size, mode="w")]
    if size % 5_000:
        return [write_tar(options.work / f"{size}.tar.gz", shards, size, mode="w:gz")]
    return shards[: size // 5_000]


def measure(size: int, options: argparse.Namespace) -> dict[str, float]:
    """A driver of its own for this size."""
    run = options.work / "run"
    subprocess.run(["rm", "-rf", str(run)], check=True)
    words = ["--data", options.data, "--work", options.work, "--features", options.features]
    words += ["--views", options.views, "--pool", *pool_of(size, options)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peak_rss", *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    assert found["images"] == size
    return found


def slope(points: list[dict[str, float]], name: str) -> float | None:
    """MB per 1,000 images by least squares, where two settled points are there."""
    settled = [point for point in points if point["images"] >= SETTLED]
    if len(settled) < 2:
        return None
    thousands = np.array([point["images"] for point in settled]) / 1000
    return round(float(np.polyfit(thousands, [point[name] for point in settled], 1)[0]), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--features", default="none", help="none, full or pca:D")
    parser.add_argument("--views", default="one")
    parser.add_argument("--form", choices=("shards", "one_tar"), default="shards")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--pool", nargs="+", help=argparse.SUPPRESS)  # of one driver
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.pool:
        print(json.dumps(score_once(options)))
        return
    points = []
    for size in options.sizes:
        points.append(measure(size, options))
        print(json.dumps(points[-1]), file=sys.stderr, flush=True)
    names = ("worker_peak_mb", "worker_anonymous_mb", "driver_peak_mb")
    result: dict[str, Any] = {
        "benchmark": "peak_rss",
        "teacher": "he/resnet20",
        "features": options.features,
        "views": options.views,
        "form": options.form,
        "points": points,
        "mb_per_1000_images": {name.removesuffix("_mb"): slope(points, name) for name in names},
        "at": now(),
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
    }
    print(json.dumps(result))
    with options.results.open("a") as file:
        file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

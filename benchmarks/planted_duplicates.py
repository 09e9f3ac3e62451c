"""Planted duplicates: what each grade finds of them, and what it removes wrongly, at the defaults.

    python -m benchmarks.planted_duplicates --wild DIR --work DIR --teacher he/resnet20 \\
        --weights W.npz [--taps layer3] [--images 40000] [--originals 2000] [--seed 0]

DIR holds a Tiny-ImageNet pool (.tar.gz of .jpg). Of `images` of them `originals` are drawn and come
back seven times: re-encoded, resized, cropped, flipped, recoloured, overlaid, and as the same bytes
(`planted_edits`). The pool is scored with the teacher and its features, and every grade of
`coursepack duplicates` runs at its defaults. One JSON line a grade:

- recall by edit: of the pairs (original, edit) the share for which one and the same image stays;
- false: images removed in favour of one that they have nothing to do with, and examples;
- guarantee: over every removed row, from the table alone: it names a kept row within the limit;
- same: the same images are removed with 1 and 4 threads; and from the same facts with the shards
  in another order: every row has another row_id then, and another place.

Semantic also gets a curve: at several cosines the share of pairs (original, edit) that are at least
as near, and of 1,000 unrelated images the share that some other image is as near to.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tarfile
import time
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.planted_edits import EDITS
from cluster.execution import ExecutionConfig
from cluster.provenance import hardware, now, versions
from cluster.verbs.duplicates import duplicates
from cluster.verbs.score import score
from selector.neighbors.duplicates import Request, find_duplicates, pool_hashes
from selector.neighbors.hamming import distance
from selector.neighbors.unit import cosine, unit
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.tables.connection import run_tables
from selector.tables.facts import find_fact, iter_vectors, open_fact, write_fact_table
from selector.tables.layout import RunLayout
from selector.tables.read import read, read_table_list
from selector.tables.write import write_part, write_table_list
from selector.teachers.spec import TeacherSpec

PER_SHARD = 6000


def wild_images(folder: str, start: int, count: int) -> list[tuple[str, bytes]]:
    """`(key, JPEG)` of images start .. start + count - 1 of the pool."""
    found: list[tuple[str, bytes]] = []
    skipped = 0
    for path in sorted(Path(folder).glob("*.tar.gz")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg"):
                    if skipped < start:
                        skipped += 1
                        continue
                    file = tar.extractfile(member)
                    assert file is not None
                    found.append((Path(member.name).stem, file.read()))
                    if len(found) == count:
                        return found
    return found


def plant(options: argparse.Namespace, pool: Path) -> None:
    """Write the pool's shards: images and edits in one seeded shuffle."""
    images = wild_images(options.wild, options.start, options.images)
    rng = np.random.default_rng(options.seed)
    chosen = rng.choice(len(images), options.originals, replace=False)
    samples = [(f"{key}--original", data) for key, data in images]
    for number in chosen.tolist():
        key, data = images[number]
        samples += [(f"{key}--{name}", edit(data, rng)) for name, edit in EDITS.items()]
    order = rng.permutation(len(samples))
    pool.mkdir(parents=True)
    for shard, start in enumerate(range(0, len(order), PER_SHARD)):
        with tarfile.open(
            pool / f"planted-{shard:03d}.tar", "w", format=tarfile.USTAR_FORMAT
        ) as tar:
            for at in order[start : start + PER_SHARD].tolist():
                info = tarfile.TarInfo(f"{samples[at][0]}.jpg")
                info.size = len(samples[at][1])
                tar.addfile(info, io.BytesIO(samples[at][1]))


def scored(options: argparse.Namespace, pool: Path, run: str) -> float:
    """Score the pool; seconds."""
    spec = ScoreSpec(teacher=TeacherSpec(name=options.teacher, weights=options.weights))
    taps = tuple(options.taps.split(",")) if options.taps else None
    started = time.monotonic()
    score(
        [str(pool)],
        spec=spec,
        out=run,
        execution=ExecutionConfig(actors=1, device="cpu"),
        features=FeatureSpec(mode="full", taps=taps),
    )
    return time.monotonic() - started


def turn(run: RunLayout, turned: RunLayout) -> None:
    """The facts of a run as if its shards had been listed the other way round."""
    last = max(int(Path(part).name.split("-")[0]) for part in read_table_list(run, "scores").parts)
    features = find_fact(run, "features")

    def rewritten(part: str, to: str) -> None:
        table = pq.read_table(part)
        row_ids = table["row_id"].to_numpy()
        columns = {"row_id": (last - (row_ids >> 32) << 32) | (row_ids & 0xFFFFFFFF)}
        if "shard_id" in table.column_names:
            columns["shard_id"] = last - table["shard_id"].to_numpy()
        for name, values in columns.items():
            at = table.column_names.index(name)
            field = table.schema.field(name)
            table = table.set_column(at, field, pa.array(values).cast(field.type))
        write_part(to, table)

    scores, vectors = [], []
    for part in read_table_list(run, "scores").parts:
        shard, start = Path(part).stem.split("-")
        stem = f"{last - int(shard):08d}-{start}"
        scores.append(turned.scores_part(stem))
        vectors.append(turned.facts_part("features", features.fact_id, stem))
        rewritten(part, scores[-1])
        rewritten(run.facts_part("features", features.fact_id, Path(part).stem), vectors[-1])
    for name in ("pool.parquet", "provenance.json"):
        Path(turned.root, name).write_bytes(Path(run.root, name).read_bytes())
    write_table_list(turned, "scores", scores)
    about = dict(features.about)
    write_fact_table(turned, "features", features.fact_id, vectors, about=about)


class Pool:
    """Who is who in a scored pool."""

    def __init__(self, layout: RunLayout) -> None:
        self.layout = layout
        scores = read(layout, "scores", ["row_id", "key", "content_hash"])
        self.row_ids = scores["row_id"].to_numpy()
        self.hashes = scores["content_hash"].to_pylist()
        names = [key.split("--") for key in scores["key"].to_pylist()]
        self.original = [name for name, _ in names]
        self.edit = [edit for _, edit in names]
        self.keys = dict(zip(self.row_ids.tolist(), scores["key"].to_pylist(), strict=True))
        self.at = {row_id: number for number, row_id in enumerate(self.row_ids.tolist())}

    def recall(self, keeper: dict[int, int]) -> dict[str, float]:
        """By edit: pairs (original, edit) for which one image stays, the same for both."""

        def stands_for(row: int) -> int:
            return keeper.get(int(self.row_ids[row]), int(self.row_ids[row]))

        first = {n: row for row, n in enumerate(self.original) if self.edit[row] == "original"}
        hits: dict[str, list[bool]] = {name: [] for name in EDITS}
        for row, name in enumerate(self.edit):
            if name != "original":
                hits[name].append(stands_for(row) == stands_for(first[self.original[row]]))
        return {name: round(float(np.mean(found)), 4) for name, found in hits.items()}

    def false(self, keeper: dict[int, int]) -> list[tuple[int, int]]:
        """Removed in favour of a stranger."""
        return [
            (row_id, by)
            for row_id, by in keeper.items()
            if self.original[self.at[row_id]] != self.original[self.at[by]]
        ]


def check_guarantee(pool: Pool, grade: str, keeper: dict[int, int], about: dict) -> bool:
    """From the tables as they are stored, in float64 and by whole numbers."""
    removed = np.array([pool.at[row_id] for row_id in keeper], np.int64)
    kept = np.array([pool.at[row_id] for row_id in keeper.values()], np.int64)
    if set(keeper.values()) & set(keeper):
        return False
    if grade == "exact":
        return all(pool.hashes[a] == pool.hashes[b] for a, b in zip(removed, kept, strict=True))
    if grade == "perceptual":
        phash, _ = pool_hashes(run_tables(pool.layout), pool.row_ids)
        return bool((distance(phash[removed], phash[kept]) <= about["radius"]).all())
    chunks = list(iter_vectors(find_fact(pool.layout, "features", about["features"])))
    vectors = np.concatenate([chunk.vectors for chunk in chunks])
    near = cosine(vectors[removed], vectors[kept])
    return bool((near >= 1 - about["epsilon"]).all())


def similarity_curve(pool: Pool) -> list[dict]:
    """What other values of epsilon would find, and what they would confuse."""
    chunks = list(iter_vectors(find_fact(pool.layout, "features")))
    units = unit(np.concatenate([chunk.vectors for chunk in chunks]))
    first = {n: row for row, n in enumerate(pool.original) if pool.edit[row] == "original"}
    originals = np.array(list(first.values()))
    near = np.array(
        [units[row] @ units[first[name]] for row, name in enumerate(pool.original)], np.float32
    )
    sample = originals[np.linspace(0, len(originals) - 1, 1000).astype(int)]
    similar = units[sample] @ units[originals].T
    similar[sample[:, None] == originals] = -1
    edits = np.array(pool.edit)
    return [
        {
            "cosine": least,
            **{name: round(float((near[edits == name] >= least).mean()), 4) for name in EDITS},
            "unrelated": round(float((similar.max(axis=1) >= least).mean()), 4),
        }
        for least in (0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999)
    ]


def removed_keys(pool: Pool, threads: int, grade: str) -> dict[str, str]:
    """Removed key -> key that stays, found anew without the stored table."""
    features = find_fact(pool.layout, "features") if grade == "semantic" else None
    found = find_duplicates(
        pool.layout,
        run_tables(pool.layout),
        Request(grade),  # type: ignore[arg-type]
        features=features,
        threads=threads,
    )
    pairs = zip(found.removed.row_ids.tolist(), found.removed.duplicate_of.tolist(), strict=True)
    return {pool.keys[row_id]: pool.keys[by] for row_id, by in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wild", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--taps")
    parser.add_argument("--start", type=int, default=0, help="skip so many images of the pool")
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--originals", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epsilon", type=float, help="in place of the default")
    options = parser.parse_args()
    work = Path(options.work)
    if not (work / "pool").exists():
        plant(options, work / "pool")
    score_s = scored(options, work / "pool", str(work / "run"))
    pool = Pool(RunLayout(str(work / "run")))
    turned = RunLayout(str(work / "turned"))
    shutil.rmtree(turned.root, ignore_errors=True)
    turn(pool.layout, turned)
    other = Pool(turned)
    for grade in ("exact", "perceptual", "semantic"):
        epsilon = options.epsilon if grade == "semantic" else None
        started = time.monotonic()
        report = duplicates(pool.layout.root, grade=grade, threads=2, epsilon=epsilon)
        seconds = time.monotonic() - started
        table = open_fact(find_fact(pool.layout, report.kind, report.id)).to_table()
        pairs = zip(table["row_id"].to_pylist(), table["duplicate_of"].to_pylist(), strict=True)
        keeper = {row_id: by for row_id, by in pairs if by is not None}
        false = pool.false(keeper)
        found = {pool.keys[row_id]: pool.keys[by] for row_id, by in keeper.items()}
        result = {
            "benchmark": "planted_duplicates",
            "grade": grade,
            "teacher": options.teacher,
            "taps": options.taps,
            "images": options.images,
            "originals": options.originals,
            "rows": len(pool.row_ids),
            "seed": options.seed,
            "removed": report.removed,
            "recall": pool.recall(keeper),
            "false": len(false),
            "false_share_of_pool": round(len(false) / len(pool.row_ids), 5),
            "false_examples": [[pool.keys[a], pool.keys[b]] for a, b in false[:10]],
            "guarantee": check_guarantee(pool, grade, keeper, dict(report.about)),
            "about": dict(report.about),
            "seconds": round(seconds, 2),
            "score_s": round(score_s, 1),
        }
        if grade == "semantic":
            result["curve"] = similarity_curve(pool)
        if epsilon is None:
            result["same_threads_1_and_4"] = all(
                removed_keys(pool, threads, grade) == found for threads in (1, 4)
            )
            result["same_shards_turned_round"] = removed_keys(other, 2, grade) == found
        versions_now = {**versions(), "faiss": faiss.__version__}
        result |= {"at": now(), "hardware": hardware(), "versions": versions_now}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()

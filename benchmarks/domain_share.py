"""How much of a selection belongs to the teacher's own classes?

    python -m benchmarks.domain_share RUN [--n 10000]

The run must have scored, with a CIFAR-10 teacher, a Tiny-ImageNet pool whose samples carry a .json
with "synset". That ground truth is read for this figure alone. Prints one JSON line: the share of
on-domain images in the pool, in the n lowest noise values, in a per-class quota of n / 10, and in
three random selections of the same size.
"""

from __future__ import annotations

import argparse
import json

import pyarrow.parquet as pq

from cluster.pool_manifest import read_manifest
from cluster.provenance import hardware, now, versions
from selector.selection import select
from selector.tables.layout import RunLayout
from selector.tables.schema import row_id
from shards import storage
from shards.reader import open_shard

ON_DOMAIN = {
    "bird": "n01855672 n02002724 n02056570 n02058221",
    "cat": "n02123045 n02123394 n02124075",
    "dog": "n02085620 n02094433 n02099601 n02099712 n02106662 n02113799",
    "frog": "n01641577 n01644900",
    "automobile": "n02814533 n03100240 n03670208 n04285008",
    "ship": "n03447447 n03662601",
    "truck": "n03796401 n03977966",
}
"""Synsets of the pool that are a class of CIFAR-10; it has no airplane, deer or horse."""

CIFAR10_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def class_of_synset() -> dict[str, int]:
    """Synset -> number of its CIFAR-10 class, for those that have one."""
    return {
        synset: CIFAR10_NAMES.index(name)
        for name, synsets in ON_DOMAIN.items()
        for synset in synsets.split()
    }


def true_synsets(layout: RunLayout) -> dict[int, str]:
    """row_id -> synset, from the samples' .json members."""
    truth: dict[int, str] = {}
    for entry in read_manifest(layout).entries:
        with open_shard(entry.uri) as shard:
            for sample in shard.samples():
                for member, data in zip(sample.entry.members, sample.data, strict=True):
                    if member.extension == "json":
                        synset = json.loads(bytes(data))["synset"]
                        truth[row_id(entry.shard_id, sample.entry.index)] = synset
    return truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--n", type=int, default=10_000)
    options = parser.parse_args()
    layout = RunLayout(options.run)
    truth = true_synsets(layout)
    on_domain = {synset for synsets in ON_DOMAIN.values() for synset in synsets.split()}

    def share(recipe: object, name: str, n: int | None = None) -> float:
        selection = select(options.run, recipe, name, n=n, overwrite=True)  # type: ignore[arg-type]
        uri = storage.join(selection.path, "selection.parquet")
        rows = pq.read_table(uri, columns=["row_id"])["row_id"].to_pylist()
        return round(sum(truth[row] in on_domain for row in rows) / len(rows), 4)

    random = [
        share({"steps": [{"sample": {"n": options.n, "seed": seed}}]}, f"bench-random-{seed}")
        for seed in range(3)
    ]
    result = {
        "benchmark": "domain_share",
        "n": options.n,
        "pool": round(sum(synset in on_domain for synset in truth.values()) / len(truth), 4),
        "dfnd": share("dfnd", "bench-dfnd", options.n),
        "dfnd_quota": share("dfnd-quota", "bench-dfnd-quota", options.n // 10),
        "random": random,
        "at": now(),
        "hardware": hardware(),
        "versions": versions(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

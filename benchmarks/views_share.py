"""Does averaging over several views select better? Share of on-domain images, from one view to ten.

    python -m benchmarks.views_share --data DIR --work DIR [--n 10000] [--shards 8]

DIR holds wild/ (the Tiny-ImageNet pool, whose samples carry a .json with "synset") and weights/ (a
CIFAR-10 ResNet-20). The teacher's logits of all ten views of every image are computed once, with
the crops and the runtime of the product, and kept in the work folder, shard by shard. From them
every choice of views is scored as the product scores it, and, for comparison, by the mean of
log-probabilities. Prints one JSON line: for each, the share of on-domain images among the n lowest
noise values and in a quota of n / 10 a class; how many of the n differ from those of one view; how
often views agree; and how many noise values are exactly 0. The ground truth is read for these
figures alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.domain_share import ON_DOMAIN
from cluster.provenance import commit, hardware, now, versions
from selector.scores.average import log_mean_probability
from selector.scores.uncertainty import scores_from_logits
from selector.teachers.load import load_teacher
from selector.teachers.runtime import EagerRuntime
from selector.teachers.spec import TeacherSpec
from selector.teachers.views import VIEWS, crop_stack
from shards import storage
from shards.decode import decode
from shards.reader import open_shard

BATCH = 64
FIRST_OF = {"one": [0], "flip": [0, 1], "five": [0, 2, 4, 6, 8], "ten": list(range(10))}
"""Columns of the ten views: each crop is followed by its mirror image."""


def pictures(uri: str) -> Iterator[tuple[npt.NDArray[np.uint8], str]]:
    """Pixels and synset of the images of a shard."""
    with open_shard(uri) as shard:
        for sample in shard.samples():
            found = sample.image()
            assert found is not None
            told = next(
                data
                for member, data in zip(sample.entry.members, sample.data, strict=True)
                if member.extension == "json"
            )
            yield decode(found[1]), json.loads(bytes(told))["synset"]


@torch.inference_mode()
def logits_of_views(uri: str, weights: str) -> tuple[npt.NDArray[np.float32], list[str]]:
    """(N, 10 views, 10 classes), and N synsets."""
    torch.set_num_threads(1)
    teacher = load_teacher(TeacherSpec(name="he/resnet20", weights=weights))
    runtime = EagerRuntime(teacher)
    found: list[npt.NDArray[np.float32]] = []
    synsets: list[str] = []
    waiting: list[npt.NDArray[np.uint8]] = []

    def flush() -> None:
        crops = crop_stack(teacher.preprocessing, VIEWS["ten"].crops, np.stack(waiting))
        views = []
        for crop_NHWC in crops:
            batch = torch.from_numpy(np.ascontiguousarray(crop_NHWC)).permute(0, 3, 1, 2)
            views += [runtime(batch), runtime(batch.flip(dims=(3,)))]
        found.append(torch.stack(views, dim=1).numpy())
        waiting.clear()

    for pixels, synset in pictures(uri):
        waiting.append(pixels)
        synsets.append(synset)
        if len(waiting) == BATCH:
            flush()
    if waiting:
        flush()
    return np.concatenate(found), synsets


def mean_log_probability(logits: list[torch.Tensor]) -> torch.Tensor:
    """The other way to average, for comparison: a geometric mean, up to its scale."""
    return torch.stack([one.double().log_softmax(1) for one in logits]).mean(0)


def quota(noise: npt.NDArray[np.float64], label: npt.NDArray[np.int64], n: int) -> list[int]:
    """The n lowest of every class."""
    chosen: list[int] = []
    for one in range(10):
        rows = np.flatnonzero(label == one)
        chosen += rows[np.argsort(noise[rows], kind="stable")[:n]].tolist()
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--shards", type=int, help="the first so many; all if not given")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    weights = str(options.data / "weights" / "resnet20_cifar10.npz")
    known = {synset for synsets in ON_DOMAIN.values() for synset in synsets.split()}
    logits_of_shards, on_domain_of_shards = [], []
    for info in storage.expand([str(options.data / "wild")])[: options.shards]:
        kept = options.work / f"{storage.name(info.uri)}.npz"
        if not kept.exists():
            logits, synsets = logits_of_views(info.uri, weights)
            np.savez(kept, logits=logits, synsets=np.array(synsets))
            print(f"{kept} is there", file=sys.stderr, flush=True)
        with np.load(kept) as stored:
            logits_of_shards.append(stored["logits"])
            on_domain_of_shards.append([synset in known for synset in stored["synsets"]])
    views = torch.from_numpy(np.concatenate(logits_of_shards))
    on_domain = np.concatenate(on_domain_of_shards)
    arms = {name: (views[:, columns], log_mean_probability) for name, columns in FIRST_OF.items()}
    arms["ten, mean of logs"] = (views, mean_log_probability)
    lowest: dict[str, set[int]] = {}
    result = {}
    for name, (chosen, average) in arms.items():
        scores = scores_from_logits(average(list(chosen.unbind(1))))
        noise, label = scores.noise_value.numpy(), scores.pseudo_label.numpy()
        rows = np.argsort(noise, kind="stable")[: options.n]
        lowest[name] = set(rows.tolist())
        agree = (chosen.argmax(2).numpy() == label[:, None]).mean(1)
        of_classes = quota(noise, label, options.n // 10)
        result[name] = {
            "on_domain": round(float(on_domain[rows].mean()), 4),
            "on_domain_quota": round(float(on_domain[of_classes].mean()), 4),
            "quota_rows": len(of_classes),
            "differ_from_one": len(lowest[name] - lowest["one"]),
            "agreement": round(float(agree.mean()), 4),
            "agreement_lowest": round(float(agree[rows].mean()), 4),
            "cut": float(noise[rows[-1]]),
            "exact_zeros": int((noise == 0).sum()),
            "classes_lowest": np.bincount(label[rows], minlength=10).tolist(),
        }
    told = {
        "benchmark": "views_share",
        "images": len(on_domain),
        "n": options.n,
        "pool": round(float(on_domain.mean()), 4),
        "views": result,
        "at": now(),
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()

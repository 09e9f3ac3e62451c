"""CIFAR-10 images hidden in a wild pool: how well does a PU classifier find them?

    python -m benchmarks.pu_cifar --work /tmp/pu_cifar [--shares 0.05,0.2,0.5] [--seeds 0,1]
    python -m benchmarks.pu_cifar --summary

The pool is the 40,000 wild images of COURSEPACK_DATA plus CIFAR-10 training images, so many that
they are 0.05, 0.2 and 0.5 of it: one run whose pool grows twice. 1,000 others (100 a class, drawn
by the seed) are labelled. Teacher: ResNet-20; head mode on its 112 stage features, and at the share
0.2 on 64 principal components of them as well (128 there are not). Settings are the defaults, which
were chosen by held-out labelled images and pool alone, on another draw.

Per share and seed, against the truth that an image is from CIFAR-10: average precision of the PU
score, of the noise value and of a random order; precision and recall of the PU selection (F > 0),
and of as many images by noise value and at random; the prior as estimated, and what the paper's
deviation would give; the error of pu_prob and of sigmoid(F) as probabilities. Wild images of
classes that CIFAR-10 has too (dogs, cats, cars) count as negatives; `precision_with_wild` counts
them as positives. The prior is estimated, and given as it is for comparison. Appends one JSON line
per share and seed to benchmarks/results/pu_cifar.jsonl; `--summary` prints means and deviations of
those.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.cifar_data import (
    CifarImages,
    all_training,
    data_folder,
    encode_png,
    write_cifar,
)
from benchmarks.domain_share import ON_DOMAIN, true_synsets
from benchmarks.mnist_data import append_result, write_samples
from cluster import pu_fit, query, score, truth
from cluster.execution import ExecutionConfig
from cluster.provenance import hardware, now, versions
from selector.against_truth import average_precision
from selector.pu.calibrate import calibration_error
from selector.pu.crossfit import crossfitted_ranks
from selector.pu.labelled import read_labelled
from selector.pu.pool_rows import FeatureRows
from selector.pu.prior import estimate_prior
from selector.pu.settings import make_settings
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.positives import open_extractor
from selector.scoring.spec import ScoreSpec
from selector.tables.facts import find_fact
from selector.tables.layout import RunLayout
from selector.teachers.spec import TeacherSpec

RESULTS = Path(__file__).parent / "results" / "pu_cifar.jsonl"
PER_CLASS, NUM_WILD = 100, 40_000
SHARES = (0.05, 0.2, 0.5)
PCA_SHARE, PCA = 0.2, "pca:64"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--shares", default=",".join(map(str, SHARES)))
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    if options.summary:
        lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
        for share in SHARES:
            print(share, json.dumps(means([one for one in lines if one["share"] == share])))
        return
    for share in map(float, options.shares.split(",")):
        run = scored_pool(options.work, SHARES.index(share))
        known = true_positives(run)
        for seed in map(int, options.seeds.split(",")):
            result = {
                "benchmark": "pu_cifar",
                "share": share,
                "pool": len(known["row_id"]),
                "labelled": 10 * PER_CLASS,
                **one_seed(options.work, run, share, seed, known),
                "at": now(),
                "hardware": hardware(),
                "versions": versions(),
            }
            append_result(RESULTS, result)


def scored_pool(work: Path, step: int) -> str:
    """The run with scores, features and truth of the pool of one share."""
    hidden, begin = hidden_images(), 0
    pool = [str(data_folder() / "wild")]
    for share in SHARES[: step + 1]:
        end = round(share / (1 - share) * NUM_WILD)
        more = hidden.take(np.arange(begin, end))
        pool.append(write_samples(work / f"hidden-to-{share:g}", hidden_samples(more)))
        begin = end
    weights = next((data_folder() / "weights").glob("*resnet20*.npz"))
    run = str(work / "run")
    for mode in ("full", PCA) if SHARES[step] == PCA_SHARE else ("full",):
        score(
            pool,
            spec=ScoreSpec(teacher=TeacherSpec(name="he/resnet20", weights=str(weights))),
            out=run,
            features=FeatureSpec(mode=mode, name=mode.replace(":", "")),
            execution=ExecutionConfig(executor="inline", threads=1, device="cpu"),
        )
    truth(run, member="cls")  # wild samples have none
    return run


def hidden_images() -> CifarImages:
    """In random order, of the 50,000 training images but those that any seed labels."""
    whole = all_training()
    few = np.concatenate([labelled(seed).places for seed in range(5)])
    rest = np.setdiff1d(whole.places, few)
    return whole.take(np.random.default_rng(0).permutation(rest))


def labelled(seed: int) -> CifarImages:
    return all_training().per_class(PER_CLASS, seed=seed)


def hidden_samples(found: CifarImages) -> Iterator[tuple[str, dict[str, bytes]]]:
    for image, label, place in zip(*found, strict=True):
        yield f"hidden-{place:05d}", {"png": encode_png(image), "cls": str(int(label)).encode()}


def true_positives(run: str) -> dict[str, np.ndarray]:
    """row_id, whether it is from CIFAR-10, whether it is a wild image of one of its classes."""
    rows = query(run, "SELECT row_id, is_positive FROM truth ORDER BY row_id")
    ids = rows["row_id"].to_numpy()
    on_domain = {synset for synsets in ON_DOMAIN.values() for synset in synsets.split()}
    synsets = true_synsets(RunLayout(run))
    wild = np.array([synsets.get(int(row)) in on_domain for row in ids])
    return {"row_id": ids, "positive": rows["is_positive"].to_numpy() > 0, "wild": wild}


def one_seed(
    work: Path, run: str, share: float, seed: int, known: dict[str, np.ndarray]
) -> dict[str, Any]:
    few = write_cifar(work / f"few-{seed}", labelled(seed), prefix="few-")
    found: dict[str, Any] = {"seed": seed}
    cases: list[tuple[str, float | Literal["auto"]]] = [("full", "auto"), ("full", share)]
    if share == PCA_SHARE:
        cases.append((PCA.replace(":", ""), "auto"))
    for features, prior in cases:
        what = f"{features}_{'auto' if prior == 'auto' else 'given'}"
        name = f"{what}_{round(100 * share)}_{seed}"
        report = pu_fit(run, positives=[few], prior=prior, name=name, features=features, seed=seed)
        told = measure(run, name, known)
        told["prior"] = report.prior
        told["true_positive_rate"] = round(report.true_positive_rate, 4)
        told["warnings"] = report.warnings
        found[what] = told
    found["prior_uniform_deviation"] = {"value": paper_estimate(run, few, seed)}
    return found


def paper_estimate(run: str, few: str, seed: int) -> float:
    """The prior by best bin estimation with the deviation of the paper, from the same ranks."""
    features = find_fact(RunLayout(run), "features", "full")
    images = list(read_labelled([few]))
    with open_extractor(run, which=features.fact_id) as extract:
        vectors = extract([image.data for image in images]).vectors
    pool = FeatureRows(features, seed=seed)
    ranks = crossfitted_ranks(
        vectors,
        pool.held_out_MD,
        statistics=(pool.mean_D, pool.deviation_D),
        hidden=make_settings("default").hidden(pool.dim),
        seed=seed,
    )
    return estimate_prior(*ranks, seed=seed, deviation="uniform").value


def measure(run: str, name: str, known: dict[str, np.ndarray]) -> dict[str, Any]:
    """The figures of one PU table, beside noise value and chance."""
    rows = query(
        run,
        f"SELECT pu_score, pu_prob, noise_value FROM pu_{name} JOIN scores USING (row_id) "
        "ORDER BY row_id",
    )
    score_N, prob_N, noise_N = (rows[column].to_numpy() for column in rows.column_names)
    positive_N = known["positive"]
    random_N = np.random.default_rng(0).random(len(positive_N))
    taken = score_N > 0
    count = int(taken.sum())

    def of_best(order_N: np.ndarray) -> dict[str, float]:
        best = np.argsort(order_N, kind="stable")[:count]
        right = positive_N[best]
        return {
            "precision": round(float(right.mean()), 4) if count else 0.0,
            "recall": round(float(right.sum() / positive_N.sum()), 4),
            "precision_with_wild": round(float((right | known["wild"][best]).mean()), 4)
            if count
            else 0.0,
            "average_precision": round(average_precision(-order_N, positive_N), 4),
        }

    return {
        "selected": count,
        "pu": of_best(-score_N),
        "noise_value": of_best(noise_N),
        "random": of_best(random_N),
        "calibration_error": {
            "pu_prob": round(calibration_error(prob_N, positive_N), 4),
            "sigmoid": round(calibration_error(1 / (1 + np.exp(-score_N)), positive_N), 4),
        },
    }


def means(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """[mean, standard deviation] over seeds of every number that was measured."""
    left_out = ("warnings", "reasons", "estimator", "given", "fragile", "hardware", "versions")

    def at(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            keys = [key for key in values[0] if key not in left_out]
            return {key: at([value[key] for value in values]) for key in keys}
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        return [round(statistics.mean(values), 4), round(spread, 4)]

    cases = [key for key, value in seeds[0].items() if isinstance(value, dict)]
    return {key: at([seed[key] for seed in seeds]) for key in cases if key not in left_out}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

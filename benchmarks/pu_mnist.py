"""PU Compression on MNIST as in its paper: 12 labelled digits a class (1/500 of the data).

    python -m benchmarks.pu_mnist --work /tmp/pu-mnist [--seeds 3] [--steps 400] [--validate]

LeNet-5 -> half. The pool: 8,000 MNIST digits, all characters of two Omniglot archives, and rendered
glyphs, 40,000 images; digits are a fifth. The paper gives the fit that share; here both, given and
estimated. Everything runs through the product's verbs: score with features, pu fit, select, export,
distill. A seed decides which digits are labelled, the fit, the random draws, the students. Every
student sees the same number of samples, whatever it is trained on. With `--validate` students are
measured on training digits that none of them sees, and nothing is stored: there the settings were
chosen. Without: on the test digits, last step. Appends one JSON line to
benchmarks/results/pu_mnist.jsonl.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mnist_data import (
    append_result,
    load_mnist,
    train_teacher,
    write_labelled,
)
from benchmarks.mnist_pool import HIDDEN, PER_CLASS, SHARE, labelled_rows, write_pool
from cluster import distill, export, pu_fit, query, score, select, truth
from cluster.execution import ExecutionConfig
from cluster.provenance import hardware, now, versions
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.teachers.spec import TeacherSpec

RESULTS = Path(__file__).parent / "results" / "pu_mnist.jsonl"
NUM_SELECTED = 5_000
"""Size of the selections that have a size: PU-s2 and Baseline-2."""
TEACHER_STEPS = 3_000

TRAINING: dict[str, Any] = {
    "augment": {"crop_padding": 2},
    "optimizer": {"kind": "sgd", "lr": 0.01, "weight_decay": 5e-4},
    "schedule": {"kind": "cosine", "warmup_steps": 60},
    "batch_size": 128,
}
KD = {"kind": "kd", "temperature": 2.0}
ROBUST = {"kind": "robust", "temperature": 2.0, "eps": 0.1}

ARMS = {
    "few_labels": "student on the 120 labels alone",
    "few_kd": "KD on the 120 images alone",
    "baseline_2": "Baseline-2: random from the pool",
    "pu_s2_given": "PU-s2: as many, by PU, prior given",
    "pu_s1": "PU-s1: all by PU, prior estimated",
    "pu_s1_given": "PU-s1: all by PU, prior given",
    "pu_s1_given_kd": "PU-s1, prior given, plain KD",
    "baseline_1": "Baseline-1: all digits of the pool",
    "kd_real": "KD on all 50,000 real digits",
}


def prepare(work: Path) -> dict[str, Any]:
    """Teacher, pool, scores with features, ground truth: what all seeds share."""
    teacher = train_teacher(work, steps=TEACHER_STEPS)
    digits = load_mnist("train")
    pool = write_pool(work / "pool", digits.take(np.arange(HIDDEN)), share=SHARE)
    spec = TeacherSpec(name="lenet/5", weights=str(work / "teacher" / "student.safetensors"))
    score(
        [pool],
        spec=ScoreSpec(teacher=spec),
        out=str(work / "run"),
        features=FeatureSpec(mode="full"),
        execution=ExecutionConfig(executor="inline", threads=1, device="cpu"),
    )
    digit = {str(k): k for k in range(10)}
    truth(str(work / "run"), member="json", field="digit", mapping=digit)
    return teacher


def fit_and_select(work: Path, seed: int) -> dict[str, Any]:
    """One seed's fits and selections, exported; returns what they hold."""
    run, digits = str(work / "run"), load_mnist("train")
    few = digits.take(labelled_rows(digits.labels, seed))
    labelled = write_labelled(work / f"few-{seed}", few)
    sample = {"sample": {"n": NUM_SELECTED, "seed": seed}}
    recipes: dict[str, list[dict[str, Any]]] = {"baseline_2": [sample]}
    held: dict[str, Any] = {}
    for suffix, prior in (("", "auto"), ("_given", SHARE)):
        name = f"seed{seed}{suffix}"
        fitted = pu_fit(run, positives=[labelled], prior=prior, name=name, seed=seed).to_dict()
        held[f"fit{suffix}"] = {
            "prior": {key: fitted["prior"][key] for key in ("value", "low", "high", "fragile")},
            "true_positive_rate": fitted["true_positive_rate"],
        }
        above = {"take": {"threshold": 0.0, "order": f"pu_{name}.pu_score"}}
        recipes[f"pu_s1{suffix}"] = [above]
        if suffix:
            recipes[f"pu_s2{suffix}"] = [above, sample]
    for arm, steps in recipes.items():
        selection = f"{arm}-{seed}"
        recipe = {"name": selection, "source": {"where": "status = 'ok'"}, "steps": steps}
        select(run, recipe=recipe, name=selection)
        export(run, selection=selection, out=str(work / "selected" / selection), seed=seed)
        held[arm] = count_positives(run, selection)
    if seed == 0:
        select(run, recipe="baseline-ground-truth", name="baseline_1")
        export(run, selection="baseline_1", out=str(work / "selected" / "baseline_1"))
    return held


def count_positives(run: str, selection: str) -> dict[str, float]:
    """Images of a selection, and precision and recall against ground truth."""
    rows = query(
        run,
        "SELECT count(*) AS n, sum(is_positive) AS p, "
        "(SELECT sum(is_positive) FROM truth) AS there "
        f'FROM "selection_{selection}" JOIN truth USING (row_id)',
    ).to_pylist()[0]
    return {
        "images": int(rows["n"]),
        "precision": round(float(rows["p"]) / rows["n"], 4),
        "recall": round(float(rows["p"]) / float(rows["there"]), 4),
    }


def train(work: Path, arm: str, seed: int, *, steps: int, measured: str) -> dict[str, float]:
    """Accuracy of one student."""
    few = str(work / f"few-{seed}")
    data: dict[str, Any] = {
        "eval": [write_labelled(work / f"digits-{measured}", load_mnist(measured))]
    }
    objective = ROBUST
    teacher = {
        "name": "lenet/5",
        "weights": str(work / "teacher" / "student.safetensors"),
        "num_classes": 10,
    }
    config: dict[str, Any] = {"teacher": teacher, "student": {"name": "lenet/5-half"}}
    if arm == "few_labels":
        config = {"student": {"name": "lenet/5-half", "num_classes": 10}}
        data, objective = {**data, "train": [few]}, {"kind": "supervised"}
    elif arm in ("few_kd", "kd_real"):
        source = few if arm == "few_kd" else str(work / "digits-train")
        data, objective = {**data, "train": [source]}, KD
    else:
        # L = P and the selected images together, as the paper has it.
        selection = arm.removesuffix("_kd") + ("" if arm == "baseline_1" else f"-{seed}")
        data |= {"train": [str(work / "selected" / selection)], "labelled": [few]}
        objective = KD if arm.endswith("_kd") else ROBUST
    result = distill(
        {
            **config,
            "data": data,
            "objective": objective,
            **TRAINING,
            "steps": steps,
            "eval_every": 10**9,
            "log_every": 100,
            "seed": seed,
            "threads": 1,
            "device": "cpu",
            "out": str(work / "students" / f"{measured}-{steps}-{arm}-{seed}"),
        }
    )
    return result.metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    parser.add_argument("--validate", action="store_true")
    options = parser.parse_args()
    work, measured = options.work, "validation" if options.validate else "test"
    teacher = prepare(work)
    selections = [fit_and_select(work, seed) for seed in range(options.seeds)]
    for found in selections:
        print(found, flush=True)
    accuracy: dict[str, list[float]] = {}
    for arm in options.arms:
        metrics = [
            train(work, arm, seed, steps=options.steps, measured=measured)
            for seed in range(options.seeds)
        ]
        accuracy[arm] = [round(100 * found["top1"], 2) for found in metrics]
        mean, spread = statistics.mean(accuracy[arm]), _spread(accuracy[arm])
        print(f"{ARMS[arm]:<40} {mean:6.2f} +- {spread:.2f}  {accuracy[arm]}", flush=True)
    if options.validate:
        return
    append_result(
        RESULTS,
        {
            "benchmark": "pu_mnist",
            "teacher": round(100 * teacher["metrics"]["top1"], 2),
            "accuracy": accuracy,
            "mean": {arm: round(statistics.mean(v), 2) for arm, v in accuracy.items()},
            "spread": {arm: round(_spread(v), 2) for arm, v in accuracy.items()},
            "labelled": 10 * PER_CLASS,
            "pool": round(HIDDEN / SHARE),
            "true_share": SHARE,
            "selections": selections,
            "samples_seen": options.steps * TRAINING["batch_size"],
            "training": TRAINING,
            "objective": ROBUST,
            "at": now(),
            "hardware": hardware(),
            "versions": versions(),
        },
    )


def _spread(values: list[float]) -> float:
    """Standard deviation over seeds; 0 of a single one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()

"""Does robust distillation help the rare classes of an imbalanced pool?

    python -m benchmarks.robust_imbalance --work /tmp/imbalance [--seeds 3] [--validate]

MNIST, LeNet-5 -> half. The pool has 500 unlabelled digits a class, and a tenth of that (50) of
three classes, which rotate with the seed: 0 3 6, 1 4 7, 2 5 8. Four arms see the same images, the
same views and as many samples: plain KD; class weights alone; the worst of four sampled weight
vectors; the closed-form worst case. With `--validate` accuracy is measured on training digits that
no student sees, and nothing is stored: that is where settings were chosen. Without, on the test
digits: per arm and seed mean and worst-class accuracy of the last step, and who won the maximum
during training. Appends one JSON line to benchmarks/results/robust_imbalance.jsonl, and draws
benchmarks/results/robust_winner.svg.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mnist_data import append_result, load_mnist, train_teacher, write_labelled
from benchmarks.winner_plot import winner_plot
from cluster import distill
from cluster.provenance import hardware, now, versions
from distiller.metrics import read_metrics

RESULTS = Path(__file__).parent / "results"
PER_CLASS, RARE = 500, 50
TEACHER_STEPS = 3_000

TRAINING: dict[str, Any] = {
    "optimizer": {"kind": "sgd", "lr": 0.01, "weight_decay": 5e-4},
    "schedule": {"kind": "cosine", "warmup_steps": 60},
    "steps": 600,
    "batch_size": 128,
}
TEMPERATURE = 2.0
EPS = 0.3

ARMS: dict[str, dict[str, Any]] = {
    "kd": {"kind": "kd"},
    "weights": {"kind": "robust", "adversary": "none"},
    "sampled": {"kind": "robust", "adversary": "sampled", "num_vectors": 4},
    "worst_case": {"kind": "robust", "adversary": "worst_case"},
}


def rare_classes(seed: int) -> list[int]:
    return [seed % 3, seed % 3 + 3, seed % 3 + 6]


def imbalanced_pool(work: Path, seed: int) -> str:
    """Shards of the pool of one seed."""
    digits, rng = load_mnist("train"), np.random.default_rng(seed)
    rows = [
        rng.permutation(np.flatnonzero(digits.labels == k))[
            : RARE if k in rare_classes(seed) else PER_CLASS
        ]
        for k in range(10)
    ]
    return write_labelled(work / f"pool-{seed}", digits.take(np.sort(np.concatenate(rows))))


def train(
    work: Path, arm: str, seed: int, *, measured: str, changes: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Card and log of one student."""
    objective = {**ARMS[arm], "temperature": TEMPERATURE}
    name = f"{measured}-{arm}-{seed}-{'-'.join(map(str, changes.values()))}"
    eps, optimizer = changes["eps"], {**TRAINING["optimizer"], "lr": changes["lr"]}
    if arm in ("sampled", "worst_case"):
        objective |= {"eps": eps, "relative": True}
    config = {
        "teacher": {
            "name": "lenet/5",
            "weights": str(work / "teacher" / "student.safetensors"),
            "num_classes": 10,
        },
        "student": {"name": "lenet/5-half"},
        "data": {
            "train": [imbalanced_pool(work, seed)],
            "eval": [write_labelled(work / f"digits-{measured}", load_mnist(measured))],
        },
        "objective": objective,
        **TRAINING,
        "steps": changes["steps"],
        "optimizer": optimizer,
        "eval_every": 10**9,
        "log_every": 10,
        "seed": seed,
        "threads": 1,
        "device": "cpu",
        "out": str(work / name),
    }
    result = distill(config)
    return result.card, read_metrics(result.out / "metrics.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=TRAINING["steps"])
    parser.add_argument("--eps", type=float, default=EPS)
    parser.add_argument("--lr", type=float, default=TRAINING["optimizer"]["lr"])
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    parser.add_argument("--validate", action="store_true")
    options = parser.parse_args()
    measured = "validation" if options.validate else "test"
    teacher = train_teacher(options.work, steps=TEACHER_STEPS)
    arms: dict[str, dict[str, Any]] = {}
    logs = {}
    for arm in options.arms:
        cards = []
        for seed in range(options.seeds):
            card, logs[arm, seed] = train(
                options.work,
                arm,
                seed,
                measured=measured,
                changes={"steps": options.steps, "eps": options.eps, "lr": options.lr},
            )
            cards.append(card)
        arms[arm] = {
            name: [round(100 * card["metrics"][key], 2) for card in cards]
            for name, key in (("mean", "top1"), ("worst_class", "worst_class_accuracy"))
        }
        arms[arm]["class_weights"] = [
            card["class_weights"] and card["class_weights"]["weights"] for card in cards
        ]
        shown = {k: v for k, v in arms[arm].items() if k != "class_weights"}
        print(arm, shown, {k: round(statistics.mean(v), 2) for k, v in shown.items()}, flush=True)
    if options.validate:
        return
    won = [line for line in logs["sampled", 0] if line["kind"] == "train"]
    wins = {f"vector {m}": [line[f"win_{m}"] for line in won] for m in range(4)}
    steps = [line["step"] for line in won]
    (RESULTS / "robust_winner.svg").write_text(winner_plot(steps, wins))
    worst = [line for line in logs["worst_case", 0] if line["kind"] == "train"]
    append_result(
        RESULTS / "robust_imbalance.jsonl",
        {
            "benchmark": "robust_imbalance",
            "teacher": round(100 * teacher["metrics"]["top1"], 2),  # type: ignore[index]
            "per_class": PER_CLASS,
            "rare": RARE,
            "rare_classes": [rare_classes(seed) for seed in range(options.seeds)],
            "samples_seen": options.steps * TRAINING["batch_size"],
            "temperature": TEMPERATURE,
            "lr": options.lr,
            "eps_relative": options.eps,
            "arms": arms,
            "sampled_wins_seed_0": {"step": steps, **wins},
            "worst_case_weights_seed_0": {
                "step": steps,
                **{k: [round(line[f"class_weight_{k}"], 3) for line in worst] for k in range(10)},
            },
            "at": now(),
            "hardware": hardware(),
            "versions": versions(),
        },
    )


if __name__ == "__main__":
    main()

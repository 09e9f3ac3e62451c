"""`coursepack demo`: handwriting without handwriting.

A teacher that reads handwritten digits, a pool of printed glyphs that holds no handwriting at all,
and a student of half the size that learns from what the teacher finds in the pool. Five arms see
the same number of samples; the 1,000 held-out digits are used for the table, and shown on the map.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cluster.demo.data import digit_shares, write_class_names, write_digits, write_pool
from cluster.demo.settings import DEMO, DemoSettings
from cluster.demo.shell import Shell
from cluster.progress import OnProgress, Progress, ignore
from shards.errors import UsageError

TEACHER, STUDENT = "lenet/5", "lenet/5-half"
AUGMENT = {"affine": {"degrees": 10.0, "translate": 0.08, "scale": [0.9, 1.1], "shear": 8.0}}

ARMS = {
    "dfnd": "DFND: lowest noise value per class",
    "random": "random, same number",
    "everything": "the whole pool",
    "kd_real": "KD on real digits",
}


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        accuracy: Arm -> test accuracy in percent of each seed, last step.
        teacher: Test accuracy of the teacher in percent.
        digit_share: Share of digits in the pool, in the random and in the DFND selection.
        report, commands: Files to open: the HTML page, and every command that was run.
    """

    out: str
    teacher: float
    accuracy: dict[str, list[float]]
    digit_share: dict[str, float]
    samples_seen: int
    images_selected: int
    report: str
    commands: str
    seconds: float
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def lines(self) -> list[str]:
        seeds = len(self.accuracy["dfnd"])
        rows = [
            "",
            "accuracy on 1,000 held-out handwritten digits (%), student: half a LeNet-5",
            f"  {'teacher (LeNet-5, 4,000 digits)':<38} {self.teacher:5.1f}",
        ]
        for arm, title in ARMS.items():
            values = self.accuracy[arm]
            spread = f"  +- {statistics.stdev(values):.1f}" if seeds > 1 else ""
            rows.append(f"  {title:<38} {statistics.mean(values):5.1f}{spread}")
        share = ", ".join(f"{name} {value:.0%}" for name, value in self.digit_share.items())
        return [
            *rows,
            f"{seeds} seed{'s' if seeds > 1 else ''}; every student saw {self.samples_seen:,} "
            f"samples; DFND and random chose {self.images_selected:,} of the pool",
            f"the pool holds no handwriting; printed digits in it: {share}",
            *self.notes,
            f"report:   {self.report}",
            f"commands: {self.commands}",
            f"{self.seconds:.0f} s",
        ]


def run_demo(
    *,
    out: str,
    seeds: int = 1,
    settings: DemoSettings = DEMO,
    on_progress: OnProgress | None = None,
) -> DemoResult:
    """Run the loop in the folder `out`; called again, it continues.

    Raises:
        UsageError: the demo extra is missing, or `out` is a file.
        CoursepackError: a step failed; names its command.
    """
    started = time.monotonic()
    home = Path(out)
    if home.exists() and not home.is_dir():
        raise UsageError(f"--out {out} is a file; give a folder")
    home.mkdir(parents=True, exist_ok=True)
    report = on_progress or ignore
    total = 6 + seeds * (4 + len(ARMS))
    done = 0

    def announce(command: str) -> None:
        nonlocal done
        report(Progress(done, total, unit="commands", note=f"$ {command}"))
        done += 1

    shell = Shell(home / "commands.sh", announce)
    _write_data(home, settings, shell)
    teacher = _train_teacher(home, settings, shell)
    shell.run(
        "score", home / "pool", "--teacher", TEACHER, "--weights", teacher["student_weights"],
        "--class-names", home / "classes.txt", "--features", "full", "--out", home / "run",
    )  # fmt: skip
    accuracy: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for seed in range(seeds):
        train = _select(home, settings, shell, seed)
        for arm in ARMS:
            metrics = _train_student(home, settings, shell, arm, seed, train[arm])
            accuracy[arm].append(_percent(metrics))
    shell.run(
        "map", home / "run", "--selection", "dfnd", "--points", settings.num_drawn,
        "--originals", home / "digits-test",
    )  # fmt: skip
    page = shell.run("report", home / "run", "--selection", "dfnd")["report"]
    selections = {name: _selection_file(home, name) for name in ("dfnd", "random-0")}
    return DemoResult(
        out=str(home),
        teacher=_percent(teacher["metrics"]),
        accuracy=accuracy,
        digit_share=digit_shares(home / "run", selections),
        samples_seen=settings.steps * settings.batch_size,
        images_selected=settings.num_selected,
        report=str(page),
        commands=str(home / "commands.sh"),
        seconds=round(time.monotonic() - started, 1),
    )


def _write_data(home: Path, settings: DemoSettings, shell: Shell) -> None:
    """Digits and glyphs as shards. What is there already is left alone."""
    write_class_names(home / "classes.txt")
    if not (home / "digits-test.npz").exists():
        write_digits(home)
    for name in ("train", "test"):
        shell.run(
            "shards",
            "build",
            home / f"digits-{name}.npz",
            "--out",
            home / f"digits-{name}",
            "--overwrite",
        )
    if not (home / "pool" / "written").exists():
        write_pool(home / "pool", settings)
        (home / "pool" / "written").touch()


def _train_teacher(home: Path, settings: DemoSettings, shell: Shell) -> dict[str, Any]:
    config = {
        "student": {"name": TEACHER, "num_classes": 10},
        "data": {"train": [f"{home}/digits-train"], "eval": [f"{home}/digits-test"]},
        "objective": {"kind": "supervised"},
        "augment": AUGMENT,
        "optimizer": {"kind": "sgd", "lr": settings.teacher_lr, "weight_decay": 5e-4},
        "schedule": {"kind": "cosine"},
        "steps": settings.teacher_steps,
        "batch_size": settings.batch_size,
        "eval_every": settings.teacher_steps,
        "threads": 1,
        "device": "cpu",
        "out": f"{home}/teacher",
    }
    return shell.run("distill", _write_yaml(home / "configs" / "teacher.yaml", config))


def _select(home: Path, settings: DemoSettings, shell: Shell, seed: int) -> dict[str, Path]:
    """Select and export for one seed; returns the training shards of each arm."""
    run, per_class = home / "run", settings.num_selected // 10
    shell.run("select", run, "--recipe", "dfnd-quota", "--n", per_class, "--name", "dfnd")
    recipe = {
        "source": {"where": "status = 'ok'"},
        "steps": [{"sample": {"n": settings.num_selected, "seed": seed}}],
    }
    random = f"random-{seed}"
    path = _write_yaml(home / "configs" / f"{random}.yaml", {"name": random, **recipe})
    shell.run("select", run, "--recipe", path, "--name", random)
    for name in ("dfnd", random):
        shell.run("export", run, "--selection", name, "--out", home / "selected" / name)
    return {
        "dfnd": home / "selected" / "dfnd",
        "random": home / "selected" / random,
        "everything": home / "pool",
        "kd_real": home / "digits-train",
    }


def _train_student(
    home: Path, settings: DemoSettings, shell: Shell, arm: str, seed: int, train: Path
) -> dict[str, float]:
    """Distill one half LeNet-5 and return its metrics on the held-out digits."""
    name = f"{arm}-{seed}"
    config = {
        "teacher": {"name": TEACHER, "weights": f"{home}/teacher/student.safetensors"},
        "student": {"name": STUDENT},
        "data": {"train": [str(train)], "eval": [f"{home}/digits-test"]},
        "objective": {"kind": "kd", "temperature": settings.temperature},
        "augment": AUGMENT,
        "optimizer": {"kind": "sgd", "lr": settings.lr, "weight_decay": 5e-4},
        "schedule": {"kind": "cosine"},
        "steps": settings.steps,
        "batch_size": settings.batch_size,
        "eval_every": settings.steps,
        "seed": seed,
        "threads": 1,
        "device": "cpu",
        "out": f"{home}/students/{name}",
    }
    path = _write_yaml(home / "configs" / f"{name}.yaml", config)
    metrics: dict[str, float] = shell.run("distill", path)["metrics"]
    return metrics


def _selection_file(home: Path, name: str) -> Path:
    return home / "run" / "selections" / name / "selection.parquet"


def _percent(metrics: dict[str, float]) -> float:
    return round(100 * metrics["top1"], 2)


def _write_yaml(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path

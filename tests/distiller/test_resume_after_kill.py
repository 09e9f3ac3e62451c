"""100 steps in one go, and 50 + kill -9 + the rest in other processes: the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distiller.config import DistillConfig
from distiller.trainer import distill
from tests.distiller.small_runs import small_config, untimed_card, untimed_metrics
from tests.distiller.small_sets import write_shards

CHILD = """
import sys
from pathlib import Path
from distiller import distill
from tests.distiller.test_resume_after_kill import hundred_steps

def tell(event):
    print(event.kind, event.step, flush=True)

distill(hundred_steps(Path(sys.argv[1]), sys.argv[2]), on_event=tell)
"""


def hundred_steps(folder: Path, out: str) -> DistillConfig:
    """A run that uses all that has state: momentum, a learned Q, a schedule, random views, bad
    images met on demand, and a line of metrics that spans the checkpoint."""
    return small_config(
        folder,
        objective={"kind": "noisy", "transition": {"init": "pool_full"}},
        augment={"affine": {"degrees": 10, "translate": 0.1, "shear": 5}, "flip": True},
        optimizer={"nesterov": True, "weight_decay": 1e-4},
        schedule={"kind": "step", "milestones": [0.3, 0.6], "warmup_steps": 5},
        data={"memory_bytes": 0},
        steps=100,
        checkpoint_every=50,
        log_every=7,
        out=str(folder / out),
    )


def run_until(folder: Path, out: str, line: str | None) -> str:
    """Run in a process of its own; at `line` of its output, kill -9. Returns what it printed."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), out],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    printed = ""
    assert child.stdout is not None
    for text in child.stdout:
        printed += text
        if text.strip() == line:
            os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert child.returncode == (0 if line is None else -signal.SIGKILL)
    return printed


@pytest.mark.slow
def test_fifty_steps_and_a_kill_and_the_rest_equal_a_hundred_steps(tmp_path: Path) -> None:
    write_shards(tmp_path / "pool", 60, per_shard=25, replace={11: b"text", 40: b"text"})
    whole = distill(hundred_steps(tmp_path, "whole"))
    printed = run_until(tmp_path, "killed", "train 70")
    assert "checkpoint 50" in printed
    assert not (tmp_path / "killed" / "card.json").exists()
    printed = run_until(tmp_path, "killed", None)
    assert "start 50" in printed
    for name in ("student.safetensors", "transition.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (whole.out / name).read_bytes(), name
    assert untimed_metrics(tmp_path / "killed") == untimed_metrics(whole.out)
    assert whole.card["data"]["unusable"] == {"undecodable": 2}
    assert untimed_card(tmp_path / "killed") == untimed_card(whole.out)

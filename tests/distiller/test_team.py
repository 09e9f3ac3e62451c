"""Several processes of torch.distributed (gloo) train the student that one process trains."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from distiller.config import load_config
from distiller.metrics import read_metrics
from distiller.team import ALONE, Team
from distiller.trainer import distill
from shards.errors import UsageError
from tests.distiller.small_runs import small_config
from tests.distiller.small_sets import write_shards
from tests.distiller.test_trainer import StopAt, interrupted_at

PROGRAM = """
import json, sys
import torch.distributed as dist
from distiller.config import load_config
from distiller.trainer import distill
rank, size, steps = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4])
address = sys.argv[3]
dist.init_process_group("gloo", init_method=address, rank=rank, world_size=size)

class Stop(Exception):
    pass

def on_event(event):
    if event.kind == "checkpoint" and event.step == steps:
        raise Stop

for config in json.loads(sys.stdin.read()):
    try:
        result = distill(load_config(config), on_event=on_event if steps else None)
    except Stop:
        import os
        os._exit(7)
    assert result.steps == config["steps"]
dist.destroy_process_group()
"""


def free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def train_together(configs: list[dict[str, Any]], size: int, *, stop_at: int = 0) -> list[int]:
    """Exit codes of `size` processes that train the configurations one after the other."""
    address = free_address()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(size), address, str(stop_at)],
            stdin=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        for rank in range(size)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(json.dumps(configs))
        process.stdin.close()
    return [process.wait(timeout=300) for process in processes]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "student.safetensors")


OBJECTIVES: dict[str, dict[str, Any]] = {
    "noisy": {"kind": "noisy", "transition": {"init": "identity"}},
    "robust": {"kind": "robust", "adversary": "worst_case", "n_min": 0},
    "hints": {"kind": "kd"},
}
FIELDS = {
    "augment": {"flip": True, "crop_padding": 2, "mix": {"mixup": 0.5}},
    "optimizer": {"lr": 0.05, "clip_norm": 1.0},
}


def config_of(folder: Path, name: str, **changes: Any) -> dict[str, Any]:
    hints = {"hints": {}} if name.startswith("hints") else {}
    config = small_config(
        folder,
        objective=OBJECTIVES[name.partition("-")[0]],
        **FIELDS,
        **hints,
        out=str(folder / name),
        **changes,
    )
    content: dict[str, Any] = config.model_dump(mode="json")
    return content


def test_two_processes_are_one_but_for_rounding(tmp_path: Path) -> None:
    """The gradients of Q and of regressors and the choice of class weights are global, so is every
    figure."""
    names = ("noisy", "robust", "hints")
    test = write_shards(tmp_path / "test", 41, labelled=True, first=1000)
    measured = {"data": {"train": [str(tmp_path / "pool")], "eval": [test]}, "eval_every": 5}
    for name in names:
        distill(load_config(config_of(tmp_path, name, **measured)))
    grown = config_of(tmp_path, "noisy-grown", checkpoint_every=5, **measured)
    with pytest.raises(StopAt):
        distill(load_config(grown), on_event=interrupted_at(8))
    together = [config_of(tmp_path, f"{name}-two", workers=2, **measured) for name in names]
    assert train_together([*together, {**grown, "workers": 2}], 2) == [0, 0]
    for name, tensor in weights(tmp_path / "noisy-grown").items():  # started by one process
        torch.testing.assert_close(tensor, weights(tmp_path / "noisy")[name], rtol=1e-3, atol=1e-5)
    for name in names:
        one, two = weights(tmp_path / name), weights(tmp_path / f"{name}-two")
        for tensor in one:
            torch.testing.assert_close(two[tensor], one[tensor], rtol=1e-3, atol=1e-5)
        rows = read_metrics(tmp_path / name / "metrics.jsonl")
        again = read_metrics(tmp_path / f"{name}-two" / "metrics.jsonl")
        assert [row["step"] for row in again] == [row["step"] for row in rows]
        for row, other in zip(rows, again, strict=True):
            if row["kind"] == "eval":
                assert other["n"] == row["n"] == 41  # no image twice to make the shares even
                assert other["top1"] == row["top1"]
                continue
            assert other["loss"] == pytest.approx(row["loss"], rel=1e-4)
            assert other["agreement"] == row["agreement"]
    states = [
        torch.load(tmp_path / name / "checkpoints" / "step-00000012.pt", weights_only=True)
        for name in ("hints", "hints-two")
    ]
    torch.testing.assert_close(states[1]["hints"], states[0]["hints"], rtol=1e-3, atol=1e-5)
    q = safetensors.torch.load_file(tmp_path / "noisy" / "transition.safetensors")["end"]
    q_two = safetensors.torch.load_file(tmp_path / "noisy-two" / "transition.safetensors")["end"]
    torch.testing.assert_close(q_two, q, rtol=1e-4, atol=1e-7)


def test_a_run_of_two_is_continued_by_one(tmp_path: Path) -> None:
    whole = distill(load_config(config_of(tmp_path, "noisy", checkpoint_every=5)))
    started = config_of(tmp_path, "noisy-cut", checkpoint_every=5, workers=2)
    codes = train_together([started], 2, stop_at=5)
    assert codes[0] == 7
    assert codes[1] != 0  # it cannot go on alone
    continued = distill(load_config({**started, "workers": 1}))
    for name, tensor in weights(continued.out).items():
        torch.testing.assert_close(tensor, weights(whole.out)[name], rtol=1e-3, atol=1e-5)


def test_rows_are_shared_out_evenly_or_not_at_all() -> None:
    assert [Team(rank, 3).rows(12) for rank in range(3)] == [slice(0, 4), slice(4, 8), slice(8, 12)]
    assert ALONE.rows(7) == slice(0, 7)
    with pytest.raises(ValueError, match="10 rows cannot be shared out evenly among 3"):
        Team(0, 3).rows(10)


def test_a_number_of_workers_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="make it a multiple of workers"):
        small_config(tmp_path, workers=3)
    with pytest.raises(UsageError, match="1 process"):
        distill(small_config(tmp_path, workers=2))

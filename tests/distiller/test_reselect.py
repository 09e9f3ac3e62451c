from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distiller.config import DistillConfig
from distiller.metrics import read_metrics
from distiller.reselect import ReselectOptions, best_of_mixture
from distiller.trainer import distill
from shards.errors import UsageError
from tests.distiller.small_runs import small_config, untimed_card, untimed_metrics


def probabilities(num: int, classes: int, seed: int) -> torch.Tensor:
    logits = 3 * torch.randn(num, classes, generator=torch.Generator().manual_seed(seed))
    return torch.softmax(logits, dim=1)


@given(seed=st.integers(0, 500), n=st.integers(1, 60))
def test_without_classes_it_is_the_n_surest(seed: int, n: int) -> None:
    mixture = probabilities(50, 5, seed)
    chosen, cut = best_of_mixture(mixture, n=n, per_class=False)
    sure = mixture.double().max(dim=1).values.numpy()
    expected = np.sort(np.argsort(-sure, kind="stable")[:n])
    assert chosen.tolist() == expected.tolist()
    assert cut == pytest.approx(-np.log(sure[expected].min()))


def test_per_class_shares_out_what_a_class_cannot_fill() -> None:
    mixture = torch.tensor([[0.9, 0.1]] * 8 + [[0.2, 0.8]] * 2 + [[0.05, 0.95]])
    chosen, _ = best_of_mixture(mixture, n=8, per_class=True)
    assert chosen.tolist() == [0, 1, 2, 3, 4, 8, 9, 10]
    chosen, _ = best_of_mixture(mixture, n=4, per_class=True)
    assert chosen.tolist() == [0, 1, 8, 10]


def reselecting(folder: Path, **changes: Any) -> DistillConfig:
    options = {"n": 24, "every": 4, "alpha": [1.0, 0.0]}
    return small_config(folder, **{"reselect": options, **changes})


def test_the_run_trains_on_what_is_chosen_and_chooses_anew(tmp_path: Path) -> None:
    result = distill(reselecting(tmp_path))
    lines = [r for r in read_metrics(result.out / "metrics.jsonl") if r["kind"] == "reselect"]
    assert [line["step"] for line in lines] == [0, 4, 8]
    assert [line["reselect_alpha"] for line in lines] == pytest.approx([1.0, 2 / 3, 1 / 3])
    assert lines[0]["reselect_kept"] == 0.0
    assert 0 < lines[1]["reselect_kept"] < 1


@pytest.mark.parametrize("stop_at", [5, 8])
def test_a_continued_run_is_the_same_to_the_bit(tmp_path: Path, stop_at: int) -> None:
    """Stopped between two choices, and just where one is due."""
    whole = distill(reselecting(tmp_path, out=str(tmp_path / "whole"), checkpoint_every=stop_at))

    class Stop(Exception):
        pass

    def stop(event: Any) -> None:
        if event.kind == "checkpoint" and event.step == stop_at:
            raise Stop

    config = reselecting(tmp_path, out=str(tmp_path / "cut"), checkpoint_every=stop_at)
    with pytest.raises(Stop):
        distill(config, on_event=stop)
    continued = distill(config)
    assert continued.student_weights.read_bytes() == whole.student_weights.read_bytes()
    assert untimed_metrics(continued.out) == untimed_metrics(whole.out)
    assert untimed_card(continued.out) == untimed_card(whole.out)


def test_it_does_not_hang_on_the_memory_it_is_given(tmp_path: Path) -> None:
    """A set that is read ahead on demand must not read past a choice."""
    distill(reselecting(tmp_path, out=str(tmp_path / "kept")))
    data = {"train": [str(tmp_path / "pool")], "memory_bytes": 0}
    distill(reselecting(tmp_path, data=data, out=str(tmp_path / "demand")))
    kept, demand = tmp_path / "kept", tmp_path / "demand"
    name = "student.safetensors"
    assert (kept / name).read_bytes() == (demand / name).read_bytes()


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="60 images to choose from"):
        distill(reselecting(tmp_path, reselect={"n": 60}))
    with pytest.raises(UsageError, match="the objective asks no teacher"):
        reselecting(tmp_path, objective={"kind": "supervised"})
    with pytest.raises(UsageError, match=r"beside data\.labelled"):
        reselecting(tmp_path, data={"train": ["a"], "labelled": ["b"]})
    with pytest.raises(UsageError, match=r"expected two shares in \[0, 1\]"):
        reselecting(tmp_path, reselect={"n": 5, "alpha": [2.0, 0.0]})


def test_n_is_a_number_or_a_share() -> None:
    assert ReselectOptions(n=24).count(60) == 24
    assert ReselectOptions(n=0.5).count(61) == 30
    assert ReselectOptions(n=0.001).count(60) == 1
    with pytest.raises(ValidationError, match="a whole number of images, or a share below 1"):
        ReselectOptions(n=2.5)


def test_a_share_is_the_number_that_it_makes(tmp_path: Path) -> None:
    results = [
        distill(reselecting(tmp_path, reselect={"n": n, "every": 4}, out=str(tmp_path / f"{n}")))
        for n in (24, 0.4)
    ]
    assert results[0].student_weights.read_bytes() == results[1].student_weights.read_bytes()

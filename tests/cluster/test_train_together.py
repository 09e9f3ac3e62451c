"""Two workers of Ray Train on a real cluster of this machine train one student."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from cluster.progress import Progress
from cluster.verbs.distill import distill
from shards.errors import UsageError
from tests.distiller.small_runs import small_config

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="needs the ray extra")
    ray.init(
        address="local",  # never a cluster that happens to run here
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=80_000_000,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}},
    )
    yield ray
    ray.shutdown()


def test_two_workers_train_the_student_of_one(ray: Any, tmp_path: Path) -> None:
    one = distill(small_config(tmp_path, out=str(tmp_path / "one")))
    seen: list[Progress] = []
    config = small_config(tmp_path, out=str(tmp_path / "two"), workers=2)
    two = distill(config, on_progress=seen.append)
    assert two.steps == one.steps
    expected = safetensors.torch.load_file(one.student_weights)
    for name, tensor in safetensors.torch.load_file(two.student_weights).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=1e-5)
    assert seen[-1].done == 12
    assert not (tmp_path / "two" / ".ray-train").exists()
    # Its end is read without workers, wherever they ran.
    assert distill(config).card == two.card
    assert distill(config.model_copy(update={"device": "cuda"})).card == two.card
    with pytest.raises(UsageError, match="seed: 0 there, 9 now"):
        distill(small_config(tmp_path, out=str(tmp_path / "two"), workers=2, seed=9))


def test_what_a_worker_finds_wrong_is_told_in_its_words(ray: Any, tmp_path: Path) -> None:
    distill(small_config(tmp_path))
    (tmp_path / "out" / "card.json").unlink()  # it has not ended, so that workers are started
    with pytest.raises(UsageError, match="holds a run with another configuration") as error:
        distill(small_config(tmp_path, workers=2, seed=9))
    assert "seed: 0 there, 9 now" in str(error.value)
    with pytest.raises(UsageError, match="the cluster has 0 GPUs"):
        distill(small_config(tmp_path, workers=2, device="cuda"))

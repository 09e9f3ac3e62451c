from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from selector.pu.finetune import (
    FinetunedNetwork,
    exported,
    finetune,
    network_scores,
    score_of_noise,
    start_network,
)
from selector.pu.network import new_head
from selector.pu.settings import make_settings
from selector.scores.uncertainty import scores_from_logits
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.runtime import EagerRuntime
from selector.teachers.spec import TeacherSpec
from selector.teachers.taps import parse_taps
from tests.support.models import tiny_teacher

TAPS = parse_taps(["layer1", "layer2", "layer3"])


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return load_teacher(tiny_teacher(tmp_path_factory.mktemp("teacher"), "he/resnet8"))


def start(teacher: Teacher) -> FinetunedNetwork:
    head = new_head(112, hidden=8, generator=torch.Generator().manual_seed(0))
    return start_network(teacher, TAPS, head)


def images(count: int, *, bright: bool, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    low, high = (128, 256) if bright else (0, 128)
    return torch.randint(low, high, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)


def test_it_starts_as_the_head_on_the_teachers_features(teacher: Teacher) -> None:
    batch = images(4, bright=True)
    features = EagerRuntime(teacher, taps=TAPS).answer(batch).features
    assert features is not None
    network = start(teacher)
    want = network.head(features).detach().numpy()
    np.testing.assert_allclose(network_scores(network, teacher, batch), want, rtol=1e-4, atol=1e-5)
    assert not any(p.requires_grad for p in teacher.module.parameters())
    assert all(p.requires_grad for p in network.parameters())


def test_all_layers_learn_and_the_teacher_stays(teacher: Teacher) -> None:
    before = {name: value.clone() for name, value in teacher.module.state_dict().items()}
    network = start(teacher)
    old = {name: value.clone() for name, value in network.named_parameters()}

    def pool() -> Iterator[Tensor]:
        while True:
            yield torch.cat([images(8, bright=True, seed=1), images(24, bright=False, seed=2)])

    settings = make_settings("finetune", {"lr": 0.01, "check_every": 10, "batch_positives": 16})
    held = (images(8, bright=True, seed=3), images(16, bright=False, seed=4))
    trained = finetune(
        network,
        teacher,
        pool(),
        images(16, bright=True, seed=5),
        held,
        prior=0.25,
        settings=settings,
        steps=20,
        seed=0,
    )
    assert trained.curve[-1]["step"] == 20
    assert (network_scores(network, teacher, held[0]) > 0).all()
    assert (network_scores(network, teacher, held[1]) < 0).all()
    moved = [
        name for name, value in network.named_parameters() if not torch.equal(value, old[name])
    ]
    assert len(moved) > 0.8 * len(old)
    assert all(
        torch.equal(before[name], value) for name, value in teacher.module.state_dict().items()
    )


def test_the_saved_program_answers_as_the_network(teacher: Teacher, tmp_path: Path) -> None:
    network = start(teacher)
    path = tmp_path / "network.pt2"
    path.write_bytes(exported(network, teacher))
    spec = TeacherSpec(
        name=f"file:{path}", preprocessing=teacher.preprocessing.to_dict(), allow_code=True
    )
    batch = images(5, bright=True)
    logits = load_teacher(spec).logits(batch)
    assert logits.shape == (5, 2)
    assert not logits[:, 0].any()
    want = network_scores(network, teacher, batch)
    np.testing.assert_allclose(logits[:, 1].numpy(), want, rtol=1e-4, atol=1e-5)


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=20))
def test_the_score_comes_back_from_what_scoring_stores(values: list[float]) -> None:
    scores = torch.tensor(values, dtype=torch.float32)
    stored = scores_from_logits(torch.stack([torch.zeros_like(scores), scores], dim=1))
    found = score_of_noise(
        stored.noise_value.numpy().astype(np.float32), stored.pseudo_label.numpy().astype(np.int32)
    )
    np.testing.assert_allclose(found, scores.numpy(), rtol=1e-5, atol=1e-6)

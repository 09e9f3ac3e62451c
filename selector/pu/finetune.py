"""`finetune` mode: the whole network is trained, from the teacher's weights and a fitted head.

The paper trains all layers. Here they start from the teacher as it is run for scoring (batch norms
folded into convolutions, so their statistics stay the teacher's: labelled and pool images of a
batch must not be normalised by each other) and from the head that was fitted on cached features.

The result is saved as an exported program whose two logits are 0 and F, so that it can be run over
the pool by everything that runs a teacher.

Legend: N images, C channels, S side of the input, P labelled images, M held-out pool images.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from selector.pu.network import PUHead
from selector.pu.settings import PUSettings
from selector.pu.train import OnCheck, Trained, train_network
from selector.teachers.load import Teacher
from selector.teachers.stage_features import with_stage_features
from selector.teachers.taps import Tap

_EVAL_IMAGES = 128


class FinetunedNetwork(nn.Module):
    """Normalised floats (N, C, S, S) -> raw logits F (N,)."""

    def __init__(self, staged: nn.Module, head: PUHead) -> None:
        super().__init__()
        self.staged = staged
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.staged(x)[1])


class _TwoLogits(nn.Module):
    """As (N, 2) logits 0 and F: softmax gives sigmoid(F), and a teacher has at least 2 classes."""

    def __init__(self, network: FinetunedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        score = self.network(x)
        return torch.stack([torch.zeros_like(score), score], dim=1)


def start_network(teacher: Teacher, taps: Sequence[Tap], head: PUHead) -> FinetunedNetwork:
    """Teacher and head as one network, all of it trainable; both arguments stay as they are.

    Raises:
        UsageError: the teacher's graph cannot be read, or has no such taps.
    """
    generator = torch.Generator().manual_seed(0)
    size = (2, *teacher.preprocessing.input_size)
    example = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    staged = with_stage_features(
        copy.deepcopy(teacher.module),
        taps,
        example=teacher.preprocessing.normalize(example.to(teacher.device)),
        name=teacher.name,
    )
    network = FinetunedNetwork(staged.module, copy.deepcopy(head).to(teacher.device))
    return network.eval().requires_grad_(True)


def finetune(
    network: FinetunedNetwork,
    teacher: Teacher,
    unlabelled: Iterator[Tensor],
    labelled_P: Tensor,
    held_out: tuple[Tensor, Tensor],
    *,
    prior: float,
    settings: PUSettings,
    steps: int,
    seed: int,
    on_check: OnCheck | None = None,
) -> Trained:
    """Train the whole network in place.

    Args:
        teacher: says how input is normalised, and where.
        unlabelled: uint8 batches (N, C, S, S) of the pool without end.
        labelled_P: uint8 (P, C, S, S).
        held_out: uint8 images of labelled (., C, S, S) and of the pool (M, C, S, S).
    """

    def prepared(batch: Tensor) -> Tensor:
        return teacher.preprocessing.normalize(batch.to(teacher.device))

    def few() -> Iterator[Tensor]:
        rng = np.random.default_rng([seed, 7])
        take = min(settings.batch_positives, len(labelled_P))
        while True:
            yield prepared(labelled_P[torch.from_numpy(rng.permutation(len(labelled_P))[:take])])

    trained = train_network(
        network,
        few(),
        (prepared(batch) for batch in unlabelled),
        lambda: (
            network_scores(network, teacher, held_out[0]),
            network_scores(network, teacher, held_out[1]),
        ),
        prior=prior,
        settings=settings,
        steps=steps,
        on_check=on_check,
    )
    network.requires_grad_(False)
    return trained


@torch.no_grad()
def network_scores(
    network: FinetunedNetwork, teacher: Teacher, images_N: Tensor
) -> npt.NDArray[np.float32]:
    """F (N,) of uint8 images (N, C, S, S)."""
    found = [
        network(teacher.preprocessing.normalize(part.to(teacher.device))).float().cpu().numpy()
        for part in images_N.split(_EVAL_IMAGES)
    ]
    return np.concatenate([np.empty(0, np.float32), *found])


def exported(network: FinetunedNetwork, teacher: Teacher) -> bytes:
    """The network as a .pt2 program of two logits, for any number of images, on the CPU."""
    module = _TwoLogits(copy.deepcopy(network).cpu()).eval()
    example = torch.zeros((2, *teacher.preprocessing.input_size))
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def score_of_noise(
    noise_value_N: npt.NDArray[np.float32], pseudo_label_N: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """F (N,) from what scoring stores of the two logits 0 and F.

    The noise value is V = -log max(p) = log(1 + exp(-|F|)), so |F| = -log(expm1(V)); the class
    gives the sign.
    """
    with np.errstate(divide="ignore"):
        size = -np.log(np.expm1(noise_value_N.astype(np.float64)))
    return np.where(pseudo_label_N == 1, size, -size).astype(np.float32)

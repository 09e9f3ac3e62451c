"""Feature hints of a run: which stages are compared, what is learned for it, and the loss.

A stage of the student meets the stage of the teacher that has its resolution. For regression a
1 x 1 convolution of its own turns each student's map into the teacher's channels; the
convolutions are updated by the student's optimizer, stand in the checkpoints, and in nothing that
is kept of the run.

Legend: N = images in the batch, C = channels, H and W = height and width of a map.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distiller.hint_options import HintOptions
from distiller.losses.hints import attention_loss, regression_loss, to_size
from distiller.randomness import Purpose, torch_seed
from shards.errors import UsageError


@dataclass(frozen=True)
class HintPair:
    """Two stages that are compared.

    Attributes:
        student, teacher: their taps.
        student_channels, teacher_channels: of their maps.
        size: (H, W) at which they are compared, the smaller one's.
    """

    student: str
    teacher: str
    student_channels: int
    teacher_channels: int
    size: tuple[int, int]


class Hints(nn.Module):
    """The loss between two networks' maps, with what is learned for it.

    Args:
        options: which loss.
        pairs: at least one, in the order in which maps are passed.
        seed: of the regressors' initial weights.

    Raises:
        UsageError: attention of maps with a single position, which are all alike.
    """

    scale_P: Tensor
    """(P,) mean square of the teacher's map of each pair; 1 until `measure_scale` was called."""

    def __init__(self, options: HintOptions, pairs: Sequence[HintPair], *, seed: int) -> None:
        super().__init__()
        self.options, self.pairs = options, tuple(pairs)
        self.register_buffer("scale_P", torch.ones(len(pairs)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(seed, Purpose.HINTS))
            self.regressors = nn.ModuleList(
                nn.Conv2d(pair.student_channels, pair.teacher_channels, 1)
                for pair in (self.pairs if options.kind == "regression" else ())
            )
        for pair in self.pairs:
            if options.kind == "attention" and pair.size == (1, 1):
                raise UsageError(
                    f"hints of kind attention: {pair.student} and {pair.teacher} meet in maps of "
                    "one position, which attend to it alike; choose earlier student_taps and "
                    "teacher_taps, or kind regression"
                )

    @torch.no_grad()
    def measure_scale(self, batches: Iterable[Sequence[Tensor]]) -> None:
        """Take the mean square of the teacher's maps over batches of them as the loss's unit.

        Raises:
            UsageError: a map that is zero everywhere.
        """
        total_P, num = torch.zeros(len(self.pairs), dtype=torch.float64), 0
        for maps in batches:
            for place, (pair, one) in enumerate(zip(self.pairs, maps, strict=True)):
                square_N = to_size(one, pair.size).square().mean(dim=(1, 2, 3))
                total_P[place] += float(square_N.double().sum())
            num += len(maps[0])
        for pair, total in zip(self.pairs, total_P.tolist(), strict=True):
            if not total > 0:
                raise UsageError(
                    f"hints: the teacher's {pair.teacher} answers training images with zeros alone "
                    "(or NaN), of which nothing can be learned; choose other teacher_taps"
                )
        self.scale_P.copy_(total_P / num)

    def forward(
        self,
        student_maps: Sequence[Tensor],
        teacher_maps: Sequence[Tensor],
        *,
        weights_N: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(weighted sum with gradient; the parts without: `hint_` or `attention_` + student's tap).

        Args:
            student_maps: one (N, C, H, W) of each pair; any float type.
            teacher_maps: of the same views.
            weights_N: (N,) sample weights that average 1 over the training set, or None.
        """
        parts: dict[str, Tensor] = {}
        losses: list[Tensor] = []
        for place, pair in enumerate(self.pairs):
            student = to_size(student_maps[place].float(), pair.size)
            teacher = to_size(teacher_maps[place].float(), pair.size)
            if self.options.kind == "attention":
                loss = attention_loss(student, teacher, weights_N=weights_N)
                parts[f"attention_{pair.student}"] = loss.detach()
            else:
                guided = self.regressors[place](student)
                loss = regression_loss(guided, teacher, weights_N=weights_N) / self.scale_P[place]
                parts[f"hint_{pair.student}"] = loss.detach()
            losses.append(loss)
        return self.options.weight * torch.stack(losses).sum(), parts

    def facts(self) -> list[dict[str, object]]:
        """For the card: what is compared with what."""
        return [
            {"student": pair.student, "teacher": pair.teacher, "size": list(pair.size)}
            for pair in self.pairs
        ]

"""One forward pass: a batch of pixels to everything that is stored of it, on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from selector.scores.uncertainty import LogitScores, scores_from_logits
from selector.scoring.features import FeatureBatch, FeaturePlan, FeatureStore
from selector.scoring.rows import RowBatch
from selector.teachers.runtime import Runtime


@dataclass(frozen=True, eq=False)
class Reply:
    """Results of a batch, in memory of the host; valid once `wait` has returned.

    Attributes:
        scores: None if no image of the batch has pixels.
        features: None also where none are asked for.
        forward_s: seconds that the pass took the thread that ran it.
    """

    scores: LogitScores | None
    features: FeatureBatch | None
    forward_s: float
    copied: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Block until the copies from the GPU have arrived; at once without one."""
        if self.copied is not None:
            self.copied.synchronize()


class Forward:
    """Runs a teacher on batches; scores and features come from the same pass.

    Args:
        features: None = scores alone.
        device: of the runtime.
    """

    def __init__(self, runtime: Runtime, features: FeaturePlan | None, *, device: str) -> None:
        self._runtime = runtime
        self._is_cuda = device.startswith("cuda")
        self._store = None if features is None else FeatureStore(features, device=device)

    @torch.inference_mode()
    def __call__(self, batch_NCHW: Tensor, rows: RowBatch) -> Reply:
        """Scores and features of a uint8 batch (N, C, S, S); nothing is run if no row is ok."""
        begin = perf_counter()
        if "ok" not in rows.status:
            return Reply(None, None, 0.0)
        answer = self._runtime.answer(batch_NCHW)
        found: list[Tensor] = [*scores_from_logits(answer.logits)]
        if self._store is not None and answer.features is not None:
            found += self._store(answer.features)
        copied = None
        if self._is_cuda:
            found, copied = _to_host(found)
        scores = LogitScores(*found[: len(LogitScores._fields)])
        rest = found[len(LogitScores._fields) :]
        features = FeatureBatch(*rest) if rest else None
        return Reply(scores, features, perf_counter() - begin, copied)


def _to_host(tensors: Sequence[Tensor]) -> tuple[list[Tensor], torch.cuda.Event]:
    """Copies in page-locked memory, under way; the event tells when they have arrived."""
    copies = [
        torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(
            tensor, non_blocking=True
        )
        for tensor in tensors
    ]
    event = torch.cuda.Event()
    event.record()
    return copies, event

"""A batch of pixels to everything that is stored of it, on the host: one pass for each view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from selector.scores.average import log_mean_probability
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
        forward_s: seconds that the passes took the thread that ran them.
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
    """Runs a teacher on batches; scores and features come from the same passes.

    Scores are of the average over all views, features of the first one, the teacher's own: they are
    to compare with those of images that were seen once, and so are the same for any views.

    Args:
        features: None = scores alone.
        device: of the runtime.
        mirrored: the mirror image of each crop is a view too.
    """

    def __init__(
        self,
        runtime: Runtime,
        features: FeaturePlan | None,
        *,
        device: str,
        mirrored: bool = False,
    ) -> None:
        self._runtime = runtime
        self._device = device
        self._mirrored = mirrored
        self._is_cuda = device.startswith("cuda")
        self._store = None if features is None else FeatureStore(features, device=device)

    @torch.inference_mode()
    def __call__(self, crops: Sequence[Tensor], rows: RowBatch) -> Reply:
        """Scores and features of N images; nothing is run if no row is ok.

        Args:
            crops: of every image, the teacher's own first: each uint8 (N, C, S, S).
        """
        begin = perf_counter()
        if "ok" not in rows.status:
            return Reply(None, None, 0.0)
        answer = self._runtime.answer(crops[0])
        stored: Sequence[Tensor] = ()
        if self._store is not None and answer.features is not None:
            stored = self._store(answer.features)
        found = [*scores_from_logits(self._averaged(answer.logits, crops)), *stored]
        copied = None
        if self._is_cuda:
            found, copied = _to_host(found)
        scores = LogitScores(*found[: len(LogitScores._fields)])
        rest = found[len(LogitScores._fields) :]
        features = FeatureBatch(*rest) if rest else None
        return Reply(scores, features, perf_counter() - begin, copied)

    def _averaged(self, own_NC: Tensor, crops: Sequence[Tensor]) -> Tensor:
        """Logits of the mean prediction; those of the own view, to the bit, if it is the only one.

        One view after the other, so that a pass is no larger than with one view. Its logits are
        copied at once where another pass follows: a captured graph writes into the same memory.
        """
        if len(crops) == 1 and not self._mirrored:
            return own_NC
        logits = [own_NC.clone()]
        for number, batch_NCHW in enumerate(crops):
            on_device = batch_NCHW.to(self._device, non_blocking=True)
            if number:
                logits.append(self._runtime.answer(on_device).logits.clone())
            if self._mirrored:
                mirror_image = on_device.flip(dims=(3,))
                logits.append(self._runtime.answer(mirror_image).logits.clone())
        return log_mean_probability(logits)


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

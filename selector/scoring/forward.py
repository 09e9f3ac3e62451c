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
from selector.scoring.fitting import FittingBatches
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

    A batch that the memory of the device does not hold is run in halves, and so are all later ones.

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
        # Of its own, or the copy of a batch would wait for the pass of the one before.
        self._uploads = torch.cuda.Stream(device) if self._is_cuda else None
        self._store = None if features is None else FeatureStore(features, device=device)
        self._fitting = FittingBatches(lambda size: self._runtime.fix_batch(size), device=device)

    @torch.inference_mode()
    def __call__(
        self, crops: Sequence[Tensor], rows: RowBatch, own_view_alone: bool = False
    ) -> Reply:
        """Scores and features of N images; nothing is run if no row is ok.

        Args:
            crops: of every image, the teacher's own first: each uint8 (N, C, S, S).
            own_view_alone: whatever views there are.
        """
        begin = perf_counter()
        if "ok" not in rows.status:
            return Reply(None, None, 0.0)

        def one_pass(pieces: Sequence[Tensor]) -> list[Tensor]:
            return self._compute(pieces, mirrored=self._mirrored and not own_view_alone)

        found = self._fitting.run(one_pass, crops[:1] if own_view_alone else crops)
        copied = None
        if self._is_cuda:
            found, copied = _to_host(found)
        scores = LogitScores(*found[: len(LogitScores._fields)])
        rest = found[len(LogitScores._fields) :]
        features = FeatureBatch(*rest) if rest else None
        return Reply(scores, features, perf_counter() - begin, copied)

    @property
    def halved_to(self) -> int | None:
        """Images that the memory of the device has held at once; None = none were ever refused."""
        return self._fitting.size

    def take_halvings(self) -> list[int]:
        """Sizes that batches were halved to since the last call: the device's memory was full."""
        return self._fitting.take_halvings()

    def _compute(self, crops: Sequence[Tensor], *, mirrored: bool) -> list[Tensor]:
        own_NCHW = self._upload(crops[0])
        answer = self._runtime.answer(own_NCHW)
        stored: Sequence[Tensor] = ()
        if self._store is not None and answer.features is not None:
            stored = self._store(answer.features)
        logits_NC = answer.logits
        if len(crops) > 1 or mirrored:
            logits_NC = self._averaged(logits_NC, own_NCHW, crops, mirrored=mirrored)
        return [*scores_from_logits(logits_NC), *stored]

    def _averaged(
        self, own_NC: Tensor, own_NCHW: Tensor, crops: Sequence[Tensor], *, mirrored: bool
    ) -> Tensor:
        """Logits of the mean prediction over all views.

        One view after the other, so that a pass is no larger than with one view. Its logits are
        copied at once where another pass follows: a captured graph writes into the same memory.
        """
        logits = [own_NC.clone()]
        for number, batch_NCHW in enumerate(crops):
            on_device = self._upload(batch_NCHW) if number else own_NCHW
            if number:
                logits.append(self._runtime.answer(on_device).logits.clone())
            if mirrored:
                mirror_image = on_device.flip(dims=(3,))
                logits.append(self._runtime.answer(mirror_image).logits.clone())
        return log_mean_probability(logits)

    def _upload(self, batch_NCHW: Tensor) -> Tensor:
        """The batch on the device; the pass that comes next waits for it, nobody else does.

        What the pass gives has therefore arrived only after the pixels have: whoever has waited
        for the reply may write to the page-locked memory of the batch again.
        """
        if self._uploads is None:
            return batch_NCHW
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._uploads):
            batch_NCHW = batch_NCHW.to(self._device, non_blocking=True)
        computing.wait_stream(self._uploads)
        batch_NCHW.record_stream(computing)
        return batch_NCHW


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

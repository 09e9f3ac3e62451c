"""The views of a batch: what both networks see of its images, and what the teacher says of it.

Teacher and student always see the SAME view: it is made once, here, and the teacher is asked here.

Legend: B = images in a batch, N = images of the set, C = channels or classes, S = image side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from distiller.augment import AugmentOptions, augment
from distiller.data.image_batch import ImageBatch
from distiller.randomness import Purpose, torch_generator
from selector.teachers.map_runtime import MapAnswer
from selector.teachers.runtime import Runtime

ALL = slice(None)

AsksForMaps = Callable[[Tensor], MapAnswer]


class View(NamedTuple):
    """Rows of a batch as the networks see them."""

    images_BCSS: Tensor
    """(B, C, S, S) uint8, not yet normalised."""

    teacher_logits_BC: Tensor | None
    """(B, C) float32 of just these images; None where the loss needs no teacher."""

    teacher_maps: tuple[Tensor, ...] = ()
    """For feature hints: (B, C', H, W) of each tapped stage."""


class Views(Protocol):
    """How batches become views; a pure function of the batch and the step's number."""

    def __call__(self, batch: ImageBatch, *, step: int, rows: slice = ALL) -> View:
        """The view of the batch's rows `rows`; a row's view is the same whatever rows are asked."""
        ...


class FreshViews:
    """A new random view at every step, of which the teacher is asked.

    Args:
        options: of the augmentation.
        seed: of the run.
        run_teacher: uint8 batch -> logits, or logits and maps; None where the loss needs none.
    """

    def __init__(
        self, options: AugmentOptions, *, seed: int, run_teacher: Runtime | AsksForMaps | None
    ) -> None:
        self._options, self._seed, self._run_teacher = options, seed, run_teacher

    def __call__(self, batch: ImageBatch, *, step: int, rows: slice = ALL) -> View:
        images_BCSS = augment(
            batch.images_BCSS,
            self._options,
            generator=torch_generator(self._seed, Purpose.AUGMENT, step),
        )[rows]
        answer = None if self._run_teacher is None else self._run_teacher(images_BCSS)
        if isinstance(answer, MapAnswer):
            return View(images_BCSS, answer.logits, answer.maps)
        return View(images_BCSS, answer)

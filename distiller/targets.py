"""Replayed targets: a few seeded views of every image, and the teacher's logits for them on disk.

The teacher is asked once for each view; every run that trains on the same images with the same
views, whatever its student, loss or seed, replays the answers. That saves the teacher's forward
pass, which with a deep teacher is most of a step, at the price of fewer different views.

    FOLDER/targets.json               what the targets were made from
    FOLDER/view-<v:05d>.safetensors   logits (N, C) float32 of view v

Legend: N = images of the set, B = images in a batch, C = channels or classes, S = image side.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pydantic import Field
from torch import Tensor

from distiller.augment import AugmentOptions, augment
from distiller.data.image_batch import ImageBatch
from distiller.identity import differences
from distiller.options import Options
from distiller.randomness import Purpose, torch_generator
from distiller.views import ALL, View
from selector.teachers.runtime import Runtime
from shards import atomic
from shards.errors import CoursepackError, StorageError, UsageError

_CHUNK = 256
"""Images that are augmented together; part of what a view is, so never change it."""


class TargetOptions(Options):
    """Where the teacher's answers are kept, and for how many views of each image."""

    folder: str
    """Local folder of the store; made if it is not there. One store serves every run with this
    teacher, these images, this augmentation, number of views and seed."""

    views: int = Field(default=1, ge=1, le=10_000)
    """Views of each image; epoch e trains on view e modulo views. 1 without augmentation is the
    plain image."""

    seed: int = Field(default=0, ge=0)
    """Of the views; apart from the run's seed, so that runs of several seeds share a store."""


class ReplayedViews:
    """`Views` from a store. Keeps the current view of all images in memory, beside the originals.

    Args:
        options: of the store.
        augmentation: how views are made.
        images_NCSS: (N, C, S, S) uint8, the whole set.
        run_teacher: asked for what the store lacks.
        batch_size: of a step; tells the epoch.
        made_from: fingerprints of teacher, preprocessing and images.
        on_progress: called with (views done, views of the store) while answers are collected.

    Raises:
        UsageError: the folder holds targets that were made from something else.
        StorageError: the folder cannot be read or written.
    """

    def __init__(
        self,
        options: TargetOptions,
        augmentation: AugmentOptions,
        images_NCSS: Tensor,
        *,
        run_teacher: Runtime,
        batch_size: int,
        made_from: Mapping[str, Any],
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._options, self._augmentation = options, augmentation
        self._images_NCSS, self._batch_size = images_NCSS, batch_size
        self._folder = Path(options.folder)
        claim_store(
            self._folder,
            {
                **made_from,
                "augment": augmentation.model_dump(mode="json"),
                "views": options.views,
                "seed": options.seed,
                "runtime": run_teacher.name,
                "images": len(images_NCSS),
            },
        )
        for view in range(options.views):
            if on_progress is not None:
                on_progress(view, options.views)
            self._complete(view, run_teacher)
        self._view = -1
        self._view_NCSS = images_NCSS
        self._logits_NC = torch.empty(0)

    def __call__(self, batch: ImageBatch, *, step: int, rows: slice = ALL) -> View:
        """A batch belongs to the epoch that it begins in."""
        epoch = step * self._batch_size // len(self._images_NCSS)
        self._open(epoch % self._options.views)
        where_B = batch.indices_B[rows].to(self._view_NCSS.device)
        return View(self._view_NCSS[where_B], self._logits_NC[where_B])

    def _open(self, view: int) -> None:
        if view == self._view:
            return
        self._view_NCSS = self._make_view(view)
        self._logits_NC = read_targets(self._path(view), num_images=len(self._images_NCSS)).to(
            self._images_NCSS.device
        )
        self._view = view

    def _make_view(self, view: int) -> Tensor:
        """All images as view number `view` shows them; the same whenever it is asked for."""
        chunks = self._images_NCSS.split(_CHUNK)
        return torch.cat(
            [
                augment(
                    chunk,
                    self._augmentation,
                    generator=torch_generator(
                        self._options.seed, Purpose.VIEWS, view * len(chunks) + number
                    ),
                )
                for number, chunk in enumerate(chunks)
            ]
        )

    def _complete(self, view: int, run_teacher: Runtime) -> None:
        path = self._path(view)
        if path.exists():
            return
        chunks = self._make_view(view).split(_CHUNK)
        logits_NC = torch.cat([run_teacher(chunk).cpu() for chunk in chunks])
        atomic.write_bytes(str(path), safetensors.torch.save({"logits": logits_NC.contiguous()}))

    def _path(self, view: int) -> Path:
        return self._folder / f"view-{view:05d}.safetensors"


def read_targets(path: Path, *, num_images: int) -> Tensor:
    """(N, C) float32 logits of a view.

    Raises:
        StorageError: the file is missing or damaged.
    """
    try:
        logits_NC = safetensors.torch.load_file(path)["logits"]
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise StorageError(
            f"{path} cannot be read ({error}); remove it and run the same command again"
        ) from error
    if len(logits_NC) != num_images:
        raise StorageError(
            f"{path} holds {len(logits_NC)} targets for {num_images} images; remove it and run the "
            "same command again"
        )
    return logits_NC


def claim_store(folder: Path, made_from: Mapping[str, Any]) -> None:
    """Make the store, or check that what lies there was made from the same.

    Raises:
        UsageError: it was not: names each difference.
        CoursepackError: targets.json cannot be read.
    """
    path = folder / "targets.json"
    asked = json.loads(json.dumps(made_from))
    if not path.exists():
        data = json.dumps(asked, indent=2, sort_keys=True).encode() + b"\n"
        if atomic.create_exclusive(str(path), data):
            return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CoursepackError(f"{path} cannot be read ({error}); remove the folder") from error
    lines = differences(found, asked)
    if lines:
        raise UsageError(
            f"{folder} holds targets made from something else:\n" + "\n".join(lines) + "\nGive "
            "another targets.folder, or remove this one"
        )

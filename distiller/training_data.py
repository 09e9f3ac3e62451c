"""What a run trains on and measures on: images, and labels and weights where there are any.

Legend: N = images of a set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distiller.data.image_batch import ImageSet
from distiller.data.image_index import ImageIndex, build_image_index
from distiller.data.labels import label_extension, read_labels
from distiller.data.lineage import Lineage
from distiller.data.open_images import open_images
from distiller.data_options import DataOptions
from distiller.randomness import Purpose, numpy_generator
from selector.teachers.preprocess import Preprocessing


@dataclass(frozen=True)
class Loading:
    """How any set of a run is read.

    Attributes:
        options: the `data` section of the configuration.
        preprocessing: from decoded pixels to the networks' uint8 input.
        device: where batches go.
        threads: of decoding.
        num_classes: labels are below it.
        class_names: their names, if known.
    """

    options: DataOptions
    preprocessing: Preprocessing
    device: torch.device
    threads: int
    num_classes: int
    class_names: Sequence[str] | None

    def index(self, specs: Sequence[str], *, labelled: bool) -> ImageIndex:
        """Where the images of some shards lie, and their labels if those are needed."""
        return build_image_index(
            specs,
            image_ext=self.options.image_ext,
            label_ext=label_extension(self.options.label) if labelled else None,
        )

    def open(self, index: ImageIndex) -> ImageSet:
        """The images themselves, in memory when they fit."""
        return open_images(
            index,
            self.preprocessing,
            memory_bytes=self.options.memory_bytes,
            max_bad=self.options.max_bad,
            threads=self.threads,
            device=self.device,
        )

    def labels(self, index: ImageIndex) -> Tensor:
        """(N,) int64 class of each image."""
        return read_labels(
            index,
            label=self.options.label,
            num_classes=self.num_classes,
            class_names=self.class_names,
        )


@dataclass(frozen=True)
class TrainingSet:
    """Images to train on.

    Attributes:
        images: N of them.
        index: where they lie.
        labels_N: (N,) int64 true classes, -1 = unknown; None where the run needs none.
        weights_N: (N,) float32 that average 1, or None for all ones.
        lineage: what the export that made the shards says of them, if anything.
        num_labelled: how many of the images, the last ones, are those of data.labelled.
    """

    images: ImageSet
    index: ImageIndex
    labels_N: Tensor | None
    weights_N: Tensor | None
    lineage: Lineage | None
    num_labelled: int = 0


@dataclass(frozen=True)
class EvaluationSet:
    """Images to measure on, each with its class; labels_N is (N,) int64."""

    images: ImageSet
    index: ImageIndex
    labels_N: Tensor


def open_training_set(
    loading: Loading,
    index: ImageIndex,
    lineage: Lineage | None,
    *,
    supervised: bool,
    labelled: ImageIndex | None = None,
) -> TrainingSet:
    """The images of `index`; a missing label is an error only when `supervised`.

    Args:
        loading: how sets are read.
        index: of all images.
        lineage: of them.
        supervised: every image needs its label.
        labelled: of the images of data.labelled, which are the last of `index`.
    """
    return TrainingSet(
        labels_N=_training_labels(loading, index, supervised=supervised, labelled=labelled),
        images=loading.open(index),
        index=index,
        weights_N=None if lineage is None else lineage.weights_N,
        lineage=lineage,
        num_labelled=0 if labelled is None else len(labelled),
    )


def _training_labels(
    loading: Loading, index: ImageIndex, *, supervised: bool, labelled: ImageIndex | None
) -> Tensor | None:
    if supervised:
        return loading.labels(index)
    if labelled is None or loading.options.labelled_ce is None:
        return None
    unknown_N = torch.full((len(index) - len(labelled),), -1, dtype=torch.int64)
    return torch.cat([unknown_N, loading.labels(labelled)])


def open_evaluation_set(loading: Loading) -> EvaluationSet | None:
    """The labelled images of `data.eval`, or None where none are configured."""
    if loading.options.eval is None:
        return None
    index = loading.index(loading.options.eval, labelled=True)
    return EvaluationSet(loading.open(index), index, loading.labels(index))


def open_pool_sample(
    loading: Loading, specs: Sequence[str], *, num_images: int, seed: int
) -> ImageSet:
    """At most `num_images` of the pool's images, drawn without replacement by the seed."""
    index = loading.index(specs, labelled=False)
    if len(index) > num_images:
        order = numpy_generator(seed, Purpose.POOL_SAMPLE).permutation(len(index))
        index = index.subset(np.sort(order[:num_images]))
    return loading.open(index)

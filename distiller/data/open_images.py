"""Which way a set's pixels come: kept in memory when they fit into the budget, else on demand."""

from __future__ import annotations

import torch

from distiller.data.bad_images import BadImages
from distiller.data.image_batch import ImageSet
from distiller.data.image_index import ImageIndex
from distiller.data.in_memory import load_into_memory
from distiller.data.on_demand import OnDemandImages
from selector.teachers.preprocess import Preprocessing
from shards.decode import DEFAULT_LIMITS, DecodeLimits


def decoded_bytes(num_images: int, preprocessing: Preprocessing) -> int:
    """Memory that decoded images take: one byte per pixel and channel."""
    channels, height, width = preprocessing.input_size
    return num_images * channels * height * width


def open_images(
    index: ImageIndex,
    preprocessing: Preprocessing,
    *,
    memory_bytes: int,
    max_bad: float,
    threads: int,
    device: torch.device,
    limits: DecodeLimits = DEFAULT_LIMITS,
) -> ImageSet:
    """The images of `index`, ready to be asked for batches.

    Args:
        index: where the images are.
        preprocessing: the teacher's own.
        memory_bytes: budget for decoded images.
        max_bad: unusable samples that are put up with; below 1 a share, from 1 on a count.
        threads: of decoding.
        device: where batches go; a set that fits lives there as a whole.
        limits: on image size, checked before decoding.

    Raises:
        CoursepackError: too many images are unusable (a set read on demand tells so later).
        UsageError: the set does not fit and its shards are compressed.
    """
    bad = BadImages(index.num_samples, max_bad=max_bad, examples=index.examples)
    for reason, count in index.skipped.items():
        bad.add_samples(reason, count)
    bad.check()
    if decoded_bytes(len(index), preprocessing) <= memory_bytes:
        return load_into_memory(
            index, preprocessing, bad=bad, threads=threads, limits=limits, device=device
        )
    return OnDemandImages(
        index, preprocessing, bad=bad, threads=threads, limits=limits, device=device
    )

"""Images decoded once and kept as one uint8 tensor: a batch is then a single indexing operation.

A million 32-pixel images take 3 GB this way and need no loader at all.

Legend: N = images, B = images in a batch, C = channels, S = height = width in pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distiller.data.bad_images import BadImages
from distiller.data.image_batch import ImageBatch
from distiller.data.image_index import ImageIndex
from distiller.data.walk import indexed_samples, member_data
from selector.teachers.input_pixels import input_pixels
from selector.teachers.preprocess import Preprocessing
from shards.decode import DecodeLimits
from shards.errors import CoursepackError, ImageError
from shards.sample import Data

_IMAGES_PER_JOB = 64


@dataclass(frozen=True)
class InMemoryImages:
    """A decoded set.

    Attributes:
        images_NCSS: (N, C, S, S) uint8 on the run's device; undecodable images are zeros.
        stand_in_N: (N,) int64: the image itself, or the next decodable one.
        bad: what could not be used.
    """

    images_NCSS: Tensor
    stand_in_N: Tensor
    bad: BadImages

    @property
    def num_images(self) -> int:
        """Images of the set, undecodable ones included."""
        return len(self.images_NCSS)

    def batches(self, index_batches: Iterable[Tensor]) -> Generator[ImageBatch, None, None]:
        """See `ImageSet.batches`."""
        for asked_B in index_batches:
            indices_B = self.stand_in_N[asked_B]
            where_B = indices_B.to(self.images_NCSS.device)
            yield ImageBatch(indices_B, self.images_NCSS.index_select(0, where_B))


def load_into_memory(
    index: ImageIndex,
    preprocessing: Preprocessing,
    *,
    bad: BadImages,
    threads: int,
    limits: DecodeLimits,
    device: torch.device,
) -> InMemoryImages:
    """Decode every image of `index` with `threads` threads.

    Raises:
        CoursepackError: more images are unusable than `bad` allows, or all are.
    """
    images_NCSS = np.zeros((len(index), *preprocessing.input_size), dtype=np.uint8)
    is_good_N = np.ones(len(index), dtype=bool)

    def decode_job(job: list[tuple[int, Data]]) -> list[tuple[int, ImageError]]:
        failed = []
        for image, data in job:
            try:
                images_NCSS[image] = input_pixels(data, preprocessing, limits=limits)
            except ImageError as error:
                failed.append((image, error))
        return failed

    def finish(future: Future[list[tuple[int, ImageError]]]) -> None:
        for image, error in future.result():
            is_good_N[image] = False
            bad.add_image(image, error.status, example=f"{index.describe(image)}: {error}")

    in_flight: deque[Future[list[tuple[int, ImageError]]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        for job in _jobs(index):
            in_flight.append(pool.submit(decode_job, job))
            # Bounded, because jobs of a compressed shard hold copies of its bytes.
            if len(in_flight) > 4 * threads:
                finish(in_flight.popleft())
        while in_flight:
            finish(in_flight.popleft())
    bad.check()
    return InMemoryImages(
        images_NCSS=torch.from_numpy(images_NCSS).to(device),
        stand_in_N=torch.from_numpy(next_good(is_good_N)),
        bad=bad,
    )


def next_good(is_good_N: np.ndarray) -> np.ndarray:
    """For each image the first good one at or after it, going round at the end; (N,) int64.

    Raises:
        CoursepackError: none is good.
    """
    good = is_good_N.nonzero()[0]
    if not good.size:
        raise CoursepackError(f"none of {len(is_good_N)} images can be decoded")
    following = np.searchsorted(good, np.arange(len(is_good_N)))
    stand_in_N: np.ndarray = good[following % len(good)]
    return stand_in_N


def _jobs(index: ImageIndex) -> Iterator[list[tuple[int, Data]]]:
    """The images' bytes in order, some at a time; views of local shards outlive their reader."""
    job: list[tuple[int, Data]] = []
    for image, sample in indexed_samples(index):
        job.append((image, member_data(sample, int(index.offset_N[image]))))
        if len(job) == _IMAGES_PER_JOB:
            yield job
            job = []
    if job:
        yield job

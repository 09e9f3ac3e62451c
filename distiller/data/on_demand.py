"""Images read and decoded when their batch is due, for sets that do not fit into memory.

A thread pool works a few batches ahead; what it reads is the byte range of each image, so shards
have to be uncompressed.

Legend: B = images in a batch, C = channels, S = height = width in pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distiller.data.bad_images import BadImages
from distiller.data.image_batch import ImageBatch
from distiller.data.image_index import ImageIndex
from selector.teachers.input_pixels import input_pixels
from selector.teachers.preprocess import Preprocessing
from shards import storage
from shards.decode import DecodeLimits
from shards.errors import CoursepackError, ImageError, ShardError, UsageError
from shards.reader import is_compressed

_BATCHES_AHEAD = 3


class _Part(NamedTuple):
    """What one job of the pool brings back."""

    images: list[int]
    pixels: list[np.ndarray]
    failures: list[tuple[int, ImageError]]


class OnDemandImages:
    """A set that stays in its shards; see `ImageSet` for what it promises.

    Args:
        index: where the images are.
        preprocessing: the teacher's own.
        bad: counts what cannot be used, each image once.
        threads: of reading and decoding.
        limits: on image size, checked before decoding.
        device: where batches go.

    Raises:
        UsageError: a shard is compressed.
    """

    def __init__(
        self,
        index: ImageIndex,
        preprocessing: Preprocessing,
        *,
        bad: BadImages,
        threads: int,
        limits: DecodeLimits,
        device: torch.device,
    ) -> None:
        for info in index.shards:
            if is_compressed(info.uri):
                raise UsageError(
                    f"{info.uri} is compressed, so its images cannot be read on demand, and the "
                    "set does not fit into data.memory_bytes; raise that, or re-shard to plain "
                    ".tar with `coursepack shards build`"
                )
        self.bad = bad
        self._index = index
        self._preprocessing = preprocessing
        self._threads = threads
        self._limits = limits
        self._device = device

    @property
    def num_images(self) -> int:
        """Images of the set, undecodable ones included."""
        return len(self._index)

    def batches(self, index_batches: Iterable[Tensor]) -> Generator[ImageBatch, None, None]:
        """See `ImageSet.batches`; up to three batches are being decoded while one is used."""
        ahead: deque[list[Future[_Part]]] = deque()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="decode") as pool:
            try:
                for asked_B in index_batches:
                    # A few jobs per thread: small enough to share the work, large enough that
                    # handing it out costs nothing.
                    parts = np.array_split(asked_B.numpy(), 2 * self._threads)
                    ahead.append(
                        [pool.submit(self._load_part, part.tolist()) for part in parts if part.size]
                    )
                    if len(ahead) > _BATCHES_AHEAD:
                        yield self._assemble(ahead.popleft())
                while ahead:
                    yield self._assemble(ahead.popleft())
            finally:
                # The consumer may stop early; what is queued is of no use then.
                pool.shutdown(wait=True, cancel_futures=True)

    def _assemble(self, futures: list[Future[_Part]]) -> ImageBatch:
        parts = [future.result() for future in futures]
        for part in parts:
            for image, error in part.failures:
                where = self._index.describe(image)
                self.bad.add_image(image, error.status, example=f"{where}: {error}")
        self.bad.check()
        images_BCSS = torch.from_numpy(np.stack([p for part in parts for p in part.pixels]))
        if self._device.type == "cuda":
            images_BCSS = images_BCSS.pin_memory().to(self._device, non_blocking=True)
        return ImageBatch(torch.tensor([i for part in parts for i in part.images]), images_BCSS)

    def _load_part(self, asked: list[int]) -> _Part:
        part = _Part([], [], [])
        for image in asked:
            for step in range(len(self._index)):
                candidate = (image + step) % len(self._index)
                if candidate in self.bad.status_of:
                    continue
                try:
                    pixels = self._load(candidate)
                except ImageError as error:
                    part.failures.append((candidate, error))
                    if len(part.failures) > self.bad.allowed:
                        return part  # counting it will stop the run; searching on would not help
                    continue
                part.images.append(candidate)
                part.pixels.append(pixels)
                break
            else:
                raise CoursepackError(f"none of {len(self._index)} images can be decoded")
        return part

    def _load(self, image: int) -> np.ndarray:
        info = self._index.shards[self._index.shard_N[image]]
        offset, size = int(self._index.offset_N[image]), int(self._index.size_N[image])
        data = storage.read_range(info.uri, offset, size)
        if len(data) != size:
            raise ShardError(
                f"{self._index.describe(image)} should have {size} bytes at {offset}, found "
                f"{len(data)}: the shard changed while it was in use; run the command again",
                shard=info.uri,
            )
        return input_pixels(data, self._preprocessing, limits=self._limits)

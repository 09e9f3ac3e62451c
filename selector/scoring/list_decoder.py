"""Lists of JPEGs to the teacher's input at once: decoded and resized where the network runs.

`torchvision.io.decode_jpeg` takes lists on a GPU (nvJPEG) and on a CPU (libjpeg-turbo); behind it
everything is the same on both.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from selector.scores.hashes import GREY_SIDE
from selector.teachers.preprocess import Preprocessing
from shards.sample import Data

INTERPOLATIONS = ("bilinear", "bicubic")
"""Filters that torch has with antialiasing."""

_LUMA = (0.299, 0.587, 0.114)


class DecodedList(NamedTuple):
    """N images on the host.

    Attributes:
        inputs_NHWC: uint8 (N, S, S, C), what the teacher gets.
        thumbnails_NHW: uint8 (N, 32, 32), what `phash` gets.
        sizes: (height, width) as decoded.
    """

    inputs_NHWC: npt.NDArray[np.uint8]
    thumbnails_NHW: npt.NDArray[np.uint8]
    sizes: list[tuple[int, int]]


class ListDecoder(Protocol):
    """What a lane needs to decode lists."""

    def __call__(self, images: Sequence[Data]) -> DecodedList:
        """All of them; raises whatever it likes if it cannot do one."""
        ...


class TorchvisionDecoder:
    """`torchvision.io.decode_jpeg`, and resizing as the teacher wants it.

    Results are copied to the host, through page-locked memory: a batch is made of images of all
    lanes, and travels to the GPU as a whole. At 224 pixels that is 150 kB an image each way, a
    twentieth of what nvJPEG takes for it; to assemble batches on the device would double every path
    behind (padding, views, batches in halves) for that.

    Args:
        device: where it is done: "cuda" needs nvJPEG.

    Raises:
        RuntimeError: this build of torchvision cannot decode there.
    """

    def __init__(self, preprocessing: Preprocessing, *, device: str) -> None:
        from torchvision.io import ImageReadMode, decode_jpeg

        # torchvision 0.29 points to TorchCodec with every call.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torchvision\.io")
        self._decode_jpeg = decode_jpeg
        self._mode = ImageReadMode.GRAY if preprocessing.channels == 1 else ImageReadMode.RGB
        self._preprocessing = preprocessing
        self._device = torch.device(device)
        is_cuda = self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if is_cuda else None

    @torch.inference_mode()
    def __call__(self, images: Sequence[Data]) -> DecodedList:
        # Writable copies: the bytes of a mapped shard are not, and torch warns of that.
        encoded = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in images]
        with self._on_stream():
            decoded = self._decode_jpeg(encoded, mode=self._mode, device=self._device)
            inputs, thumbnails = [], []
            for pixels_CHW in decoded:
                values_CHW = pixels_CHW.float()
                inputs.append(to_input(values_CHW, self._preprocessing))
                thumbnails.append(thumbnail(values_CHW))
            found = [
                _as_bytes(torch.stack(inputs)).permute(0, 2, 3, 1).contiguous(),
                _as_bytes(torch.stack(thumbnails)),
            ]
            if self._stream is not None:
                found = [
                    torch.empty_like(one, device="cpu", pin_memory=True).copy_(
                        one, non_blocking=True
                    )
                    for one in found
                ]
                # Before the next list too: nvJPEG writes on a stream of its own, into memory that
                # is free for it once nothing that was begun here reads it any more.
                self._stream.synchronize()
        sizes = [(int(one.shape[1]), int(one.shape[2])) for one in decoded]
        return DecodedList(found[0].numpy(), found[1].numpy(), sizes)

    def check(self) -> None:
        """Decode something, so that what is missing is known before it is relied on.

        Raises:
            RuntimeError: it cannot.
        """
        from PIL import Image

        file = io.BytesIO()
        Image.new("RGB", (256, 160), (200, 100, 50)).save(file, "JPEG")
        found = self([file.getvalue()])
        if found.sizes != [(160, 256)] or abs(int(found.thumbnails_NHW.mean()) - 124) > 2:
            raise RuntimeError("a plain picture comes out wrong")

    def _on_stream(self) -> Any:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def to_input(pixels_CHW: Tensor, preprocessing: Preprocessing) -> Tensor:
    """One image, floats in 0..255, as the teacher's input (C, S, S), in about the same range.

    Raises:
        ImageError: too_large, as `Preprocessing.apply`.
    """
    height, width = pixels_CHW.shape[1:]
    side = preprocessing.crop
    if preprocessing.resize_mode == "none":
        return _center_crop(pixels_CHW, side)
    if preprocessing.resize_mode == "center_fraction":
        top, left, cut = preprocessing.central_square(height, width)
        pixels_CHW = pixels_CHW[:, top : top + cut, left : left + cut]
        return _resize(pixels_CHW, (side, side), preprocessing.interpolation)
    size = preprocessing.resized_size(height, width)
    return _center_crop(_resize(pixels_CHW, size, preprocessing.interpolation), side)


def thumbnail(pixels_CHW: Tensor) -> Tensor:
    """(32, 32) area averages of the grey image, all floats in 0..255, as `phash` wants them.

    An image of fewer pixels a side than that is not meant to come here.
    """
    grey_HW = pixels_CHW[0]
    if len(pixels_CHW) == 3:
        luma = _constant(_LUMA, pixels_CHW.device)
        grey_HW = torch.einsum("chw,c->hw", pixels_CHW, luma).round_()
    rows = _box_weights(grey_HW.shape[0], grey_HW.device)
    columns = _box_weights(grey_HW.shape[1], grey_HW.device)
    return rows @ grey_HW @ columns.T


def _as_bytes(values: Tensor) -> Tensor:
    return values.round_().clamp_(0, 255).to(torch.uint8)


def _resize(pixels_CHW: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    return functional.interpolate(pixels_CHW[None], size=size, mode=interpolation, antialias=True)[
        0
    ]


def _center_crop(values_CHW: Tensor, side: int) -> Tensor:
    """As `selector.teachers.preprocess.center_crop`."""
    height, width = values_CHW.shape[1:]
    if height < side or width < side:
        rows, columns = max(0, side - height), max(0, side - width)
        padding = (columns // 2, (columns + 1) // 2, rows // 2, (rows + 1) // 2)
        values_CHW = functional.pad(values_CHW, padding)
        height, width = values_CHW.shape[1:]
    top, left = round((height - side) / 2), round((width - side) / 2)
    return values_CHW[:, top : top + side, left : left + side]


@lru_cache(maxsize=8)
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device)


@lru_cache(maxsize=128)
def _box_weights(length: int, device: torch.device) -> Tensor:
    """(32, length): each row averages the pixels whose centres lie in its 32nd, as Pillow's BOX."""
    scale = length / GREY_SIDE
    centres = (torch.arange(GREY_SIDE, dtype=torch.float64)[:, None] + 0.5) * scale
    away = (torch.arange(length, dtype=torch.float64) + 0.5 - centres) / scale
    weights = ((away > -0.5) & (away <= 0.5)).double()
    return (weights / weights.sum(dim=1, keepdim=True)).float().to(device)

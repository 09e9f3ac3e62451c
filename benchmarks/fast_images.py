"""Real images on which `decode: fast` is judged and timed, and the teachers that look at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from benchmarks.cifar_data import data_folder
from selector.teachers.spec import TeacherSpec
from shards import storage
from shards.decode import decode
from shards.reader import open_shard

LEAST_SIDE = 512
_TILE_SIDE = (512, 2048)
_TILE_QUALITY = 90


@dataclass(frozen=True)
class FastSet:
    """Encoded images and who looks at them.

    Attributes:
        groups: of each image; those of one photograph share one. Its parity is the half.
    """

    name: str
    what: str
    teacher: TeacherSpec
    images: list[bytes]
    groups: list[int]


def fast_sets(photos: Path, *, tiles: int, half: int) -> Iterator[FastSet]:
    """The sets, with the images of one half only."""

    def of_half(
        name: str, what: str, teacher: TeacherSpec, found: list[tuple[int, bytes]]
    ) -> FastSet:
        kept = [(group, data) for group, data in found if group % 2 == half]
        return FastSet(
            name, what, teacher, [data for _, data in kept], [group for group, _ in kept]
        )

    lite = TeacherSpec(name="efficientnet-lite/0")
    small = TeacherSpec(name="efficientnet-lite/0", preprocessing={"crop": 112, "resize": 128})
    cifar = TeacherSpec(
        name="he/resnet20", weights=str(data_folder() / "weights" / "resnet20_cifar10.npz")
    )
    natural = list(enumerate(imagenet_images()))
    whole = list(enumerate(photographs(photos)))
    cut = [(group, tile) for group, data in whole for tile in cut_tiles(data, tiles, seed=group)]
    what = f"{len(whole)} photographs and {len(cut)} tiles of them, 224 pixels"
    yield of_half("large", what, lite, whole + cut)
    what = what.partition(",")[0]
    yield of_half("large at 112", f"{what}, 112 pixels", small, whole + cut)
    yield of_half("large at 32", f"{what}, 32 pixels, a CIFAR teacher", cifar, whole + cut)
    yield of_half("imagenet", "200 ImageNet JPEGs, 224 pixels", lite, natural)
    yield of_half("imagenet at 112", "the same, 112 pixels", small, natural)
    yield of_half("imagenet at 32", "the same, 32 pixels, a CIFAR teacher", cifar, natural)


def imagenet_images() -> Iterator[bytes]:
    """The 200 JPEGs of the sample, as they are."""
    for info in storage.expand([str(data_folder() / "imagenet_sample")]):
        with open_shard(info.uri) as shard:
            for sample in shard.samples():
                image = sample.image()
                assert image is not None
                yield bytes(image[1])


def photographs(folder: Path) -> Iterator[bytes]:
    """JPEGs below a folder, in order of their paths, none smaller than 512 pixels a side."""
    for path in sorted(folder.rglob("*.jp*g")):
        if path.is_file() and not path.is_symlink():
            with Image.open(path) as image:
                if min(image.size) < LEAST_SIDE:
                    continue
            yield path.read_bytes()


def cut_tiles(data: bytes, count: int, *, seed: int) -> Iterator[bytes]:
    """Parts of a photograph at its own resolution, encoded anew; fewer of a small photograph."""
    pixels = decode(data, orientation="stored")
    rng = np.random.default_rng([seed, 5])
    for _ in range(count):
        low, high = np.log2(_TILE_SIDE)
        height = int(2 ** rng.uniform(low, high))
        width = height * 4 // 3
        if height > pixels.shape[0] or width > pixels.shape[1]:
            continue
        top = int(rng.integers(pixels.shape[0] - height + 1))
        left = int(rng.integers(pixels.shape[1] - width + 1))
        tile = np.ascontiguousarray(pixels[top : top + height, left : left + width])
        yield simplejpeg.encode_jpeg(tile, _TILE_QUALITY, colorsubsampling="420")

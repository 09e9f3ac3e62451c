"""What `decode: fast` saves: decoding and resizing, exact against fast, in pairs.

    python -m benchmarks.fast_time [--photos DIR] [--pairs 7] [--images 60]

The sets are those of `benchmarks.fast_gate`, with whole photographs and tiles apart, if a folder of
photographs is given; beside them ImageNet JPEGs enlarged to 12 megapixels, which are made up: for
their pixels they have few bytes. Every pair prepares the same images in both modes, one right after
the other and in turns first, in one thread, counted by processor time: decoding, the resize to the
teacher's input, the thumbnail of the perceptual hash. Prints one JSON line for each set:
milliseconds an image of both, the ratio exact / fast of every pair, their median and its 95 %
interval.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import thread_time

import numpy as np
import simplejpeg
from PIL import Image

from benchmarks.fast_images import cut_tiles, imagenet_images, photographs
from cluster.provenance import commit, hardware, now, versions
from cluster.speed.figures import median_interval
from selector.scoring.decode_job import thumbnails
from selector.teachers.input_pixels import decode_for
from selector.teachers.preprocess import Preprocessing
from selector.teachers.zoo import default_preprocessing
from shards.decode import DEFAULT_LIMITS, decode


def seconds(images: Sequence[bytes], preprocessing: Preprocessing) -> float:
    """Processor seconds of this thread for all images."""
    begin = thread_time()
    for data in images:
        picture = decode_for(data, preprocessing, limits=DEFAULT_LIMITS)
        preprocessing.apply_stack(picture.pixels[None], picture.frame)
        thumbnails(picture.pixels[None], picture.frame)
    return thread_time() - begin


def enlarged(data: bytes) -> bytes:
    """The same scene with 4,000 x 3,000 pixels, quality 90."""
    pixels = Image.fromarray(decode(data)).resize((4000, 3000), Image.Resampling.BICUBIC)
    return simplejpeg.encode_jpeg(np.asarray(pixels), 90, colorsubsampling="420")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--images", type=int, default=60, help="of a set, at most")
    options = parser.parse_args()
    whole = list(photographs(options.photos))[: options.images] if options.photos else []
    tiles = [tile for seed, data in enumerate(whole) for tile in cut_tiles(data, 2, seed=seed)]
    natural = list(imagenet_images())[: options.images]
    at_224 = default_preprocessing("torchvision/resnet50")
    large = [enlarged(data) for data in natural[:12]]
    at_32 = default_preprocessing("he/resnet20")
    sets = [
        ("photographs, 224 pixels", whole, at_224),
        ("tiles of photographs, 224 pixels", tiles[: options.images], at_224),
        ("ImageNet enlarged to 12 MP (made up), 224 pixels", large, at_224),
        ("ImageNet, 224 pixels", natural, at_224),
        ("ImageNet, 112 pixels", natural, replace(at_224, resize=128, crop=112)),
        ("ImageNet, 32 pixels", natural, at_32),
    ]  # fmt: skip
    for name, images, exact in sets:
        if not images:
            continue
        arms = {"exact": exact, "fast": replace(exact, decode="fast")}
        pictures = [decode_for(data, arms["fast"], limits=DEFAULT_LIMITS) for data in images]
        taken: dict[str, list[float]] = {mode: [] for mode in arms}
        for pair in range(-1, options.pairs):  # one to warm up
            for mode in sorted(arms, reverse=bool(pair % 2)):
                found = seconds(images, arms[mode])
                if pair >= 0:
                    taken[mode].append(found)
        ratios = [slow / quick for slow, quick in zip(*taken.values(), strict=True)]
        line = {
            "benchmark": "fast_time",
            "set": name,
            "images": len(images),
            "megapixels": round(
                statistics.mean(one.height * one.width for one in pictures) / 1e6, 2
            ),
            "kilobytes": round(statistics.mean(map(len, images)) / 1e3),
            "reduced": sum(one.frame is not None for one in pictures),
            "least": arms["fast"].least_pixels,
            "ms": {
                mode: round(1e3 * statistics.median(found) / len(images), 3)
                for mode, found in taken.items()
            },
            "ratios": [round(ratio, 3) for ratio in ratios],
            "ratio": round(statistics.median(ratios), 3),
            "interval": [round(bound, 3) for bound in median_interval(ratios)],
            "at": now(),
            "hardware": hardware(),
            "versions": versions(),
            "commit": commit(),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

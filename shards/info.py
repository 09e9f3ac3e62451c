"""What shards hold, from names and headers alone: counts, bytes, sizes of images."""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from shards import storage
from shards.decode import probe_size
from shards.errors import ImageError, ShardError, StorageError
from shards.reader import open_shard
from shards.sample import IMAGE_EXTENSIONS, Sample

SIZE_EDGES = (1, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Lower edges of the bins of the histogram of short sides, in pixels; the last bin is open."""


@dataclass
class _Count:
    """What is gathered over all shards; by value, so that it does not grow with the pool."""

    samples: int = 0
    images: int = 0
    unreadable: int = 0
    extensions: Counter[str] = field(default_factory=Counter)
    image_bytes: Counter[int] = field(default_factory=Counter)
    widths: Counter[int] = field(default_factory=Counter)
    heights: Counter[int] = field(default_factory=Counter)
    short_sides: Counter[int] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)


def info(
    specs: Sequence[str],
    *,
    image_ext: Sequence[str] = IMAGE_EXTENSIONS,
    on_shard: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Describe shards, ready for JSON; no pixel is decoded.

    Args:
        specs: folders, files, globs, brace patterns, as `shards.storage.expand`.
        image_ext: which member of a sample is its image.
        on_shard: called with the URI of each shard as it is done.

    Returns:
        shards, num_bytes (of the files), samples, images, unreadable_images (no readable header),
        extensions {extension: members}, problems {kind: count}, image_bytes and width and height
        {min, median, mean, max} (empty without images; sizes are the stored ones, before any EXIF
        orientation), short_sides {"32-63": images, ...}.

    Raises:
        StorageError, UsageError: specs that name nothing, a place that does not answer.
    """
    found = storage.expand(specs)
    count = _Count()
    for shard in found:
        try:
            with open_shard(shard.uri) as reader:
                for sample in reader.samples():
                    _add(sample, image_ext, count)
                count.problems.update(problem.kind for problem in reader.problems)
        except ShardError:
            count.problems["not_a_shard"] += 1
        except StorageError as error:
            if error.retriable:
                raise
            count.problems["read_error"] += 1
        if on_shard is not None:
            on_shard(shard.uri)
    return {
        "shards": len(found),
        "num_bytes": sum(max(0, shard.num_bytes) for shard in found),
        "samples": count.samples,
        "images": count.images,
        "unreadable_images": count.unreadable,
        "extensions": dict(count.extensions.most_common()),
        "problems": dict(sorted(count.problems.items())),
        "image_bytes": _spread(count.image_bytes),
        "width": _spread(count.widths),
        "height": _spread(count.heights),
        "short_sides": _histogram(count.short_sides),
    }


def _add(sample: Sample, image_ext: Sequence[str], count: _Count) -> None:
    count.samples += 1
    count.extensions.update(member.extension for member in sample.entry.members)
    found = sample.image(image_ext)
    if found is None:
        return
    count.images += 1
    count.image_bytes[len(found[1])] += 1
    try:
        width, height = probe_size(found[1])
    except ImageError:
        count.unreadable += 1
        return
    count.widths[width] += 1
    count.heights[height] += 1
    count.short_sides[min(width, height)] += 1


def _spread(counts: Counter[int]) -> dict[str, float]:
    """Minimum, lower median, mean and maximum of values that are counted."""
    if not counts:
        return {}
    total = counts.total()
    values = sorted(counts)
    ranks = itertools.accumulate(counts[value] for value in values)
    median = next(value for value, rank in zip(values, ranks, strict=True) if 2 * rank >= total)
    mean = sum(value * count for value, count in counts.items()) / total
    return {"min": values[0], "median": median, "mean": round(mean, 1), "max": values[-1]}


def _histogram(short_sides: Counter[int]) -> dict[str, int]:
    """Images by short side; bins without images are left out."""
    names = [f"{low}-{high - 1}" for low, high in itertools.pairwise(SIZE_EDGES)]
    names.append(f"{SIZE_EDGES[-1]}+")
    counts = [0] * len(names)
    for side, count in short_sides.items():
        counts[max(0, bisect.bisect_right(SIZE_EDGES, side) - 1)] += count
    return {name: count for name, count in zip(names, counts, strict=True) if count}

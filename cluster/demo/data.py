"""The demo's data on disk: digits as arrays, the pool of glyphs as shards."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from cluster.demo.digits import load_digits
from cluster.demo.glyphs import DIGITS, render_glyphs
from cluster.demo.settings import DemoSettings
from cluster.pool_manifest import read_manifest
from selector.tables.layout import RunLayout
from selector.tables.schema import row_id
from shards.reader import open_shard
from shards.writer import ShardWriter

DIGIT_SEED = 0
POOL_SEED = 0


def write_digits(home: Path) -> None:
    """`digits-train.npz` and `digits-test.npz`, each with `images` and `labels`."""
    for name, digits in zip(("train", "test"), load_digits(seed=DIGIT_SEED), strict=True):
        np.savez(home / f"digits-{name}.npz", images=digits.images, labels=digits.labels)


def write_class_names(path: Path) -> None:
    """The ten digits, one a line."""
    path.write_text("".join(f"{digit}\n" for digit in range(10)))


def write_pool(folder: Path, settings: DemoSettings) -> None:
    """The glyphs as shards: a .png, and a .json with the character, for evaluation alone."""
    images, characters = render_glyphs(settings.num_glyphs, seed=POOL_SEED)
    with ShardWriter(str(folder), prefix="glyphs", max_count=settings.glyphs_per_shard) as writer:
        for number, (pixels, character) in enumerate(zip(images, characters, strict=True)):
            truth = json.dumps({"character": character}).encode()
            writer.write(f"glyph-{number:06d}", {"png": _png(pixels), "json": truth})


def digit_shares(run: Path, selections: dict[str, Path]) -> dict[str, float]:
    """Share of printed digits in the pool and in each selection (name -> selection.parquet).

    Read from the pool's .json members: ground truth for this figure, which nothing that selects
    or trains ever sees.
    """
    is_digit = _ground_truth(run)
    shares = {"pool": sum(is_digit.values()) / len(is_digit)}
    for name, path in selections.items():
        rows = pq.read_table(path, columns=["row_id"])["row_id"].to_pylist()
        shares[name] = sum(is_digit[row] for row in rows) / len(rows)
    return shares


def _ground_truth(run: Path) -> dict[int, bool]:
    """row_id -> whether the image shows a digit."""
    manifest = read_manifest(RunLayout(str(run)))
    truth: dict[int, bool] = {}
    for entry in manifest.entries:
        with open_shard(entry.uri) as shard:
            for sample in shard.samples():
                members = dict(
                    zip((m.extension for m in sample.entry.members), sample.data, strict=True)
                )
                character = json.loads(bytes(members["json"]))["character"]
                truth[row_id(entry.shard_id, sample.entry.index)] = character in DIGITS
    return truth


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()

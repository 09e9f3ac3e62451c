"""Export for FiftyOne: a folder of images with labels that it imports.

import fiftyone as fo
dataset = fo.Dataset.from_dir(
    dataset_dir="DIR", dataset_type=fo.types.FiftyOneImageClassificationDataset
)

DIR/data/<row_id>.<ext>     the bytes of the image, as they are in the pool
DIR/labels.json             class, confidence, and everything else as attributes of the label
"""

from __future__ import annotations

import json
import math
from typing import Any

from selector.report.export_rows import export_images, export_rows
from selector.report.source import Source
from shards import atomic, storage
from shards.errors import UsageError
from shards.sample import Data

_KINDS = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG", "png"),
    (b"GIF8", "gif"),
    (b"RIFF", "webp"),
    (b"BM", "bmp"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"P6", "ppm"),
)


def to_fiftyone(source: Source, out: str) -> tuple[int, int]:
    """Write the images of the map, or a sample where there is none, with their labels.

    Returns:
        Images written, and how many were left out because they cannot be read.

    Raises:
        UsageError: the folder holds something already.
        StorageError: a table cannot be read, or the folder cannot be written.
    """
    if storage.exists(out) and storage.list_files(out, recursive=True):
        raise UsageError(f"{out} is not empty: choose another folder, or remove it")
    rows = export_rows(source)
    records = {record["row_id"]: record for record in rows.to_pylist()}
    labels: dict[str, Any] = {}
    for row_id, data in export_images(source, rows):
        if data is None:
            continue
        # Files are named by row_id: a key may be no file name, and need not be unique.
        atomic.write_bytes(storage.join(out, "data", f"{row_id}.{extension(data)}"), bytes(data))
        labels[str(row_id)] = _label(records[row_id], source.facts.class_name)
    content = {"classes": list(source.facts.class_names), "labels": labels}
    # Written last: a folder without it is unfinished.
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    atomic.write_bytes(storage.join(out, "labels.json"), text.encode())
    return len(labels), rows.num_rows - len(labels)


def extension(data: Data) -> str:
    """File name extension of an image, by its first bytes."""
    start = bytes(data[:4])
    return next((name for magic, name in _KINDS if start.startswith(magic)), "jpg")


def _label(record: dict[str, Any], class_name: Any) -> dict[str, Any]:
    attributes = {
        name: value
        for name, value in record.items()
        if name not in ("content_hash", "shard_id", "class", "pseudo_label", "max_prob")
        and value is not None
        and not (isinstance(value, float) and not math.isfinite(value))
    }
    # It stores integers of 64 bits, but JavaScript shows them rounded.
    attributes["row_id"] = str(record["row_id"])
    return {
        "label": class_name(record["pseudo_label"]),
        "confidence": record["max_prob"],
        "attributes": attributes,
    }

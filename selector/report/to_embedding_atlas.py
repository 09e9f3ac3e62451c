"""Export for embedding-atlas: one Parquet file that it opens as it is.

    embedding-atlas FILE.parquet --x x --y y --image image --disable-projection

https://apple.github.io/embedding-atlas/ : an image is a struct with its file in the field `bytes`.
"""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from selector.report.export_rows import export_images, export_rows, has_map
from selector.report.source import Source
from selector.report.thumbnails import small_jpeg
from shards import atomic
from shards.errors import ImageError, UsageError

IMAGE_TYPE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])


def to_embedding_atlas(source: Source, out: str) -> tuple[int, int]:
    """Write x, y, key, class, scores, selections, facts and a thumbnail of each image of the map.

    Returns:
        Images written, and how many of them have no thumbnail because they cannot be read.

    Raises:
        UsageError: the run has no map.
        StorageError: a table cannot be read, or the file cannot be written.
    """
    if not has_map(source):
        raise UsageError(
            f"run {source.layout.root} has no map, and embedding-atlas needs places; make one "
            f"with `coursepack map {source.layout.root}`"
        )
    rows = export_rows(source)
    found: dict[int, dict[str, bytes | None] | None] = {}
    for row_id, data in export_images(source, rows):
        thumbnail = None
        if data is not None:
            try:
                thumbnail = small_jpeg(data)
            except ImageError:  # a row without a picture is still a row
                thumbnail = None
        found[row_id] = None if thumbnail is None else {"bytes": thumbnail, "path": None}
    images = [found[row_id] for row_id in rows["row_id"].to_pylist()]
    # Its browser client has no 64-bit hashes and no integers beyond 2^53: row_id goes as text.
    row_ids = rows["row_id"].cast(pa.string())
    rows = rows.drop_columns(["shard_id", "content_hash"])
    rows = rows.set_column(0, "row_id", row_ids)
    for at, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            rows = rows.set_column(at, field.name, rows[field.name].cast(pa.string()))
    rows = rows.append_column("image", pa.array(images, IMAGE_TYPE))
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    atomic.write_bytes(out, buffer.getvalue())
    return len(images), sum(image is None for image in images)

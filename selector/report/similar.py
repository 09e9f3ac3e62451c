"""A page that shows the neighbours of an image: self-contained, every string escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.dataset as ds
from markupsafe import Markup

from selector.report.pictures import Picture, load_pictures
from selector.report.source import read_origin
from selector.report.template import fill, packaged
from selector.report.thumbnails import thumbnail
from selector.tables.connection import RunTables
from selector.tables.layout import RunLayout
from shards.errors import ImageError


class Found(Protocol):
    """What the page shows of a neighbour."""

    @property
    def row_id(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def shard(self) -> str: ...
    @property
    def class_name(self) -> str | None: ...
    @property
    def noise_value(self) -> float | None: ...
    @property
    def similarity(self) -> float | None: ...
    @property
    def distance(self) -> int | None: ...


def similar_page(
    layout: RunLayout,
    tables: RunTables,
    query: str,
    image: bytes | None,
    row_id: int | None,
    found: Sequence[Found],
) -> str:
    """The page as HTML.

    Args:
        query: as asked for.
        image, row_id: bytes of an image file, or the image of the run.
        found: the neighbours, the nearest first.
    """
    wanted = [one.row_id for one in found] + ([] if row_id is None else [row_id])
    rows = tables.views["scores"].to_table(
        columns=["row_id", "shard_id", "content_hash"], filter=ds.field("row_id").isin(wanted)
    )
    shards = tables.views["shards"]
    assert isinstance(shards, pa.Table)
    uris: Mapping[int, str] = dict(
        zip(shards["shard_id"].to_pylist(), shards["uri"].to_pylist(), strict=True)
    )
    ext = read_origin(layout).image_ext
    pictures = load_pictures(layout.root, rows, uris=uris, image_ext=ext)
    asked = pictures[row_id] if row_id is not None else _picture(image or b"")
    style = packaged("style.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    entries: list[dict[str, Any]] = [
        {"one": one, "picture": pictures[one.row_id], "near": _near(one)} for one in found
    ]
    return fill(
        "similar.html",
        query=query,
        asked=asked,
        entries=entries,
        style=Markup(style),  # of this package alone: it holds no string of a run
        style_hash=f"sha256-{digest}",
    )


def _near(one: Found) -> str:
    if one.similarity is not None:
        return f"cosine {one.similarity:.4f}"
    return f"{one.distance} bits"


def _picture(data: bytes) -> Picture:
    try:
        return Picture(uri=thumbnail(data))
    except ImageError as error:
        return Picture(problem=str(error))

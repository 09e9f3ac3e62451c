"""The page: panels poured into one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from selector.report.album import Album, load_album
from selector.report.catalog import PANELS
from selector.report.facts import RunFacts
from selector.report.panel import Panel, Tiles
from selector.report.source import open_source
from selector.report.template import fill, packaged
from selector.tables.layout import RunLayout
from shards import atomic, storage

MAX_PROBLEMS = 5
"""Reasons for missing thumbnails that are spelled out; a lost pool has one per shard."""


@dataclass(frozen=True)
class DrawnPanel:
    """A panel that found its data: its section as HTML."""

    panel: Panel[Any]
    html: Markup


def report(
    run: str,
    selection: str,
    out: str | None = None,
    *,
    compare: str | None = None,
    students: Sequence[str] = (),
    leave_out: Collection[str] = (),
    on_warning: Callable[[str], None] | None = None,
) -> str:
    """Write the report of a selection: one self-contained HTML file.

    Which panels it has depends on what the run holds, see `selector.report.catalog`. The same run,
    selection and pool make the same bytes.

    Args:
        run: Run directory.
        selection: Name of a selection of the run.
        out: The file to write; None = report/<selection>.html in the run.
        compare: Another selection, to show what only one of the two has.
        students: Folders written by `coursepack distill`, to show how these students trained.
        leave_out: names of panels.
        on_warning: Called with each reason why images cannot be shown.

    Returns:
        Where the file is.

    Raises:
        UsageError: not a run, or no selection of that name.
        StorageError: a table cannot be read, or the file cannot be written. A shard that cannot
            be read is told in the page instead.
    """
    with open_source(run, selection, compare=compare, students=students) as source:
        gathered = [
            (panel, data)
            for panel in PANELS
            if panel.name not in leave_out and (data := panel.gather(source)) is not None
        ]
        rows = {row for panel, data in gathered for row in panel.pictures(data)}
        tiles = next(
            (found for panel, data in gathered if (found := panel.tiles(data)).row_ids), Tiles()
        )
        album = load_album(source, rows, tiled=tiles.row_ids, tile_side=tiles.side)
    drawn = [DrawnPanel(panel, panel.draw(data, album)) for panel, data in gathered]
    page = render(source.facts, drawn, album)
    default = storage.join(RunLayout(run).report_dir, f"{selection}.html")
    uri = storage.normalize(out) if out is not None else default
    atomic.write_bytes(uri, page.encode())
    for problem, count in album.problems.items():
        if on_warning is not None:
            on_warning(f"{count:,} image{'s'[: count != 1]} cannot be shown: {problem}")
    return uri


def render(facts: RunFacts, panels: Sequence[DrawnPanel], album: Album) -> str:
    """The page around its panels; its policy admits its own style and scripts by their hashes."""
    problems = list(album.problems.items())
    style = packaged("style.css")
    names = dict.fromkeys(name for drawn in panels for name in drawn.panel.scripts)
    script = "\n".join(packaged(f"panels/{name}") for name in names)
    return fill(
        "page.html",
        facts=facts,
        panels=panels,
        problems=problems[:MAX_PROBLEMS],
        num_other_problems=sum(count for _, count in problems[MAX_PROBLEMS:]),
        pool_name=_pool_name(facts),
        # Made by this package alone: style and script of the page hold no string of a run.
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script) if script else "",
    )


def _hash(content: str) -> str:
    """As a content security policy names what it admits."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _pool_name(facts: RunFacts) -> str:
    """The folder of the shards; the first one, where there are several."""
    folders = sorted({uri.rpartition("/")[0] for uri in facts.shards["uri"].to_pylist()})
    more = f" and {len(folders) - 1} more" if len(folders) > 1 else ""
    return f"{storage.name(folders[0])}{more}" if folders else ""

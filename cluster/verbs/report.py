"""`report`: a selection as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.progress import OnProgress
from cluster.verbs.map import map as make_map
from selector.report.page import report as write_report
from selector.report.source import open_source
from selector.report.to_embedding_atlas import to_embedding_atlas
from selector.report.to_fiftyone import to_fiftyone
from selector.tables.facts import fact_tables
from selector.tables.layout import RunLayout
from shards import storage
from shards.errors import UsageError

_WRITERS = {"embedding-atlas": to_embedding_atlas, "fiftyone": to_fiftyone}


def report(
    run: str,
    *,
    selection: str,
    compare: str | None = None,
    students: Sequence[str] = (),
    with_map: bool | None = None,
    out: str | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_progress: OnProgress | None = None,
) -> str:
    """Draw a selection and whatever else the run knows of it; return where the file is.

    Args:
        run: Run directory.
        selection: Name of a selection of the run.
        compare: Another selection, to show what only one of the two has.
        students: Folders written by `coursepack distill`, to show how these students trained.
        with_map: None = show the newest map if the run has one; True = make one if it has none;
            False = leave it out, for a small file.
        out: The file; None = `report/<selection>.html` in the run.
        on_warning: Called with each reason why images cannot be shown; the page tells it too.

    Raises:
        UsageError: not a run, no selection of that name, or a map cannot be made.
        StorageError: a table cannot be read, or the file cannot be written.
    """
    if with_map and not fact_tables(RunLayout(run), "map"):
        chosen = [name for name in (selection, compare) if name is not None]
        make_map(run, selections=chosen, on_progress=on_progress)
    return write_report(
        run,
        selection,
        out,
        compare=compare,
        students=students,
        leave_out={"map"} if with_map is False else (),
        on_warning=on_warning,
    )


@dataclass(frozen=True)
class Exported:
    """What was written for another tool.

    Attributes:
        path: the file or folder; `tool` opens it.
        num_images: images in it.
        num_unread: images of the pool that cannot be read any more: without a picture, or left out.
    """

    tool: str
    path: str
    num_images: int
    num_unread: int


def report_export(
    run: str,
    *,
    selection: str,
    tool: str,
    out: str,
    compare: str | None = None,
) -> Exported:
    """Write the images of the map for another tool, with their places, scores and selections.

    Args:
        run: Run directory.
        selection: Name of a selection of the run; `compare` names another.
        tool: `embedding-atlas` (out is a Parquet file) or `fiftyone` (out is a folder).

    Raises:
        UsageError: not a run, no selection of that name, no map (embedding-atlas), or a folder
            that is not empty (fiftyone).
        StorageError: a table cannot be read, or the result cannot be written.
    """
    write = _WRITERS.get(tool)
    if write is None:
        raise UsageError(f"export for {tool!r}: expected one of {', '.join(_WRITERS)}")
    path = storage.normalize(out)
    with open_source(run, selection, compare=compare) as source:
        num_images, num_unread = write(source, path)
    return Exported(tool, path, num_images, num_unread)

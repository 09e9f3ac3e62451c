"""What a panel of the report is: a question to the run, and a pure function that draws the answer.

A panel is one file in `selector/report/panels/` with a template beside it, and one line in
`selector/report/catalog.py`. It appears only where its data exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from markupsafe import Markup

from selector.report.album import Album
from selector.report.source import Source

D = TypeVar("D")


@dataclass(frozen=True)
class Tiles:
    """Images to be shown from an atlas: row_ids, and the longer side of each in pixels."""

    row_ids: Sequence[int] = ()
    side: int = 0


def no_pictures(_: Any) -> Iterable[int]:
    """Of a panel that shows no image of the pool."""
    return ()


def no_tiles(_: Any) -> Tiles:
    """Of a panel without an atlas."""
    return Tiles()


@dataclass(frozen=True)
class Panel(Generic[D]):
    """One panel.

    Attributes:
        name: id of its `<section>`: lower case letters and hyphens.
        title: in the list of panels at the top of the page; empty: it is not listed.
        gather: asks the run; None = there is no such data, the panel stays away.
        draw: the section as HTML, a pure function of what was gathered and of the pictures.
        pictures: row_ids whose pictures `draw` will look up. All panels' pictures are read in one
            pass over the pool, between `gather` and `draw`.
        tiles: images that `draw` will cut small from `album.tiles`; one panel at most has any.
        scripts: JavaScript files beside the template, put into the page where the panel appears.
    """

    name: str
    title: str
    gather: Callable[[Source], D | None]
    draw: Callable[[D, Album], Markup]
    pictures: Callable[[D], Iterable[int]] = no_pictures
    tiles: Callable[[D], Tiles] = no_tiles
    scripts: tuple[str, ...] = ()

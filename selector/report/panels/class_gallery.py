"""Panel: each class by itself: what was kept of it and what was dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from selector.report.album import Album
from selector.report.panel import Panel
from selector.report.panels.classes import gather_classes
from selector.report.source import SCORED, Source
from selector.report.stats import shown_classes
from selector.report.template import fill

MAX_CLASSES = 20
PER_SIDE = 12


@dataclass(frozen=True)
class ClassImages:
    """One class.

    Attributes:
        kept, dropped: row_ids evenly spread over the noise value, the surest first.
        num_kept, num_dropped: how many there are.
    """

    name: str
    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    num_kept: int
    num_dropped: int


@dataclass(frozen=True)
class ClassGallery:
    """Some classes in the order of the class table; `num_other` have images and are not shown."""

    classes: tuple[ClassImages, ...]
    num_other: int


def gather_class_gallery(source: Source) -> ClassGallery | None:
    """None where no image has a class, or there is but one class."""
    classes = gather_classes(source)
    if len(classes.names) < 2 or not classes.pool.any():
        return None
    shown = shown_classes(classes.pool, classes.selected, most=MAX_CLASSES)
    labels = np.concatenate([shown.first, shown.last])
    labels = labels[classes.pool[labels] > 0]
    rows = source.sql.execute(
        "WITH ranked AS (SELECT pseudo_label, selected, row_id, row_number() OVER side - 1 AS n, "
        "count(*) OVER (PARTITION BY pseudo_label, selected) AS total "
        "FROM judged SEMI JOIN reach USING (shard_id) "
        f"WHERE {SCORED} AND pseudo_label IN (SELECT unnest($labels::INTEGER[])) "
        "WINDOW side AS (PARTITION BY pseudo_label, selected ORDER BY noise_value, row_id)) "
        "SELECT pseudo_label, selected, list(row_id ORDER BY n) FROM ranked "
        "WHERE n * $most // total <> (n - 1) * $most // total OR n = 0 GROUP BY 1, 2",
        {"labels": labels.tolist(), "most": PER_SIDE},
    ).fetchall()
    found = {(label, selected): tuple(ids[:PER_SIDE]) for label, selected, ids in rows}
    images = tuple(
        ClassImages(
            name=classes.names[label],
            kept=found.get((label, True), ()),
            dropped=found.get((label, False), ()),
            num_kept=int(classes.selected[label]),
            num_dropped=int(classes.pool[label] - classes.selected[label]),
        )
        for label in labels.tolist()
    )
    return ClassGallery(images, num_other=int((classes.pool > 0).sum()) - len(images))


def class_pictures(gallery: ClassGallery) -> Iterator[int]:
    """Both sides of every class."""
    for one in gallery.classes:
        yield from one.kept
        yield from one.dropped


def draw_class_gallery(gallery: ClassGallery, album: Album) -> Markup:
    """A class is opened by a click or a key; the first one is open."""
    return fill("panels/class_gallery.html", gallery=gallery, album=album)


PANEL = Panel(
    "by-class", "Class by class", gather_class_gallery, draw_class_gallery, class_pictures
)

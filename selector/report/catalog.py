"""The panels of a report, in the order of the page."""

from __future__ import annotations

from typing import Any

from selector.report.panel import Panel
from selector.report.panels import (
    class_gallery,
    classes,
    compare,
    duplicates,
    failed,
    gallery,
    map,
    noise,
    origin,
    overview,
    pu,
    students,
    truth,
)

PANELS: tuple[Panel[Any], ...] = (
    overview.PANEL,
    noise.PANEL,
    classes.PANEL,
    map.PANEL,
    compare.PANEL,
    gallery.KEPT,
    gallery.DROPPED,
    class_gallery.PANEL,
    duplicates.PANEL,
    truth.PANEL,
    pu.PANEL,
    pu.ATTENTION,
    students.ACCURACY,
    students.CLASS_WEIGHTS,
    failed.PANEL,
    origin.PANEL,
)

"""The panels of a report, in the order of the page."""

from __future__ import annotations

from typing import Any

from selector.report.panel import Panel
from selector.report.panels import classes, failed, gallery, noise, origin, overview

PANELS: tuple[Panel[Any], ...] = (
    overview.PANEL,
    noise.PANEL,
    classes.PANEL,
    gallery.KEPT,
    gallery.DROPPED,
    failed.PANEL,
    origin.PANEL,
)

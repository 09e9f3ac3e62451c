"""Panel: the selection in five numbers, and how each step of its recipe narrowed the pool."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from selector.report.album import Album
from selector.report.cuts import Cut, noise_cut
from selector.report.facts import RunFacts
from selector.report.figures import single_bar
from selector.report.numerals import bytes_text, count_text, score_text, share_text
from selector.report.panel import Panel
from selector.report.panels.classes import Classes, gather_classes
from selector.report.source import Source
from selector.report.stats import effective_classes
from selector.report.template import fill


@dataclass(frozen=True)
class Overview:
    """The run, its classes, and where the selection was cut."""

    facts: RunFacts
    classes: Classes
    cut: Cut | None


def gather_overview(source: Source) -> Overview:
    """Everything is known already but for the class balance."""
    cut = noise_cut(source.facts.stats["steps"])
    return Overview(source.facts, gather_classes(source), cut)


def draw_overview(overview: Overview, _: Album) -> Markup:
    """Tiles, warnings, steps beside the recipe."""
    stats = overview.facts.stats
    steps = [
        {**step, "bar": single_bar(step["rows_out"], stats["num_candidates"], css="selected")}
        for step in stats["steps"]
    ]
    return fill("panels/overview.html", facts=overview.facts, tiles=_tiles(overview), steps=steps)


def _tiles(overview: Overview) -> list[dict[str, str]]:
    """The numbers at the top: value, what it is, and a remark."""
    facts, cut, classes = overview.facts, overview.cut, overview.classes
    num_failed = sum(count for status, count in facts.status_counts if status != "ok")
    num_bytes = sum(facts.shards["num_bytes"].to_pylist())
    num_shards = facts.shards.num_rows
    tiles = [
        _tile(
            count_text(facts.num_rows),
            "pool images",
            f"{count_text(num_shards)} shard{'s' * (num_shards != 1)}, {bytes_text(num_bytes)}",
        ),
        _tile(
            count_text(facts.num_selected),
            "selected",
            f"{share_text(facts.num_selected, facts.num_rows)} of the pool",
        ),
    ]
    if cut is not None:
        remark = "nats; the highest noise value kept"
        if cut.num_groups > 1:
            remark = f"nats; from {score_text(cut.low)} in the surest of {cut.num_groups} classes"
        tiles.append(_tile(score_text(cut.high), "cut", remark))
    if len(classes.names):
        tiles.append(
            _tile(
                f"{effective_classes(classes.selected):.1f}",
                "effective classes",
                f"of {len(classes.names)}; the pool has {effective_classes(classes.pool):.1f}",
            )
        )
    tiles.append(
        _tile(
            count_text(num_failed),
            "without scores",
            f"{share_text(num_failed, facts.num_rows)} of the pool",
        )
    )
    return tiles


def _tile(value: str, name: str, remark: str) -> dict[str, str]:
    return {"value": value, "name": name, "remark": remark}


PANEL = Panel("overview", "", gather_overview, draw_overview)

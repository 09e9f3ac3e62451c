"""The page: facts, figures and gallery poured into one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from selector.report.cuts import Cut, noise_cut
from selector.report.facts import Classes, RunFacts
from selector.report.figures import NARROW, WIDE, noise_histogram, paired_bars, single_bar
from selector.report.gallery import Gallery, make_gallery
from selector.report.gather import gather
from selector.report.numerals import bytes_text, count_text, score_text, share_text
from selector.report.stats import effective_classes, shown_classes
from selector.tables.layout import RunLayout
from shards import atomic, storage

MAX_CLASS_ROWS = 40
MAX_PROBLEMS = 5
"""Reasons for missing thumbnails that are spelled out; a lost pool has one per shard."""


def report(
    run: str,
    selection: str,
    out: str | None = None,
    *,
    on_warning: Callable[[str], None] | None = None,
) -> str:
    """Write the report of a selection: one self-contained HTML file.

    Overview, histogram of the noise value with the cut, class balance, gallery of the kept and
    the dropped by quantile, failed images by reason, provenance. The same run, selection and pool
    make the same bytes.

    Args:
        run: Run directory.
        selection: Name of a selection of the run.
        out: The file to write; None = report/<selection>.html in the run.
        on_warning: Called with each reason why images of the gallery cannot be shown.

    Returns:
        Where the file is.

    Raises:
        UsageError: not a run, or no selection of that name.
        StorageError: a table cannot be read, or the file cannot be written. A shard that cannot
            be read is told in the page instead.
    """
    facts = gather(run, selection)
    gallery = make_gallery(facts)
    page = render(facts, gallery)
    default = storage.join(RunLayout(run).report_dir, f"{selection}.html")
    uri = storage.normalize(out) if out is not None else default
    atomic.write_bytes(uri, page.encode())
    for problem, count in gallery.problems.items():
        if on_warning is not None:
            on_warning(f"{count:,} image{'s'[: count != 1]} cannot be shown: {problem}")
    return uri


def render(facts: RunFacts, gallery: Gallery) -> str:
    """The page as text; every string of the run is escaped."""
    environment = Environment(
        loader=FunctionLoader(_packaged),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count_text, share=share_text, score=score_text, bytes=bytes_text, name=storage.name
    )
    style = _packaged("style.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    cut = noise_cut(facts.stats["steps"])
    problems = list(gallery.problems.items())
    return environment.get_template("page.html").render(
        facts=facts,
        gallery=gallery,
        problems=problems[:MAX_PROBLEMS],
        num_other_problems=sum(count for _, count in problems[MAX_PROBLEMS:]),
        cut=cut,
        pool_name=_pool_name(facts),
        tiles=_tiles(facts, cut),
        histograms=_histograms(facts, cut),
        classes=_class_table(facts.classes),
        steps=_steps(facts.stats),
        failed_bar=single_bar,
        # Made by this package alone, and the policy admits it by its hash.
        style=Markup(style),
        style_hash=f"sha256-{digest}",
    )


def _packaged(name: str) -> str:
    return resources.files("selector.report").joinpath(name).read_text(encoding="utf-8")


def _pool_name(facts: RunFacts) -> str:
    """The folder of the shards; the first one, where there are several."""
    folders = sorted({uri.rpartition("/")[0] for uri in facts.shards["uri"].to_pylist()})
    more = f" and {len(folders) - 1} more" if len(folders) > 1 else ""
    return f"{storage.name(folders[0])}{more}" if folders else ""


def _tiles(facts: RunFacts, cut: Cut | None) -> list[dict[str, str]]:
    """The numbers at the top: value, what it is, and a remark."""
    num_failed = sum(failure.count for failure in facts.failures)
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
    if len(facts.classes.names):
        tiles.append(
            _tile(
                f"{effective_classes(facts.classes.selected):.1f}",
                "effective classes",
                f"of {len(facts.classes.names)}; the pool has "
                f"{effective_classes(facts.classes.pool):.1f}",
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


def _histograms(facts: RunFacts, cut: Cut | None) -> list[Markup]:
    if facts.histogram is None:
        return []
    return [noise_histogram(facts.histogram, cut=cut, width=width) for width in (WIDE, NARROW)]


def _class_table(classes: Classes) -> dict[str, Any]:
    """Rows of the class balance; shares are of the pool's and of the selection's images."""
    shown = shown_classes(classes.pool, classes.selected, most=MAX_CLASS_ROWS)
    totals = max(int(classes.pool.sum()), 1), max(int(classes.selected.sum()), 1)
    shares = classes.pool / totals[0], classes.selected / totals[1]
    largest = max(float(share.max(initial=0.0)) for share in shares)

    def row(c: int) -> dict[str, Any]:
        return {
            "index": c,
            "name": classes.names[c],
            "pool": int(classes.pool[c]),
            "selected": int(classes.selected[c]),
            "pool_share": share_text(float(shares[0][c]), 1),
            "selected_share": share_text(float(shares[1][c]), 1),
            "bars": paired_bars(float(shares[0][c]), float(shares[1][c]), largest=largest),
        }

    return {
        "first": [row(int(c)) for c in shown.first],
        "last": [row(int(c)) for c in shown.last],
        "num_between": shown.num_between,
        "num_absent": shown.num_absent,
        "num_empty": int((classes.selected == 0).sum()),
    }


def _steps(stats: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {**step, "bar": single_bar(step["rows_out"], stats["num_candidates"], css="selected")}
        for step in stats["steps"]
    ]

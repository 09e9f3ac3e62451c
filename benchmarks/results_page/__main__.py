"""docs/results.md and docs/figures/ from the files of results.

    python -m benchmarks.results_page [--check]

Reads papers.jsonl, papers_selections.jsonl and pu_mnist.jsonl of benchmarks/results, and the
hand-written paragraphs of docs/results_notes/. The same files give the same bytes. With --check
nothing is written, and the exit code is 1 where page or figures are not those of the results.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.papers.tables import TABLES
from benchmarks.papers.track import TRACKS
from benchmarks.results_page.figures import figures_of, figures_of_selections
from benchmarks.results_page.page import page
from benchmarks.results_page.rows import Section, read_rows, section, settings_of

ROOT = Path(__file__).parents[2]
SHOWN_TABLES = ("dfnd", "transition", "number_selected", "options", "pu", "prior")
SHOWN_TRACKS = ("small", "full")


def files(results: Path, docs: Path) -> dict[Path, str]:
    """Every file of the page and its content."""
    rows = read_rows(results / "papers.jsonl")
    sections: list[Section] = []
    for name in SHOWN_TABLES:
        for track in SHOWN_TRACKS:
            found = settings_of([row for row in rows if row["table"] == name], track)
            if not found and track == "small":
                found = [TRACKS["small"].title]
            sections += [section(TABLES[name], rows, track=track, setting=one) for one in found]
    made = {
        docs / "figures" / name: drawing
        for one in sections
        for name, (_, drawing) in figures_of(one).items()
    }
    selections = read_rows(results / "papers_selections.jsonl")
    made |= {
        docs / "figures" / name: drawing
        for name, (_, drawing) in figures_of_selections(selections).items()
    }
    mnist = read_rows(results / "pu_mnist.jsonl")
    text = page(sections, mnist, selections, docs / "results_notes")
    return {docs / "results.md": text, **made}


def write(results: Path, docs: Path, *, check: bool) -> int:
    """Write what is stale, or only tell; returns the exit code."""
    wanted = files(results, docs)
    there = {docs / "results.md", *(docs / "figures").glob("*.svg")}
    stale = [
        path
        for path, content in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    left_over = sorted(there - set(wanted))
    if check:
        if stale or left_over:
            named = ", ".join(str(path) for path in [*stale, *left_over])
            print(f"stale: {named}; run `python -m benchmarks.results_page`", file=sys.stderr)
        return int(bool(stale or left_over))
    for path in left_over:
        path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    return write(options.results, options.docs, check=options.check)


if __name__ == "__main__":
    sys.exit(main())

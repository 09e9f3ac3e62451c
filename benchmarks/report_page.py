"""How large is a report's page, and how smoothly does its map move?

    python -m benchmarks.report_page [--page report/top.html] [--points 50000 20000 5000]

Opens each page in headless Chromium (software drawing: no graphics card is used), and prints one
JSON line for it: its bytes; how long it takes from opening until the map is drawn; and for 120
frames of moving and 60 of zooming the milliseconds that the map's script took for a frame, and the
milliseconds between two frames as the browser showed them.

Pages of `--points` are made by a program; `--page` is a report that exists.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cluster.provenance import commit, hardware, now, versions
from selector.report.facts import Origin, RunFacts
from selector.report.page import DrawnPanel, render
from selector.report.panels.map import PANEL, draw_map
from tests.support.browser import chromium, complaints, open_page
from tests.support.made_points import made_album, made_points

# Frame by frame: a key moves the map, the next frame tells what drawing it took.
_DRIVE = """
const [keys, shift, done] = arguments;
const canvas = document.getElementById("map-canvas"), stage = document.getElementById("map-stage");
const script = [], between = [];
let last = null, at = 0;
function frame(now) {
  if (last !== null) { between.push(now - last); script.push(Number(stage.dataset.frameMs)); }
  last = now;
  if (at === keys.length) { done({ script, between }); return; }
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key: keys[at++], shiftKey: shift }));
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
"""


@contextmanager
def made_page(num_points: int) -> Iterator[tuple[Path, float]]:
    """A page of made-up points, and the seconds it took to write it."""
    facts = RunFacts(
        run="/run", selection="made", origin=Origin("made", "", "", "", "", ()),
        num_rows=num_points, num_selected=0, status_counts=(), class_names=(), stats={}, recipe="",
        shards=pa.table({"uri": ["/pool/a.tar"], "shard_id": [0]}), reach=frozenset(),
    )  # fmt: skip
    points = made_points(num_points)
    album = made_album(points)
    with tempfile.TemporaryDirectory(prefix="coursepack-page-") as folder:
        path = Path(folder) / "page.html"
        started = time.perf_counter()
        path.write_text(render(facts, [DrawnPanel(PANEL, draw_map(points, album))], album))
        yield path, time.perf_counter() - started


def measure(path: Path) -> dict[str, Any]:
    """Open a page and move its map."""
    with chromium(width=1280, height=900) as browser:
        started = time.perf_counter()
        open_page(browser, path)
        browser.execute_async_script(
            "const done = arguments[0], stage = document.getElementById('map-stage');"
            "(function wait() { stage.dataset.frameMs ? done() : requestAnimationFrame(wait); })()"
        )
        loaded = time.perf_counter() - started
        browser.execute_script("document.getElementById('map').scrollIntoView()")
        points = browser.execute_script("return MapData.read('map-data').n")
        canvas = browser.find_element("id", "map-canvas")
        moves = ["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"] * 30
        zooms = (["+"] * 15 + ["-"] * 15) * 2
        moving = browser.execute_async_script(_DRIVE, moves, True)
        zooming = browser.execute_async_script(_DRIVE, zooms, False)
        told = complaints(browser)
        size = [canvas.size["width"], canvas.size["height"]]
        version = browser.capabilities["browserVersion"]
    return {
        "points": points,
        "bytes": path.stat().st_size,
        "open_s": round(loaded, 2),
        "canvas_pixels": size,
        "move": _summary(moving),
        "zoom": _summary(zooming),
        "complaints": told,
        "chromium": version,
    }


def _summary(frames: dict[str, list[float]]) -> dict[str, float]:
    numbers = {}
    for name, key in (("script_ms", "script"), ("between_frames_ms", "between")):
        median, late = np.quantile(frames[key], (0.5, 0.95))
        numbers[f"{name}_median"] = round(float(median), 2)
        numbers[f"{name}_p95"] = round(float(late), 2)
    return numbers


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="append", default=[], type=Path)
    parser.add_argument("--points", nargs="*", default=[50_000, 20_000, 5_000], type=int)
    arguments = parser.parse_args()
    about = {"commit": commit(), "hardware": hardware(), "versions": versions()}
    for page in arguments.page:
        result = {"page": page.name, **measure(page.resolve())}
        print(json.dumps({"benchmark": "report_page", **result, "at": now(), **about}), flush=True)
    for number in arguments.points:
        with made_page(number) as (path, seconds):
            result = {"page": "made", "write_s": round(seconds, 2), **measure(path)}
        print(json.dumps({"benchmark": "report_page", **result, "at": now(), **about}), flush=True)


if __name__ == "__main__":
    main()

"""map: what the page carries for its script."""

from __future__ import annotations

import base64
import html
import io
import json
import re

import numpy as np
from PIL import Image

from selector.report import payload
from selector.report.album import Album
from selector.report.map_columns import NOTHING, Categories, Numbers
from selector.report.map_points import Points
from selector.report.panels import map as module
from selector.report.panels.map import draw_map, map_tiles
from selector.tables.facts import FactTable
from selector.tables.read import TableList

HOSTILE = "</script><script>alert(1)</script>"
FACT = FactTable("map", "abc", "", {"method": "tsne"}, TableList("map", 1, (), ()))


def made_points(*, originals: int = 0) -> Points:
    n = 3 + originals
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), (200, 0, 0)).save(buffer, "JPEG")
    return Points(
        fact=FACT,
        row_ids=np.array([5, 6, 7] + [-1] * originals),
        keys=[HOSTILE, "b", "c"] + ["o"] * originals,
        places=np.arange(2.0 * n, dtype=np.float32).reshape(n, 2),
        pictured=[5, 7],
        longest=16,
        originals=[buffer.getvalue()] * originals,
        columns=(
            Categories("selection", np.array([0, 1, NOTHING] + [2] * originals, np.uint8),
                       ("not selected", HOSTILE, "original images")),
            Numbers("noise value", np.full(n, 0.5, np.float32), 0.0, 1.0, False),
        ),
        num_drawn=3,
        unread=1,
    )  # fmt: skip


def data_of(section: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="map-data">(.*?)</script>', section)
    assert found is not None
    return dict(json.loads(found[1]))


def album() -> Album:
    return Album(tiles={5: np.full((16, 16, 3), 50, np.uint8)})


def test_the_data_is_what_was_gathered_and_no_markup() -> None:
    section = str(draw_map(made_points(), album()))
    data = data_of(section)
    assert data["keys"] == [HOSTILE, "b", "c"]
    assert data["rowIds"] == ["5", "6", "7"]
    assert HOSTILE not in section
    assert html.escape(HOSTILE) not in section  # in the data alone
    assert "1 of them have no picture here" in section
    places = np.frombuffer(base64.b64decode(str(data["places"])), "<u2").reshape(-1, 2)
    assert (places[0].tolist(), places[2].tolist()) == ([0, 0], [65535, 65535])


def test_pictures_are_in_one_sheet_and_missing_ones_known() -> None:
    data = data_of(str(draw_map(made_points(), album())))
    assert data["tile"] == 16
    sizes = np.frombuffer(base64.b64decode(str(data["tileSizes"])), np.uint8)
    assert sizes.tolist() == [16, 16, 0, 0, 0, 0]


def test_originals_bring_their_own_pictures() -> None:
    points = made_points(originals=2)
    assert map_tiles(points).row_ids == [5, 7]
    section = str(draw_map(points, album()))
    assert "and 2 original images" in section
    sizes = np.frombuffer(base64.b64decode(str(data_of(section)["tileSizes"])), np.uint8)
    assert sizes.reshape(-1, 2)[3].tolist() == [20, 10]


def test_a_pool_that_is_gone_has_a_map_without_pictures() -> None:
    section = str(draw_map(made_points(), Album()))
    assert data_of(section)["tile"] == 0
    assert "map-sheet" not in section


def test_keys_that_would_fill_the_page_are_left_out() -> None:
    points = made_points()
    points.keys[1] = "x" * (module.MOST_KEY_BYTES + 1)
    section = str(draw_map(points, album()))
    assert data_of(section)["keys"] is None
    assert len(section) < 100_000


def test_scripts_hold_no_markup() -> None:
    from selector.report.template import packaged

    for name in module.SCRIPTS:
        assert "</" not in packaged(f"panels/{name}")
    assert str(payload.json_text("<")) == '"\\u003c"'

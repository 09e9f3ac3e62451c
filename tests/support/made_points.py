"""Points of a large map, made by a program: places in clumps, columns, and pictures like photos."""

from __future__ import annotations

import numpy as np
from PIL import Image

from selector.report.album import Album
from selector.report.atlas import tile_side
from selector.report.map_columns import Categories, Numbers
from selector.report.map_points import Points
from selector.tables.facts import FactTable
from selector.tables.read import TableList

NUM_CLASSES = 20


def made_points(n: int, *, seed: int = 0) -> Points:
    """n images in `NUM_CLASSES` clumps, a tenth of them selected."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, NUM_CLASSES, n)
    centres = rng.uniform(-40, 40, (NUM_CLASSES, 2))
    places = centres[labels] + 5 * rng.standard_normal((n, 2))
    noise = 10.0 ** rng.uniform(-8, 0.3, n)
    names = tuple(f"class {i}" for i in range(NUM_CLASSES))
    return Points(
        fact=FactTable("map", "made", "", {"method": "tsne"}, TableList("map", 1, (), ())),
        row_ids=np.arange(n),
        keys=[f"shard-{i // 5000:05d}/image_{i:08d}" for i in range(n)],
        places=places.astype(np.float32),
        pictured=list(range(n)),
        longest=500,
        originals=[],
        columns=(
            Categories("selection", (noise < 1e-7).astype(np.uint8), ("not selected", "top")),
            Categories("class", labels.astype(np.uint8), names),
            Numbers("noise value", noise.astype(np.float32), 1e-8, 1.0, True),
            *(
                Numbers(name, rng.random(n).astype(np.float32), 0.0, 1.0, False)
                for name in ("max prob", "entropy", "margin", "pu: pu prob")
            ),
        ),
        num_drawn=n,
        unread=0,
    )


def made_album(points: Points, *, seed: int = 0) -> Album:
    """A picture for each: soft shapes with grain, which JPEG finds as hard as photos."""
    rng = np.random.default_rng(seed)
    side = tile_side(len(points.pictured), points.longest)
    kinds = []
    for _ in range(64):
        shapes = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        soft = np.asarray(shapes.resize((side, side), Image.Resampling.BICUBIC), np.int16)
        grain = rng.normal(0, 14, (side, side, 1)).astype(np.int16)
        kinds.append(np.clip(soft + grain, 0, 255).astype(np.uint8))
    return Album(tiles={row: kinds[row % len(kinds)] for row in points.pictured})

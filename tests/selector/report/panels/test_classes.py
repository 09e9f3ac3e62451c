"""classes: counted as numpy counts them, and drawn with the classes' names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from selector.report.album import Album
from selector.report.panels.classes import draw_classes, gather_classes
from selector.report.source import open_source
from selector.selection import select
from tests.support.runs import CLASS_NAMES, write_run


def test_classes_are_counted_and_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=3, per_shard=200)
    select(run.root, {"name": "top", "steps": [{"take": {"n": 70, "order": "noise_value"}}]})
    with open_source(run.root, "top") as source:
        classes = gather_classes(source)
    scored = run.scores.filter(pc.is_valid(run.scores["noise_value"]))
    labels, values = scored["pseudo_label"].to_numpy(), scored["noise_value"].to_numpy()
    assert classes.names == CLASS_NAMES
    assert classes.pool.tolist() == np.bincount(labels, minlength=10).tolist()
    kept = np.bincount(labels[values <= np.sort(values)[69]], minlength=10)
    assert classes.selected.tolist() == kept.tolist()
    html = draw_classes(classes, Album())
    assert html.count('<th scope="row"') == 10
    assert f"{(kept == 0).sum()} of 10 classes have no image in the selection" in html

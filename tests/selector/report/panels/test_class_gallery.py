"""class_gallery: each class with what was kept and dropped of it."""

from __future__ import annotations

from pathlib import Path

from selector.report.album import load_album
from selector.report.panels.class_gallery import (
    MAX_CLASSES,
    PER_SIDE,
    class_pictures,
    draw_class_gallery,
    gather_class_gallery,
)
from selector.report.source import open_source
from selector.selection import select
from tests.support.runs import CLASS_NAMES, write_run

RECIPE = {"name": "top", "steps": [{"take": {"n": 70, "order": "noise_value"}}]}


def test_every_class_with_its_own_images(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=2, per_shard=150)
    select(run.root, RECIPE)
    with open_source(run.root, "top") as source:
        gallery = gather_class_gallery(source)
        assert gallery is not None
        album = load_album(source, class_pictures(gallery))
    labels = dict(
        zip(run.scores["row_id"].to_pylist(), run.scores["pseudo_label"].to_pylist(), strict=True)
    )
    assert sum(one.num_kept for one in gallery.classes) == 70
    for one in gallery.classes:
        assert {CLASS_NAMES[labels[row]] for row in one.kept + one.dropped} == {one.name}
        assert len(one.kept) == min(one.num_kept, PER_SIDE)
        assert len(one.dropped) == min(one.num_dropped, PER_SIDE)
    html = str(draw_class_gallery(gallery, album))
    assert html.count("<details") == len(gallery.classes)
    assert html.count(" open>") == 1


def test_of_many_classes_some_are_shown(tmp_path: Path) -> None:
    names = [f"class {i}" for i in range(60)]
    run = write_run(tmp_path / "run", num_shards=1, per_shard=400, class_names=names)
    select(run.root, RECIPE)
    with open_source(run.root, "top") as source:
        gallery = gather_class_gallery(source)
    assert gallery is not None
    assert len(gallery.classes) <= MAX_CLASSES

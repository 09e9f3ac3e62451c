"""pictures: the right pixels for every row, and a reason wherever there are none."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from selector.report.pictures import Picture, load_pictures
from selector.tables.layout import RunLayout
from selector.tables.read import read
from selector.tables.schema import row_id, split_row_id
from tests.selector.report.real_run import colour_of, image_bytes, write_real_run

PNG = ("png",)


@pytest.fixture
def run(tmp_path: Path) -> RunLayout:
    return write_real_run(tmp_path, num_plain=2, num_compressed=1, per_shard=30)


def load(run: RunLayout, rows: list[tuple[int, int]]) -> dict[int, Picture]:
    table = read(run, "scores", ["row_id", "shard_id", "content_hash"])
    wanted = pa.array([row_id(*row) for row in rows])
    folder = Path(run.root).parent / "pool"
    uris = dict(enumerate(str(path) for path in sorted(folder.iterdir())))
    chosen = table.filter(pa.compute.is_in(table["row_id"], wanted))
    return load_pictures(run.root, chosen, uris=uris, image_ext=PNG)


def colour(picture: Picture) -> tuple[int, ...]:
    image = Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2])))
    return tuple(int(v) for v in np.asarray(image.convert("RGB"))[0, 0])


def test_plain_and_compressed_shards_give_the_same_kind_of_answer(run: RunLayout) -> None:
    rows = [(0, 0), (0, 17), (1, 3), (2, 0), (2, 28)]
    pictures = load(run, rows)
    assert len(pictures) == 5
    for row, picture in pictures.items():
        assert picture.problem == ""
        assert colour(picture) == colour_of(*split_row_id(row))


def test_a_missing_shard_costs_its_own_images_alone(run: RunLayout) -> None:
    pool = Path(run.root).parent / "pool"
    table = read(run, "scores", ["row_id", "shard_id", "content_hash"])
    uris = dict(enumerate(str(path) for path in sorted(pool.iterdir())))
    os.remove(uris[1])
    chosen = table.filter(pa.compute.equal(table["row_id"], row_id(0, 5)))
    gone = table.filter(pa.compute.equal(table["row_id"], row_id(1, 5)))
    pictures = load_pictures(run.root, pa.concat_tables([chosen, gone]), uris=uris, image_ext=PNG)
    assert colour(pictures[row_id(0, 5)]) == colour_of(0, 5)
    assert "part-001.tar cannot be read" in pictures[row_id(1, 5)].problem


def test_a_changed_image_is_not_passed_off_as_the_scored_one(run: RunLayout) -> None:
    shard = Path(run.root).parent / "pool" / "part-000.tar"
    data = shard.read_bytes()
    old, new = image_bytes(0, 4), image_bytes(1, 4)
    assert len(old) == len(new)
    shard.write_bytes(data.replace(old, new))
    pictures = load(run, [(0, 4), (0, 5)])
    assert pictures[row_id(0, 4)].uri == ""
    assert "the shard has changed" in pictures[row_id(0, 4)].problem
    assert colour(pictures[row_id(0, 5)]) == colour_of(0, 5)


@pytest.mark.parametrize("name", ["part-001.tar", "part-002.tar.gz"])
def test_a_shortened_shard_shows_what_it_still_has(run: RunLayout, name: str) -> None:
    shard = Path(run.root).parent / "pool" / name
    shard_id = int(name[5:8])
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size * 2 // 3])
    pictures = load(run, [(shard_id, 1), (shard_id, 28)])
    assert colour(pictures[row_id(shard_id, 1)]) == colour_of(shard_id, 1)
    assert pictures[row_id(shard_id, 28)].uri == ""
    assert pictures[row_id(shard_id, 28)].problem


def test_what_is_no_image_says_so(run: RunLayout) -> None:
    (picture,) = load(run, [(0, 29)]).values()
    assert picture.uri == ""
    assert "not an image" in picture.problem


def test_a_run_without_a_member_index_still_answers(run: RunLayout) -> None:
    for path in (Path(run.root) / "tables").glob("members-*.json"):
        path.unlink()
    (picture,) = load(run, [(0, 3)]).values()
    assert "members" in picture.problem

"""to_embedding_atlas: a table that its own loader reads, where that is installed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from selector.maps import embed
from selector.maps.make import make_map
from selector.report.source import open_source
from selector.report.to_embedding_atlas import IMAGE_TYPE, to_embedding_atlas
from selector.selection import select
from shards.errors import UsageError
from tests.selector.report.real_run import HOSTILE, write_real_run
from tests.support.features import write_features

pytest.importorskip("openTSNE")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("real")
    layout = write_real_run(folder, num_plain=2, per_shard=20)
    select(layout.root, {"name": "top", "steps": [{"take": {"n": 10, "order": "noise_value"}}]})
    write_features(layout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embed, "_ITERATIONS", (10, 10))
        make_map(layout.root)
    out = str(folder / "atlas.parquet")
    (folder / "pool" / "part-001.tar").unlink()
    with open_source(layout.root, "top") as source:
        assert to_embedding_atlas(source, out) == (38, 19)
    return out


def test_places_names_and_pictures(exported: str) -> None:
    table = pq.read_table(exported)
    assert table.num_rows == 38
    assert np.isfinite(table["x"].to_numpy()).all()
    assert set(table["class"].to_pylist()) == {"cat & dog", HOSTILE, "ship"}
    assert table.schema.field("image").type == IMAGE_TYPE
    images = table["image"].to_pylist()
    assert [image is None for image in images] == [False] * 19 + [True] * 19
    assert Image.open(io.BytesIO(images[0]["bytes"])).size == (12, 12)
    assert "content_hash" not in table.column_names


def test_its_own_loader_reads_it(exported: str) -> None:
    pytest.importorskip("embedding_atlas", reason="embedding-atlas is not installed")
    from embedding_atlas.cli import load_datasets
    from embedding_atlas.data_source import DataSource

    frame = load_datasets([exported])
    assert len(frame) == 38
    assert {"x", "y", "key", "class", "image"} <= set(frame.columns)
    assert DataSource("test", frame, {}).dataset is frame


def test_a_run_without_a_map_is_refused(tmp_path: Path) -> None:
    layout = write_real_run(tmp_path, num_plain=1, per_shard=20)
    select(layout.root, {"name": "top", "steps": [{"take": {"n": 5, "order": "noise_value"}}]})
    with (
        open_source(layout.root, "top") as source,
        pytest.raises(UsageError, match="make one with `coursepack map"),
    ):
        to_embedding_atlas(source, str(tmp_path / "atlas.parquet"))

"""to_fiftyone: a folder that its own importer reads, where that is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selector.report.source import open_source
from selector.report.to_fiftyone import extension, to_fiftyone
from selector.selection import select
from selector.tables.schema import row_id
from shards.errors import UsageError
from tests.selector.report.real_run import HOSTILE, image_bytes, key_of, write_real_run


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    layout = write_real_run(folder, num_plain=2, per_shard=20)
    select(layout.root, {"name": "top", "steps": [{"take": {"n": 10, "order": "noise_value"}}]})
    (folder / "pool" / "part-001.tar").unlink()
    with open_source(layout.root, "top") as source:
        assert to_fiftyone(source, str(folder / "out")) == (19, 19)
        with pytest.raises(UsageError, match="is not empty"):
            to_fiftyone(source, str(folder / "out"))
    return folder / "out"


def test_files_are_named_by_row_and_hold_the_same_bytes(exported: Path) -> None:
    files = sorted(path.name for path in (exported / "data").iterdir())
    assert len(files) == 19
    assert files[0] == "0.png"
    assert (exported / "data" / f"{row_id(0, 3)}.png").read_bytes() == image_bytes(0, 3)


def test_labels_carry_everything_else(exported: Path) -> None:
    content = json.loads((exported / "labels.json").read_text())
    assert content["classes"] == ["cat & dog", HOSTILE, "ship"]
    label = content["labels"]["0"]
    assert label["label"] == "cat & dog"
    assert 0 < label["confidence"] < 1
    assert label["attributes"]["key"] == key_of(0)
    assert label["attributes"]["row_id"] == "0"
    assert label["attributes"]["selected"] is False


def test_its_own_importer_reads_it(exported: Path) -> None:
    pytest.importorskip("fiftyone", reason="fiftyone is not installed")
    from fiftyone.utils.data.importers import FiftyOneImageClassificationDatasetImporter

    # The importer alone: a whole dataset would need its database server.
    importer = FiftyOneImageClassificationDatasetImporter(dataset_dir=str(exported))
    importer.setup()
    samples = list(importer)
    assert len(samples) == 19
    path, _, label = samples[0]
    assert Path(path).is_file()
    assert label.label in importer.get_dataset_info()["classes"]
    assert label["noise_value"] > 0


def test_extensions_are_told_by_the_bytes() -> None:
    assert extension(b"\xff\xd8\xff\xe0abc") == "jpg"
    assert extension(memoryview(b"GIF89a")) == "gif"
    assert extension(b"????") == "jpg"

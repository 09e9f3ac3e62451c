from pathlib import Path

import pytest

from selector.tables.compaction import (
    make_record,
    records,
    remove_record,
    retire_compacted,
    split_version,
    stale_records,
    with_compacted,
    without_compacted,
    write_record,
)
from selector.tables.layout import RunLayout
from shards.errors import StorageError

PARTS = ["00000000-00000000", "00000001-00000000", "00000002-00000000"]


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    return RunLayout(str(tmp_path / "run"))


def test_a_run_without_compaction_has_no_records(layout: RunLayout) -> None:
    assert records(layout) == []
    assert with_compacted(layout, ["b/1.parquet", "a/2.parquet"]) == ["b/1.parquet", "a/2.parquet"]


def test_records_survive_the_disk(layout: RunLayout) -> None:
    first = make_record(PARTS[:2], {PARTS[0]: "marker"}, rows=7).with_folder("scores")
    second = make_record(PARTS[2:], {}, rows=1)
    for record in (second, first):
        write_record(layout, record)
    assert records(layout) == [first, second]
    assert first.stem.startswith("00000000-00000000~2-")
    assert first.sources == {PARTS[0]: "marker", PARTS[1]: ""}
    remove_record(layout, first)
    assert records(layout) == [second]


def test_another_source_of_a_part_makes_another_stem() -> None:
    one, other = (make_record(PARTS, {PARTS[0]: source}, rows=1) for source in ("a", "b"))
    assert one.stem != other.stem
    assert make_record(PARTS, {PARTS[0]: "a", "elsewhere": "x"}, rows=1).stem == one.stem


def test_a_file_takes_the_place_of_its_parts_if_all_are_there(layout: RunLayout) -> None:
    record = make_record(PARTS[:2], {}, rows=7).with_folder("scores").with_folder("facts/pu/12")
    write_record(layout, record)
    scores = [f"scores/{part}.parquet" for part in PARTS]
    compacted = [f"compact/scores/{record.stem}.parquet", scores[2]]
    assert with_compacted(layout, reversed(scores)) == compacted
    assert with_compacted(layout, compacted) == compacted
    assert without_compacted(layout, compacted) == scores
    assert with_compacted(layout, scores[1:]) == scores[1:]
    newer = [scores[0].replace(".parquet", ".v2.parquet"), *scores[1:]]
    assert with_compacted(layout, newer) == newer
    members = [f"members/{part}.parquet" for part in PARTS]
    assert with_compacted(layout, members) == members
    facts = [f"facts/pu/12/{part}.parquet" for part in PARTS[:2]]
    assert with_compacted(layout, facts) == [f"compact/facts/pu/12/{record.stem}.parquet"]


def test_later_versions_of_scores_have_the_members_and_facts_of_the_first(
    layout: RunLayout,
) -> None:
    names = [PARTS[0], f"{PARTS[1]}.v2"]
    record = make_record(names, {}, rows=7).with_folder("scores").with_folder("members")
    write_record(layout, record)
    assert records(layout) == [record]
    assert record.stem != make_record(PARTS[:2], {}, rows=7).stem
    for folder, parts in (("scores", names), ("members", PARTS[:2])):
        paths = [f"{folder}/{name}.parquet" for name in parts]
        assert with_compacted(layout, paths) == [record.compacted(folder)]
        assert without_compacted(layout, [record.compacted(folder)]) == paths
    assert split_version("00000001-00000000~2-ab") == ("00000001-00000000~2-ab", 1)


def test_the_larger_of_two_files_is_taken(layout: RunLayout) -> None:
    small = make_record(PARTS[1:], {}, rows=2).with_folder("scores")
    large = make_record(PARTS, {}, rows=3).with_folder("scores")
    for record in (small, large):
        write_record(layout, record)
    scores = [f"scores/{part}.parquet" for part in PARTS]
    assert with_compacted(layout, scores) == [large.compacted("scores")]


def test_a_record_is_stale_once_a_part_is_made_from_something_else(layout: RunLayout) -> None:
    record = make_record(PARTS[:2], {part: f"{part} of a" for part in PARTS}, rows=7)
    write_record(layout, record)
    same = {PARTS[0]: f"{PARTS[0]} of a", PARTS[2]: "anything"}
    assert stale_records(layout, same) == []
    other = {**same, PARTS[1]: "mended"}
    assert stale_records(layout, other) == [record]
    retire_compacted(layout, same)
    assert records(layout) == [record]
    retire_compacted(layout, other)
    assert records(layout) == []


def test_a_damaged_record_is_named(layout: RunLayout) -> None:
    record = make_record(PARTS, {}, rows=7)
    write_record(layout, record)
    Path(layout.root, "compact", f"{record.stem}.json").write_text("{")
    with pytest.raises(StorageError, match=rf"{record.stem}.json is damaged .*coursepack compact"):
        records(layout)

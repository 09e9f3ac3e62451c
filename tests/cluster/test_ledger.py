from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.ledger import Ledger, Marker, short_hash
from shards.errors import CoursepackError


def marker(part: str, *, damaged: bool = False) -> Marker:
    return Marker(
        part, short_hash("config"), short_hash("etag"), (f"scores/{part}.parquet",),
        {"images": 3.0}, damaged,
    )  # fmt: skip


def test_a_listing_tells_what_is_done_and_reading_tells_the_rest(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path / "ledger"))
    assert ledger.listing() == {}
    written = [marker("00000001-00000000"), marker("00000000-00000000", damaged=True)]
    for one in written:
        ledger.write(one)
    listing = ledger.listing()
    assert set(listing) == {"00000000-00000000", "00000001-00000000"}
    assert listing["00000000-00000000"].damaged
    assert not listing["00000001-00000000"].damaged
    assert listing["00000001-00000000"].etag == short_hash("etag")
    assert list(ledger.read()) == sorted(written, key=lambda one: one.part)


def test_files_that_are_no_markers_are_ignored_and_a_removed_one_is_forgotten(
    tmp_path: Path,
) -> None:
    ledger = Ledger(str(tmp_path))
    (tmp_path / "notes.json").write_text("{}")
    ledger.write(one := marker("00000001-00000000"))
    assert set(ledger.listing()) == {"00000001-00000000"}
    ledger.remove(one)
    assert ledger.listing() == {}


def test_a_damaged_marker_file_says_how_to_go_on(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write(one := marker("00000001-00000000"))
    (tmp_path / one.file_name).write_text("{half")
    with pytest.raises(CoursepackError, match="remove it and run the same"):
        list(ledger.read())


def test_the_newest_version_of_a_part_counts_and_goes_with_all_others(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    first = marker("00000001-00000000")
    third = replace(first, version=3, counters={"failed": 0.0})
    for one in (third, first, replace(first, version=2)):
        ledger.write(one)
    (tmp_path / first.file_name.replace("-00000000-", "-00000000.vx-", 1)).write_text("{}")
    (found,) = ledger.read()
    assert found == third
    assert found.scores_name == "00000001-00000000.v3"
    assert list(ledger.read(["00000009-00000000"])) == []
    ledger.remove(found)
    assert ledger.listing() == {}

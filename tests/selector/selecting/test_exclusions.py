from pathlib import Path

import numpy as np
import pytest

from selector.selecting.exclusions import list_hash, read_list, resolve
from shards.errors import StorageError, UsageError
from tests.support.score_rows import connected, score_rows

ROWS = score_rows(60)
HASH = "01" * 16


def row_ids(entries: list[str]) -> list[int]:
    with connected(ROWS) as (connection, _):
        return resolve(connection, entries).row_ids.tolist()


def expected(**wanted: object) -> list[int]:
    ((name, value),) = wanted.items()
    return sorted(row["row_id"] for row in ROWS.to_pylist() if row[name] == value)


def test_a_key_means_all_its_rows() -> None:
    assert row_ids(["k3"]) == expected(key="k3")
    assert len(row_ids(["k3"])) == 2
    assert row_ids(["K3"]) == row_ids(["k3 x"]) == []


def test_a_content_hash_means_all_rows_of_these_bytes() -> None:
    same = expected(content_hash=bytes([1]) * 16)
    assert len(same) > 5
    assert row_ids([HASH]) == row_ids([f"hash:{HASH}"]) == same
    assert row_ids(["FF" * 16]) == expected(content_hash=b"\xff" * 16)


def test_a_number_is_a_row_id_unless_it_is_a_key() -> None:
    one = 1 << 32 | 3
    assert row_ids([str(one)]) == [one]
    keys = ROWS["key"].to_pylist()
    at = ROWS["row_id"].to_pylist().index(2)
    keys[at] = str(one)
    renamed = ROWS.set_column(ROWS.schema.get_field_index("key"), "key", [keys])
    with connected(renamed) as (connection, _):
        assert resolve(connection, [str(one)]).row_ids.tolist() == [2]
        assert resolve(connection, [f"row_id:{one}"]).row_ids.tolist() == [one]
        assert resolve(connection, [f"key:{one}"]).row_ids.tolist() == [2]
        # Leading zeros make a key, never a number.
        assert resolve(connection, [f"0{one}"]).row_ids.tolist() == []


def test_what_matches_nothing_is_told() -> None:
    with connected(ROWS) as (connection, _):
        found = resolve(connection, ["k3", "nobody", "row_id:x", "9" * 30, "k3", "hash:12"])
        assert found.num_entries == 5
        assert found.unmatched == ("9" * 30, "hash:12", "nobody", "row_id:x")
        warning = found.warning()
        assert warning is not None
        assert "4 of 5 entries of the exclusion list match nothing" in warning
        assert resolve(connection, ["k3"]).warning() is None


def test_rows_come_sorted_and_once() -> None:
    ids = np.array(row_ids(["k3", HASH, *map(str, expected(key="k3")), "k1"]))
    assert (np.diff(ids) > 0).all()
    assert row_ids([]) == []


def test_a_file_holds_one_entry_a_line(tmp_path: Path) -> None:
    path = tmp_path / "takedown.txt"
    path.write_bytes("\ufeff# why\n k1 \r\n\n#hash\nk 2\x0bx\n".encode())
    assert read_list(str(path)) == ("k1", "#hash", "k 2\x0bx")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="one entry per line"):
        read_list(str(path))
    with pytest.raises(StorageError, match=r"gone\.txt"):
        read_list(str(tmp_path / "gone.txt"))


def test_the_hash_of_a_list_is_that_of_its_entries() -> None:
    assert list_hash(["a", "b"]) == list_hash(["b", "a", "a"])
    assert list_hash(["a", "b"]) != list_hash(["ab"])

from __future__ import annotations

import numpy as np
import torch

from selector.scores.uncertainty import scores_from_logits
from selector.scoring.rows import RowBatch, members_table, scores_table
from selector.tables.schema import check_schema, row_id
from shards.sample import Member, SampleEntry


def batch_of(first: int, count: int, logits: torch.Tensor | None) -> RowBatch:
    rows = RowBatch()
    for index in range(first, first + count):
        members = (Member(f"k{index}.jpg", "jpg", 512, 10), Member(f"k{index}.cls", "cls", 1536, 1))
        rows.extend([SampleEntry(index, f"k{index}", members)])
        rows.width[-1], rows.height[-1] = 4, 5
        rows.num_bytes[-1], rows.content_hash[-1], rows.phash[-1] = 10, bytes(16), 2**64 - 1
    rows.set_scores(None if logits is None else scores_from_logits(logits))
    return rows


def test_rows_of_batches_become_one_table_in_order() -> None:
    logits = torch.tensor([[0.0, 3.0], [5.0, 1.0], [9.0, 9.0], [0.0, 0.0]])
    first, second = batch_of(0, 4, logits), batch_of(4, 2, logits)  # the tail is padded to 4
    second.fail(1, "undecodable", "no")
    table = scores_table([first, second], shard_id=7, shard_name="s.tar")
    check_schema(table.schema, kind="scores", where="here")
    assert table["row_id"].to_pylist() == [row_id(7, index) for index in range(6)]
    assert table["index"].to_pylist() == list(range(6))
    assert table["key"].to_pylist() == [f"k{index}" for index in range(6)]
    assert table["shard"].to_pylist() == ["s.tar"] * 6
    assert table["pseudo_label"].to_pylist() == [1, 0, 0, 0, 1, None]
    assert table["noise_value"].to_pylist()[5] is None
    assert table["status"].to_pylist() == ["ok"] * 5 + ["undecodable"]
    assert table["error"].to_pylist() == [None] * 5 + ["no"]
    assert table["phash"].to_pylist()[5] == 2**64 - 1
    assert np.isclose(table["noise_value"][0].as_py(), np.log1p(np.exp(-3)))


def test_members_of_all_rows_failed_ones_included() -> None:
    rows = batch_of(3, 2, None)
    rows.fail(0, "undecodable", "no")
    table = members_table([rows], shard_id=1)
    check_schema(table.schema, kind="members", where="here")
    assert table["row_id"].to_pylist() == [row_id(1, 3)] * 2 + [row_id(1, 4)] * 2
    assert table["extension"].to_pylist() == ["jpg", "cls"] * 2
    assert table["offset"].to_pylist() == [512, 1536] * 2


def test_logits_that_are_not_finite_fail_their_row_alone() -> None:
    logits = torch.tensor([[1.0, 2.0], [torch.nan, 0.0], [torch.inf, 0.0], [torch.nan, 0.0]])
    rows = RowBatch()
    for index in range(4):
        rows.extend([SampleEntry(index, "k", ())])
    rows.fail(3, "no_image", "none")
    rows.set_scores(scores_from_logits(logits))
    assert rows.status == ["ok", "crashed", "crashed", "no_image"]
    assert rows.error[1] == "the teacher's logits are NaN or infinite"
    assert rows.error[3] == "none"


def test_no_rows_make_empty_tables() -> None:
    rows = RowBatch()
    rows.set_scores(None)
    assert len(scores_table([rows], shard_id=0, shard_name="s")) == 0
    assert len(members_table([rows], shard_id=0)) == 0

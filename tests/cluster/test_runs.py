from __future__ import annotations

from pathlib import Path

import pytest

from cluster.runs import differences, open_run
from shards.errors import UsageError

SEMANTIC = {"teacher": {"name": "he/resnet20", "fingerprint": "abc"}, "limits": {"pixels": 1}}


def test_choices_are_made_once_and_kept(tmp_path: Path) -> None:
    first = open_run(
        str(tmp_path), semantic=SEMANTIC, execution={"threads": 1, "batch_size": 64}, facts={}
    )
    again = open_run(
        str(tmp_path), semantic=SEMANTIC, execution={"threads": None, "batch_size": None}, facts={}
    )
    assert again == first
    changed = open_run(
        str(tmp_path), semantic=SEMANTIC, execution={"threads": 4, "batch_size": None}, facts={}
    )
    assert changed.execution == {"threads": 4, "batch_size": 64}
    assert changed.semantic_hash == first.semantic_hash, "execution is never hashed"


def test_another_teacher_is_refused_with_the_difference(tmp_path: Path) -> None:
    open_run(str(tmp_path), semantic=SEMANTIC, execution={}, facts={})
    other = SEMANTIC | {"teacher": {"name": "he/resnet56", "fingerprint": "abc"}}
    with pytest.raises(
        UsageError, match=r'teacher\.name: "he/resnet20" -> "he/resnet56"'
    ) as caught:
        open_run(str(tmp_path), semantic=other, execution={}, facts={})
    assert "fingerprint" not in str(caught.value), "what is equal is not told"


def test_what_a_stored_configuration_leaves_out_is_told_as_what_it_means(tmp_path: Path) -> None:
    open_run(str(tmp_path), semantic=SEMANTIC, execution={}, facts={})
    with pytest.raises(UsageError, match='views: "one" -> "ten"'):
        open_run(str(tmp_path), semantic=SEMANTIC | {"views": "ten"}, execution={}, facts={})


def test_differences_name_every_leaf() -> None:
    old = {"a": 1, "b": {"c": [1], "d": 2}}
    new = {"a": 1, "b": {"c": [2]}, "e": None}
    assert list(differences(old, new)) == [
        "b.c: [1] -> [2]",
        'b.d: 2 -> "(absent)"',
        'e: "(absent)" -> null',
    ]


def test_what_is_left_out_is_told_by_its_meaning() -> None:
    old, new = {"preprocessing": {"crop": 32}}, {"preprocessing": {"crop": 32, "decode": "fast"}}
    assert list(differences(old, new)) == ['preprocessing.decode: "exact" -> "fast"']
    assert list(differences(new, old)) == ['preprocessing.decode: "fast" -> "exact"']


def test_a_folder_with_another_config_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: x\n")
    with pytest.raises(UsageError, match="not the config of a coursepack run"):
        open_run(str(tmp_path), semantic=SEMANTIC, execution={}, facts={})

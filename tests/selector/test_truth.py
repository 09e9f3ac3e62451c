"""Rules alone; whole tables are tested with the verb (tests/cluster/verbs/test_pu.py)."""

from __future__ import annotations

import pytest

from selector.truth import parse_rule
from shards.errors import UsageError

NAMES = ["cat", "dog"]


def test_class_members_by_name_and_number() -> None:
    rule = parse_rule("cls", field=None, mapping=None, missing="negative", class_names=NAMES)
    assert rule(b"1\n") == (1, 1)
    assert rule(b"cat") == (1, 0)
    assert rule(b"yak") == (0, None)
    assert rule(None) == (0, None)


def test_a_field_through_a_mapping() -> None:
    mapping = {"n01": "dog", "n02": 0, "n03": None, "n04": "1"}
    rule = parse_rule("json", field="synset", mapping=mapping, missing="unknown", class_names=NAMES)
    assert [rule(b'{"synset": "n0%d"}' % n) for n in (1, 2, 3, 4, 5)] == [
        (1, 1),
        (1, 0),
        (0, None),
        (1, 1),
        (0, None),
    ]
    for data in (None, b"{}", b"[1]", b"no json", b'{"synset": null}'):
        assert rule(data) == (None, None)


@pytest.mark.parametrize("wanted", ["zebra", -1, True, 1.5])
def test_a_class_that_does_not_exist(wanted: object) -> None:
    with pytest.raises(UsageError, match="no class; expected cat, dog"):
        parse_rule("cls", field=None, mapping={"x": wanted}, missing="negative", class_names=NAMES)

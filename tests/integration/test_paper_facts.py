"""What a selection truly is, counted by hand on six images."""

from __future__ import annotations

from benchmarks.papers.facts import class_facts, class_gaps

ROWS = {0: (3, 0.1), 1: (3, 0.4), 2: (3, 0.2), 3: (5, 0.0)}
TRUTH = {0: "tabby", 1: "poodle", 2: "pizza", 3: "poodle"}


def test_shares_of_each_class() -> None:
    found = class_facts(
        ROWS, TRUTH, classes={"tabby": 3, "poodle": 5}, names={"pizza": "pie, pizza"}
    )
    by_name = {one.name: one for one in found}
    assert len(found) == 10
    cat, dog = by_name["cat"], by_name["dog"]
    assert (cat.images, cat.worst, cat.right, cat.foreign) == (3, 0.4, 0.333, 0.333)
    assert cat.synsets == {"pie": 1, "poodle": 1, "tabby": 1}
    assert (dog.images, dog.right, dog.foreign) == (1, 1.0, 0.0)
    assert (by_name["ship"].images, by_name["ship"].right) == (0, 0.0)


def test_gaps_are_against_real_images() -> None:
    rows = [
        {"table": "dfnd", "arm": "real_kd", "per_class": [0.5, 0.6]},
        {"table": "dfnd", "arm": "dfnd", "per_class": [0.4, 0.6]},
        {"table": "dfnd", "arm": "dfnd", "per_class": [0.2, 0.8]},
    ]
    assert class_gaps(rows)["dfnd"] == [-20.0, 10.0]
    assert class_gaps(rows[1:]) == {}

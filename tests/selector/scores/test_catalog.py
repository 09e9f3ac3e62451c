from __future__ import annotations

from selector.scores.catalog import SCORES
from selector.scores.uncertainty import LogitScores
from selector.tables.schema import direction_of, scores_schema


def test_every_score_is_computed_and_stored_with_its_direction() -> None:
    schema = scores_schema()
    for name, score in SCORES.items():
        assert name in LogitScores._fields
        assert direction_of(schema.field(name)) == score.direction


def test_only_scores_of_the_catalog_have_a_direction() -> None:
    directed = {field.name for field in scores_schema() if direction_of(field) != "none"}
    assert directed == set(SCORES)


def test_each_says_what_it_is() -> None:
    for score in SCORES.values():
        assert score.unit
        assert score.range.startswith("[")
        assert score.description

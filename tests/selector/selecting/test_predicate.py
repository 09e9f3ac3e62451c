import pyarrow as pa
import pytest

from selector.selecting.predicate import Predicate, check_predicate
from selector.tables.schema import column, fact_schema
from shards.errors import UsageError
from tests.support.score_rows import connected, score_rows

ROWS = score_rows(40)
PU = pa.table(
    {"row_id": [0, 1], "prob": [0.5, 0.25]},
    schema=fact_schema("pu", [column("prob", pa.float64(), "p")]),
)


def check(text: str) -> Predicate:
    with connected(ROWS, pu=PU) as (connection, _):
        return check_predicate(connection, text, "steps[3].where")


@pytest.mark.parametrize(
    "text",
    [
        "status = 'ok' AND width >= 32",
        "pseudo_label IN (1, 2) OR key LIKE 'train/%'",
        "width > 5 -- a comment",
        "noise_value BETWEEN 0 AND 0.1",
        "hex(content_hash) < '80'",
        "true",
    ],
)
def test_conditions_over_scores_bind(text: str) -> None:
    predicate = check(text)
    assert predicate.tables == {"scores"}
    assert "--" not in predicate.expression
    assert check(predicate.expression).expression == predicate.expression


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("status = 'ok' AND width >= 32", ("status", "width")),
        ('"Width" > 3 OR scores.HEIGHT > length(key)', ("key", "width", "height")),
        ("true", ()),
        ("COLUMNS(['width', 'height']) > 5", None),
        ("main.scores.width > 5", None),
        ("noise_value < (SELECT avg(noise_value) FROM scores)", None),
        ("EXISTS (SELECT 1)", None),
    ],
)
def test_columns_that_a_row_needs(text: str, columns: tuple[str, ...] | None) -> None:
    assert check(text).columns == (
        columns if columns is None else tuple(n for n in ROWS.column_names if n in columns)
    )


def test_tables_of_subqueries_are_found() -> None:
    text = "row_id IN (SELECT row_id FROM PU WHERE prob > (SELECT avg(p.prob) FROM pu p))"
    assert check(text).tables == {"scores", "PU", "pu"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("widht > 5", r'SQL: .*"widht".*scores has row_id'),
        ("width", "'width' is INTEGER, expected a condition: true or false"),
        ("'yes'", "expected a condition"),
        ("width > 5) OR (true", "syntax error"),
        ("true) UNION SELECT (true", "syntax error"),
        ("true, true", "single expression"),
        ("true; DROP VIEW scores", r"more than one statement|single SELECT"),
        ("", "SQL: Parser Error"),
        ("count(*) > 5", "aggregates"),
        ("row_number() OVER () > 5", "window functions"),
        ("random() < 0.5", r"random\(\) gives another answer every time"),
        ("RANDOM () < 0.5", r"random\(\) gives another answer every time"),
        ("now() IS NULL", r"now\(\) gives another answer"),
        ("width > (SELECT count(*) FROM '/etc/passwd')", "does not exist"),
        ("width > (SELECT count(*) FROM read_text('/etc/passwd'))", "disabled"),
    ],
)
def test_everything_else_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        check(text)
    assert str(caught.value).startswith("steps[3].where: ")
    assert "\n" not in str(caught.value)

import pyarrow as pa
import pytest

from selector.recipe import load_recipe
from selector.selecting.bind import bind
from selector.selecting.plan import Combine, Flag, Limit, Listed, Plan, Rank
from selector.tables.schema import column, fact_schema
from shards.errors import UsageError
from tests.support.score_rows import connected, score_rows

ROWS = score_rows(40)
PU = pa.table(
    {"row_id": [0, 1], "pu_prob": pa.array([0.5, 0.25], pa.float32()), "cluster": [3, 4]},
    schema=fact_schema(
        "pu",
        [
            column("pu_prob", pa.float32(), "p", direction="higher"),
            column("cluster", pa.int64(), "c"),
        ],
    ),
)
SEMANTIC = pa.table(
    {"row_id": [0, 1], "duplicate_of": [None, 0]},
    schema=fact_schema("semantic", [column("duplicate_of", pa.int64(), "row kept instead")]),
)


def plan_of(*steps: dict, source: dict | None = None) -> Plan:
    with connected(ROWS, pu=PU, semantic=SEMANTIC) as (connection, tables):
        recipe = load_recipe({"source": source or {}, "steps": list(steps)})
        hashes = {"selection_x": "abc"}
        return bind(recipe, connection, tables, class_names=None, selection_hashes=hashes)


@pytest.mark.parametrize(
    ("order", "descending", "sign", "words"),
    [
        ("noise_value", None, 1, "lowest noise_value"),
        ("noise_value", True, -1, "highest noise_value"),
        ("max_prob", None, -1, "highest max_prob"),
        ("max_prob", True, -1, "highest max_prob"),
        ("max_prob", False, 1, "lowest max_prob"),
        ("width", None, 1, "lowest width"),
        ("pu.pu_prob", None, -1, "highest pu.pu_prob"),
    ],
)
def test_direction_is_the_columns_own_unless_the_recipe_says(
    order: str, descending: bool | None, sign: int, words: str
) -> None:
    options = {"n": 5, "order": order} | ({} if descending is None else {"descending": descending})
    (step,) = plan_of({"take": options}).steps
    assert isinstance(step, Rank)
    assert (step.order.sign, step.order.words) == (sign, words)
    assert step.label == f"take 5 {words}"


def test_each_kind_of_step_becomes_its_kind() -> None:
    plan = plan_of(
        {"where": "margin > 0.5"},
        {"exclude": {"list": ["k1"]}},
        {"exclude": {"duplicates": "semantic"}},
        {"take": {"threshold": 0.1, "order": "noise_value"}},
        {"quota": {"by": "pu.cluster", "n": 1, "order": "random", "seed": 4}},
        {"any": [{"sample": {"n": 1}}, {"where": "true"}]},
    )
    assert [type(step) for step in plan.steps] == [Flag, Listed, Flag, Limit, Rank, Combine]
    assert plan.steps[5].parts[0].path == "steps[5].any[0].sample"
    assert plan.tables == {"scores": 1, "pu": 1, "semantic": 1}


def test_a_limit_is_rounded_as_the_column_is_stored() -> None:
    (step,) = plan_of({"take": {"threshold": 0.1, "order": "noise_value"}}).steps
    assert isinstance(step, Limit)
    assert step.limit == pa.scalar(0.1, pa.float32()).as_py()


def test_tables_that_predicates_read_are_recorded() -> None:
    text = "row_id IN (SELECT row_id FROM PU WHERE pu_prob > 0.3)"
    assert plan_of(source={"where": text}).tables == {"scores": 1, "pu": 1}
    assert plan_of({"any": [{"where": text}]}).tables == {"scores": 1, "pu": 1}
    assert plan_of({"where": "width > 5"}).tables == {"scores": 1}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            {"take": {"n": 5, "order": "noise_vale"}},
            r"steps\[0\]\.take\.order: scores has no column 'noise_vale'; did you mean 'noise_va",
        ),
        ({"take": {"n": 5, "order": "zzz"}}, "it has row_id, shard_id"),
        ({"take": {"n": 5, "order": "key"}}, "key is string, expected a column of numbers"),
        ({"take": {"n": 5, "order": "pu.prob"}}, "pu has no column 'prob'; did you mean 'pu_prob'"),
        ({"take": {"n": 5, "order": "up.prob"}}, "no fact table 'up'; it has pu, semantic"),
        ({"take": {"n": 5, "order": "members.size"}}, "no fact table 'members'"),
        (
            {"quota": {"by": "margin", "n": 5, "order": "width"}},
            r"steps\[0\]\.quota\.by: margin is float, expected a column of whole numbers: shard_id",
        ),
        (
            {"any": [{"exclude": {"duplicates": "exact"}}]},
            r"steps\[0\]\.any\[0\]\.exclude\.duplicates: the run has no fact table 'exact'",
        ),
        ({"exclude": {"duplicates": "pu"}}, "pu has no column 'duplicate_of'"),
        ({"where": "widht > 5"}, r'steps\[0\]\.where: SQL: .*"widht".*scores has row_id'),
        (
            {"fill": {"n": 5, "from": [{"where": "true"}, {"sample": {"n": 5}}]}},
            r"steps\[0\]\.fill\.from\[0\]\.where: found a step without an order",
        ),
    ],
)
def test_what_the_run_does_not_have_is_named_with_its_place(step: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        plan_of(step)
    assert "\n" not in str(caught.value)


def test_the_source_is_checked_as_well() -> None:
    with pytest.raises(UsageError, match=r"source\.where: SQL: .*widht"):
        plan_of(source={"where": "widht > 5"})
    assert plan_of(source={"status": "any"}).status_ok is False
    assert plan_of(source={"where": "width > 5 -- comment"}).where is not None

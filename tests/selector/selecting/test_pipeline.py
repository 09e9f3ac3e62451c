from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selector.recipe import load_recipe
from selector.selecting.bind import bind
from selector.selecting.pipeline import Outcome, run_plan
from selector.selecting.rows import concatenate, take_rows
from selector.selecting.source import Chunk, candidates
from shards.errors import UsageError
from tests.selector.selecting.reference import select_reference
from tests.support.score_rows import connected, score_rows

ROWS = score_rows(150)
N = st.integers(1, 60)
ORDERS = st.sampled_from(["noise_value", "max_prob", "margin", "width", "random"])


def ranking(options: dict) -> dict:
    return {**options, **({"seed": 3} if options["order"] == "random" else {})}


TAKE = st.fixed_dictionaries(
    {"n": N, "order": ORDERS, "shortage": st.just("accept")},
    optional={"descending": st.booleans()},
).map(lambda options: {"take": ranking(options)})
SHARE = st.fixed_dictionaries({"quantile": st.sampled_from([0.1, 0.29, 0.5]), "order": ORDERS}).map(
    lambda options: {"take": ranking(options)}
)
LIMIT = st.fixed_dictionaries(
    {
        "threshold": st.sampled_from([0.1, 0.25, 0.3]),
        "order": st.sampled_from(["noise_value", "margin"]),
    }
).map(lambda options: {"take": options})
QUOTA = st.fixed_dictionaries(
    {
        "by": st.just("pseudo_label"),
        "n": st.integers(1, 30),
        "order": ORDERS,
        "shortage": st.sampled_from(["accept", "redistribute"]),
    }
).map(lambda options: {"quota": ranking(options)})
SAMPLE = st.builds(lambda n: {"sample": {"n": n, "seed": 5, "shortage": "accept"}}, N)
WHERE = st.just({"where": "width >= 200"})
EXCLUDE = st.just({"exclude": {"list": ["k1", "k2", "k30"]}})
ORDERED = TAKE | SHARE | LIMIT | QUOTA | SAMPLE
SIMPLE = ORDERED | WHERE | EXCLUDE
FILL = st.builds(
    lambda n, parts: {"fill": {"n": n, "from": parts, "shortage": "accept"}},
    N,
    st.lists(ORDERED, min_size=2, max_size=3),
)
STEP = st.recursive(
    SIMPLE | FILL,
    lambda inner: st.builds(
        lambda how, parts: {how: parts},
        st.sampled_from(["all", "any"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)


def run(steps: list[dict], *, cuts: list[int] | None = None, seed: int = 0) -> Outcome:
    """The pipeline over chunks cut and shuffled at will."""
    recipe = load_recipe({"steps": steps})
    with connected(ROWS) as (connection, tables):
        plan = bind(recipe, connection, tables, class_names=None, selection_hashes={})
        rows = concatenate(list(candidates(connection, plan)))
    order = np.random.default_rng(seed).permutation(len(rows["row_id"]))
    pieces = np.split(order, sorted(cuts or []))

    def stream() -> list[Chunk]:
        return [take_rows(rows, piece) for piece in pieces]

    return run_plan(plan, stream)


def run_or_error(steps: list[dict], cuts: list[int], seed: int) -> tuple[Outcome | None, str]:
    try:
        return run(steps, cuts=cuts, seed=seed), ""
    except UsageError as error:
        return None, str(error)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(STEP, max_size=3), st.lists(st.integers(0, 135), max_size=6), st.integers(0, 2**32 - 1)
)
def test_any_recipe_selects_what_the_plain_way_selects(
    steps: list[dict], cuts: list[int], seed: int
) -> None:
    expected = select_reference(ROWS.to_pylist(), steps)
    outcome, error = run_or_error(steps, cuts, seed)
    if outcome is None:
        empty = "is empty" in error and not expected
        assert empty or ("redistribute" in str(steps) and "rows wanted" in error)
        return
    assert outcome.row_ids.tolist() == sorted(expected)
    assert len(outcome.reason) == len(expected)
    assert set(outcome.reason.tolist()) <= set(range(len(outcome.labels)))


@settings(max_examples=20, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_stats_hang_on_neither_order_nor_chunks(steps: list[dict], seed: int) -> None:
    def told(cuts: list[int], seed: int) -> tuple:
        outcome, error = run_or_error(steps, cuts, seed)
        if outcome is None:
            return (error,)
        labels = [outcome.labels[code] for code in outcome.reason]
        return outcome.steps, outcome.warnings, labels

    assert told([], 0) == told([1, 40, 41, 90], seed)


def test_rows_in_and_out_follow_each_other() -> None:
    outcome = run(
        [
            {"exclude": {"list": ["k1"]}},
            {"take": {"n": 50, "order": "noise_value"}},
            {"where": "width >= 200"},
            {"sample": {"n": 5}},
        ],
    )
    assert outcome.steps[0]["path"] == "steps[0].exclude"
    assert outcome.steps[0]["rows_in"] == 135
    for before, after in zip(outcome.steps, outcome.steps[1:], strict=False):
        assert before["rows_out"] == after["rows_in"]
    assert outcome.num_candidates == 135
    assert outcome.steps[-1]["rows_out"] == len(outcome.row_ids) == 5
    assert outcome.labels == ("take 50 lowest noise_value; sample 5 at random (seed 0)",)


@pytest.mark.parametrize(
    ("steps", "label"),
    [
        ([], "every row of the source"),
        ([{"where": "width >= 200"}], "where width >= 200"),
    ],
)
def test_rows_that_no_step_ranked_have_a_reason_too(steps: list[dict], label: str) -> None:
    assert run(steps).labels == (label,)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            [{"sample": {"n": 9}}, {"where": "width > 1000"}],
            r"steps\[1\]\.where .* kept none of 9 rows",
        ),
        ([{"where": "width > 1000"}, {"sample": {"n": 9}}], r"steps\[0\]\.where .* none of 135"),
        ([{"take": {"quantile": 0.001, "order": "random"}}], r"steps\[0\]\.take .* none of 135"),
    ],
)
def test_an_empty_selection_names_the_step_that_emptied_it(steps: list[dict], message: str) -> None:
    with pytest.raises(UsageError, match=f"the selection is empty: {message}"):
        run(steps)


def test_a_source_that_lets_nothing_through_is_named() -> None:
    recipe = load_recipe({"source": {"where": "width > 1000"}, "steps": []})
    with connected(ROWS) as (connection, tables):
        plan = bind(recipe, connection, tables, class_names=None, selection_hashes={})
        with pytest.raises(UsageError, match=r"no row passes the source \(.*width > 1000"):
            run_plan(plan, lambda: candidates(connection, plan))


CHUNKS, PER_CHUNK = 30, 50_000


def large_stream(order: str) -> Iterator[Chunk]:
    """1.5 M rows whose scores get better, or worse, or neither, from chunk to chunk."""
    rng = np.random.default_rng(0)
    for number in range(CHUNKS):
        row_id = np.arange(number * PER_CHUNK, (number + 1) * PER_CHUNK)
        slope = {"better": -1.0, "worse": 1.0, "mixed": 0.0}[order]
        zeros = np.zeros(PER_CHUNK, dtype=np.uint64)
        yield {
            "row_id": row_id,
            "tie_high": zeros,
            "tie_low": zeros,
            "noise_value": slope * row_id + rng.random(PER_CHUNK),
            "group pseudo_label": row_id % 10,
        }


@pytest.mark.parametrize("order", ["better", "worse", "mixed"])
@pytest.mark.parametrize(
    "step",
    [
        {"take": {"n": 2000, "order": "noise_value"}},
        {"take": {"quantile": 0.001, "order": "noise_value"}},
        {"sample": {"n": 2000}},
        {
            "quota": {
                "by": "pseudo_label",
                "n": 200,
                "order": "noise_value",
                "shortage": "redistribute",
            }
        },
    ],
    ids=lambda step: next(iter(step)),
)
def test_memory_follows_the_selection_not_the_pool(step: dict, order: str) -> None:
    with connected(ROWS) as (connection, tables):
        recipe = load_recipe({"steps": [step]})
        plan = bind(recipe, connection, tables, class_names=None, selection_hashes={})
    outcome = run_plan(plan, lambda: large_stream(order))
    assert outcome.num_candidates == CHUNKS * PER_CHUNK
    assert len(outcome.row_ids) in (1500, 2000)
    # The survivors, a buffer of 65,536 rows, and the chunk that made it overflow.
    assert outcome.peak_rows <= 2000 + 65_536 + PER_CHUNK

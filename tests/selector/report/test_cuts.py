"""cuts: read back from selections that were really made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

from selector.report.cuts import Cut, noise_cut
from selector.selection import select
from tests.support.runs import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_run(tmp_path_factory.mktemp("run"))


def cut_of(run: Any, name: str, *steps: dict[str, Any]) -> Cut | None:
    selection = select(run.root, {"name": name, "steps": list(steps)})
    return noise_cut(selection.stats["steps"])


def test_the_n_smallest_end_at_the_nth_value(run: Any) -> None:
    values = np.sort(run.scores["noise_value"].drop_null().to_numpy())
    found = cut_of(run, "top", {"take": {"n": 50, "order": "noise_value"}})
    assert found == Cut(float(values[49]), float(values[49]), 1)


def test_a_quota_has_one_cut_per_class(run: Any) -> None:
    found = cut_of(
        run, "quota", {"quota": {"by": "pseudo_label", "n": 3, "order": "noise_value",
                                 "shortage": "accept"}}
    )  # fmt: skip
    scored = run.scores.filter(pc.is_valid(run.scores["noise_value"]))
    labels, values = scored["pseudo_label"].to_numpy(), scored["noise_value"].to_numpy()
    cuts = [np.sort(values[labels == label])[:3][-1] for label in np.unique(labels)]
    assert found is not None
    assert (found.low, found.high) == (min(cuts), max(cuts))
    assert found.num_groups == len(cuts)


def test_a_threshold_is_its_own_cut(run: Any) -> None:
    found = cut_of(run, "limit", {"take": {"threshold": 0.125, "order": "noise_value"}})
    assert found == Cut(0.125, 0.125, 1)


def test_the_last_of_several_steps_decides(run: Any) -> None:
    values = np.sort(run.scores["noise_value"].drop_null().to_numpy())
    found = cut_of(
        run,
        "twice",
        {"take": {"threshold": 0.5, "order": "noise_value"}},
        {"take": {"n": 10, "order": "noise_value"}},
    )
    assert found == Cut(float(values[9]), float(values[9]), 1)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("draw", {"sample": {"n": 20, "seed": 1}}),
        ("other", {"take": {"n": 20, "order": "max_prob"}}),
        ("turned", {"take": {"n": 20, "order": "noise_value", "descending": True}}),
    ],
)
def test_what_does_not_take_the_lowest_noise_has_no_cut(
    run: Any, name: str, step: dict[str, Any]
) -> None:
    assert cut_of(run, name, step) is None


def test_a_cut_inside_a_combination_is_found(run: Any) -> None:
    found = cut_of(
        run,
        "both",
        {"all": [{"take": {"n": 50, "order": "noise_value"}}, {"sample": {"n": 200, "seed": 0}}]},
    )
    values = np.sort(run.scores["noise_value"].drop_null().to_numpy())
    assert found is not None
    assert found.high == float(values[49])

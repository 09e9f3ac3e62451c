from __future__ import annotations

from typing import Any

import pytest

from cluster.compress_config import CompressConfig, fixed_part
from cluster.config import load_config
from distiller.recipes import merge
from shards.errors import UsageError

MINIMAL: dict[str, Any] = {
    "teacher": {"name": "lenet/5", "weights": "t.safetensors"},
    "student": {"name": "lenet/5-half"},
    "labelled": "few/",
    "pool": ["pool/"],
    "distill": {"steps": 10},
    "out": "work/",
}


def load(changes: dict[str, Any]) -> CompressConfig:
    return load_config(CompressConfig, merge(MINIMAL, changes))


def test_a_few_lines_are_enough() -> None:
    config = load({})
    assert config.pu.prior == "auto"
    assert config.select.recipe == "pu-s1"
    assert config.baselines == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pu": {"prior": 0.0}}, r"pu\.prior: .*inside \(0, 1\)"),
        ({"pu": {"prior": 1.0}}, r"pu\.prior: "),
        ({"pu": {"prior": "guess"}}, r"pu\.prior: "),
        ({"features": "half"}, r"features: "),
        ({"baselines": ["oracle"]}, r"baselines"),
        ({"baselines": ["random", "random"], "eval": ["t/"]}, r"one is named twice"),
        ({"baselines": ["random"]}, r"give labelled shards as eval"),
        ({"baselines": ["ground_truth"], "eval": ["t/"]}, r"ground_truth needs a section truth"),
        ({"distill": {"student": {"name": "x"}}}, r"student: given at the top"),
        ({"distill": {"data": {"train": ["x"]}}}, r"data\.train: filled in by compress"),
        ({"labeled": "few/"}, r"did you mean 'labelled'"),
        ({"out": "s3://bucket/out"}, r"out: .*local folder"),
    ],
)
def test_a_wrong_field_is_told_with_what_is_expected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(changes)


def test_what_a_later_call_may_change_is_not_in_the_fixed_part() -> None:
    first = load({"eval": ["test/"]})
    free = {"baselines": ["random"], "max_bad": "10%", "execution": {"threads": 2}, "out": "moved/"}
    assert fixed_part(load({"eval": ["test/"], **free})) == fixed_part(first)
    assert fixed_part(load({"eval": ["test/"], "seed": 1})) != fixed_part(first)

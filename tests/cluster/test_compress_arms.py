from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.compress_arms import arm_names, distill_config
from distiller.objective_options import KdOptions
from distiller.robust_options import RobustOptions
from shards.errors import UsageError
from tests.cluster.test_compress_config import load

HOME = Path("work")
BASELINES = {
    "eval": ["test/"],
    "baselines": ["random", "ground_truth", "labelled_only"],
    "truth": {"field": "source", "mapping": {"a": 0}},
}


def config_of(arm: str, **changes: Any) -> Any:
    selected = None if arm == "labelled_only" else f"selected/{arm}"
    config = load({**BASELINES, **changes})
    return distill_config(config, arm, selected=selected, labelled="few/", home=HOME)


def test_every_arm_differs_in_its_images_alone() -> None:
    main = config_of("pu")
    random = config_of("random")
    assert isinstance(main.objective, RobustOptions)
    assert (main.data.train, main.data.labelled) == (("selected/pu",), ("few/",))
    assert (main.out, random.out) == ("work/students/pu", "work/students/random")
    same = {"out": "", "data": {}}
    assert main.model_copy(update=same) == random.model_copy(update=same)
    assert arm_names(load(BASELINES)) == ["pu", "random", "ground_truth", "labelled_only"]


def test_labelled_only_drops_no_class_and_keeps_the_balance_of_its_terms() -> None:
    distill = {"steps": 5, "data": {"labelled_ce": 0.5, "labelled_share": 0.2}}
    alone = config_of("labelled_only", distill=distill)
    assert alone.data.train == alone.data.labelled == ("few/",)
    assert (alone.data.labelled_ce, alone.data.labelled_share) == (1.0, None)
    assert alone.objective.n_min == 0
    assert config_of("labelled_only").data.labelled is None
    with_kd = config_of("labelled_only", distill={"steps": 5, "objective": {"kind": "kd"}})
    assert isinstance(with_kd.objective, KdOptions)


def test_a_wrong_training_option_is_named() -> None:
    with pytest.raises(UsageError, match=r"distill: .*optimizer\.lrr: unknown key"):
        config_of("pu", distill={"steps": 5, "optimizer": {"lrr": 1}})
    with pytest.raises(UsageError, match=r"steps"):
        config_of("pu", distill={"steps": 0})

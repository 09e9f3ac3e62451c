import pytest

from selector.pu.settings import PU_RECIPES, make_settings
from shards.errors import UsageError


def test_the_papers_recipe() -> None:
    paper = make_settings("paper")
    assert (paper.optimizer, paper.lr, paper.momentum, paper.weight_decay) == (
        "sgd",
        1e-3,
        0.9,
        5e-3,
    )
    assert (paper.surrogate, paper.beta, paper.gamma, paper.batch_pool) == ("sigmoid", 0, 1, 4096)
    assert paper.num_steps(40_960) == 2000
    assert paper.hidden(960) == 60
    assert paper.hidden(112) == 7


def test_changes_go_over_the_recipe() -> None:
    assert make_settings("default", {"steps": 7}).num_steps(10**6) == 7
    assert make_settings("paper", {"steps": 7}).num_steps(10**6) == 7
    assert make_settings("default", {"epochs": 2}).num_steps(10_240) == 20
    assert make_settings("default").hidden(112) == 32
    assert make_settings("default").hidden(8) == 8


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("fast", {}, f"expected one of {', '.join(PU_RECIPES)}"),
        ("default", {"lr": -1}, "PU setting lr: .* found -1"),
        ("default", {"surogate": "sigmoid"}, "did you mean surrogate"),
        ("default", {"holdout": 0.9}, "PU setting holdout"),
        ("default", {"steps": 3, "epochs": 3}, "either steps or epochs"),
    ],
)
def test_what_is_refused(recipe: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_settings(recipe, changes)

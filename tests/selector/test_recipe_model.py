import pytest
from pydantic import ValidationError

from selector.recipe_model import Recipe


def parse(**step: object) -> Recipe:
    return Recipe.model_validate({"steps": [step]})


@pytest.mark.parametrize(
    "step",
    [
        {"exclude": {"list": "takedown.txt"}},
        {"exclude": {"list": ["a", "b"]}},
        {"exclude": {"duplicates": "semantic"}},
        {"where": "margin > 0.5"},
        {"quota": {"by": "pseudo_label", "n": 6, "order": "noise_value"}},
        {"quota": {"by": "pseudo_label", "n": 6, "order": "random", "seed": 3}},
        {"take": {"n": 6, "order": "noise_value", "descending": True}},
        {"take": {"quantile": 0.25, "order": "noise_value"}},
        {"take": {"quantile": 1, "order": "noise_value"}},
        {"take": {"threshold": 1e-3, "order": "noise_value"}},
        {"take": {"n": 6, "order": "width", "shortage": "accept"}},
        {"sample": {"n": 6}},
        {"random": {"n": 6, "seed": 2**64 - 1}},
        {"all": [{"where": "true"}, {"sample": {"n": 6}}]},
        {"any": [{"any": [{"sample": {"n": 6}}]}]},
        {"fill": {"n": 6, "from": [{"sample": {"n": 6}}, {"take": {"n": 1, "order": "width"}}]}},
    ],
)
def test_every_kind_of_step_is_read_and_written_back(step: dict) -> None:
    recipe = parse(**step)
    dumped = recipe.model_dump(by_alias=True, exclude_defaults=True)
    assert Recipe.model_validate(dumped) == recipe


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"tak": {"n": 6, "order": "x"}}, "unknown key 'tak'; did you mean 'take'?"),
        ({"take": {"n": 6, "odrer": "x"}}, "unknown key 'odrer'; did you mean 'order'?"),
        ({"any_of": [{"where": "true"}]}, "unknown key 'any_of'; did you mean 'any'?"),
        ({"take": {"zzzz": 1}}, "expected n, quantile, threshold, order"),
        ({}, "found none of them, expected exactly one of exclude, where, quota"),
        ({"where": "a", "sample": {"n": 1}}, "found where, sample, expected exactly one"),
        ({"take": {"order": "x"}}, "found none of them, expected exactly one of n, quantile"),
        ({"take": {"n": 1, "threshold": 2.0, "order": "x"}}, "found n, threshold, expected"),
        ({"take": {"n": 0, "order": "x"}}, "greater than 0"),
        ({"take": {"n": "6", "order": "x"}}, "valid integer"),
        ({"take": {"n": 6.0, "order": "x"}}, "valid integer"),
        ({"take": {"n": True, "order": "x"}}, "valid integer"),
        ({"take": {"quantile": 1.5, "order": "x"}}, "less than or equal to 1"),
        ({"take": {"threshold": float("nan"), "order": "x"}}, "finite number"),
        ({"take": {"n": 6, "order": "x", "seed": 1}}, "a seed belongs to `order: random`"),
        ({"take": {"n": 6, "order": "x", "shortage": "redistribute"}}, "'error' or 'accept'"),
        ({"quota": {"n": 6, "order": "x"}}, "by"),
        ({"sample": {"n": 6, "seed": -1}}, "greater than or equal to 0"),
        ({"exclude": {}}, "found none of them, expected exactly one of list, duplicates"),
        ({"exclude": {"list": [5]}}, "valid string"),
        ({"fill": {"n": 6, "from": [{"sample": {"n": 6}}]}}, "at least 2 items"),
        ({"all": []}, "at least 1 item"),
    ],
)
def test_wrong_steps_are_refused(step: dict, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(**step)
    assert message in str(caught.value)

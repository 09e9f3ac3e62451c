from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiller.config import load_config
from distiller.objective_options import NoisyOptions
from distiller.optimizer import OptimizerOptions
from distiller.recipes import OPTIONS, RECIPES, TRAININGS, load_recipe, load_recipes, merge
from distiller.trainer import distill
from shards.errors import UsageError
from tests.distiller.small_runs import small_config

GIVEN = {"teacher": {"weights": "t.safetensors"}, "data": {"train": ["selected/"]}, "out": "out"}


def test_every_recipe_file_is_listed_and_every_listed_recipe_has_a_file() -> None:
    folder = Path(__file__).parents[3] / "distiller" / "recipes"
    assert {path.stem for path in folder.glob("*.yaml")} == set(RECIPES)


@pytest.mark.parametrize("name", TRAININGS)
def test_every_training_is_complete_but_for_what_only_the_user_knows(name: str) -> None:
    config = load_config({"recipe": name, **GIVEN})
    assert config.recipe == name
    assert config.objective.kind == ("robust" if name == "pu_paper" else "noisy")


def test_dfnd_seed_has_the_papers_numbers() -> None:
    config = load_config({"recipe": "dfnd_seed", **GIVEN})
    assert isinstance(config.objective, NoisyOptions)
    assert (config.steps, config.batch_size) == (40_000, 512)
    assert (config.objective.temperature, config.objective.kd_weight) == (2.0, 1.0)
    assert config.objective.transition.mode == "learned"
    assert config.objective.transition.lr == 1e-3
    assert (config.optimizer.lr, config.optimizer.momentum) == (0.1, 0.9)
    assert config.optimizer.weight_decay == 5e-4
    assert config.schedule.milestones == (0.4, 0.8)
    assert config.schedule.gamma == 0.1
    assert (config.augment.crop_padding, config.augment.flip) == (4, True)
    assert config.teacher is not None
    assert (config.teacher.name, config.student.name) == ("cifar/resnet34", "cifar/resnet18")


def test_dfnd_code_differs_from_the_paper_where_the_code_does() -> None:
    config = load_config({"recipe": "dfnd_code", **GIVEN})
    assert isinstance(config.objective, NoisyOptions)
    assert (config.steps, config.batch_size) == (77_352, 256)
    assert config.steps == 33 * -(-600_000 // 256)
    assert config.objective.temperature == 4.0
    assert config.objective.transition.mode == "off_diagonal"
    assert config.optimizer.momentum == 0.9


def test_what_the_user_says_wins() -> None:
    config = load_config(
        {
            "recipe": "dfnd_seed",
            **GIVEN,
            "teacher": {"name": "he/resnet20", "weights": "w.npz"},
            "steps": 100,
            "optimizer": {"lr": 0.05},
            "objective": {"transition": {"mode": "frozen"}},
        }
    )
    assert config.teacher is not None
    assert config.teacher.name == "he/resnet20"
    assert config.steps == 100
    assert (config.optimizer.lr, config.optimizer.weight_decay) == (0.05, 5e-4)
    assert isinstance(config.objective, NoisyOptions)
    assert config.objective.transition.mode == "frozen"
    assert config.objective.temperature == 2.0


def test_another_kind_drops_the_options_of_the_recipes_kind() -> None:
    config = load_config(
        {
            "recipe": "dfnd_seed",
            **GIVEN,
            "schedule": {"kind": "cosine"},
            "objective": {"kind": "kd"},
        }
    )
    assert config.schedule.milestones == ()
    assert config.objective.temperature == 4.0


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_goes_on_top_of_a_training_and_of_a_users_own(name: str) -> None:
    """It changes what it is about and nothing else; what the user says wins."""
    base = load_config({"recipe": "dfnd_seed", **GIVEN})
    config = load_config({"recipe": ["dfnd_seed", name], **GIVEN})
    before, after = base.model_dump(), config.model_dump()
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"recipe", *load_recipe(name)}
    own = {
        "teacher": {"name": "he/resnet20", "weights": "w.npz"},
        "student": {"name": "he/resnet8"},
        "objective": {"kind": "kd"},
        "optimizer": {"lr": 0.02},
        "steps": 90,
    }
    alone = load_config({"recipe": name, **GIVEN, **own})
    assert (alone.steps, alone.optimizer) == (90, OptimizerOptions(lr=0.02))
    for key in load_recipe(name):
        assert key == "steps" or getattr(alone, key) != getattr(load_config({**GIVEN, **own}), key)


def test_the_options_own_numbers() -> None:
    config = load_config({"recipe": ["dfnd_seed", *OPTIONS], **GIVEN})
    assert (config.steps, config.batch_size) == (160_000, 512)
    assert (config.schedule.kind, config.schedule.milestones) == ("cosine", ())
    assert config.augment.mix is not None
    assert (config.augment.mix.mixup, config.augment.crop_padding) == (0.5, 0)
    assert config.reselect is not None
    assert config.reselect.count(1001) == 500
    assert config.hints is not None
    assert config.hints.kind == "attention"  # the later of the two
    assert isinstance(config.objective, NoisyOptions)
    over = load_config(
        {
            "recipe": ["dfnd_seed", "patient", "hints"],
            **GIVEN,
            "augment": {"flip": False, "mix": {"mixup": 0.2, "cutmix": 0.3}},
            "hints": None,
        }
    )
    assert over.hints is None
    assert over.augment.mix is not None
    assert (over.augment.flip, over.augment.mix.mixup, over.augment.mix.cutmix) == (False, 0.2, 0.3)
    assert over.augment.resized_crop is not None


def test_a_training_behind_an_option_would_undo_it() -> None:
    with pytest.raises(UsageError, match="put it first, options"):
        load_recipes(["patient", "dfnd_seed"])


def test_all_options_train_together(tmp_path: Path) -> None:
    """Real steps: mixes, hints, a choice of half the images, an average, one after the other."""
    config = small_config(
        tmp_path,
        recipe=["patient", "reselect", "hints", "average"],
        augment={"flip": False},
        reselect={"every": 3},
        steps=6,
    )
    metrics = distill(config).metrics
    assert {"train_loss_kd", "train_loss_hint_pool1"} <= metrics.keys()
    assert config.augment.mix is not None
    assert distill(config).card["recipe"] == ["patient", "reselect", "hints", "average"]


def test_a_dumped_configuration_with_recipes_reads_as_the_same() -> None:
    config = load_config({"recipe": ["dfnd_seed", "patient"], **GIVEN, "average": {}})
    assert load_config(config.model_dump(mode="json")) == config


def test_an_unknown_recipe_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"'dfnd' is unknown; expected one of dfnd_seed, dfnd_cod"):
        load_recipe("dfnd")
    with pytest.raises(UsageError, match=r"expected one of dfnd_seed"):
        load_config({"recipe": "dfnd", **GIVEN})


settings = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=8
).filter(lambda value: isinstance(value, dict))


@given(settings, settings)
def test_merging_twice_changes_nothing_and_arguments_stay(base: dict, changes: dict) -> None:
    before = (repr(base), repr(changes))
    merged = merge(base, changes)
    assert merge(merged, changes) == merged
    assert merge(base, merged) == merged
    assert (repr(base), repr(changes)) == before
    assert set(merged) == set(base) | set(changes)

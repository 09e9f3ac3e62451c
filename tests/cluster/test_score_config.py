"""score.yaml: what it may say, and what it becomes."""

import pytest

from cluster.config import load_config
from cluster.execution import ExecutionConfig
from cluster.score_config import ScoreConfig
from shards.errors import UsageError
from shards.limits import DEFAULT_LIMITS, DecodeLimits

MINIMUM = {"pool": ["pool"], "out": "run", "teacher": {"name": "he/resnet8"}}


def test_defaults_are_those_of_the_parts():
    config = load_config(ScoreConfig, MINIMUM)
    assert config.execution.to_config() == ExecutionConfig()
    assert config.spec().limits == DEFAULT_LIMITS
    assert config.spec().image_ext is None
    assert config.max_bad == "5%"


def test_both_halves_arrive():
    config = load_config(
        ScoreConfig,
        MINIMUM | {"limits": {"max_pixels": 100}, "image_ext": ["png"], "max_bad": 7},
        overrides={"execution.actors": 3, "execution.address": "auto", "teacher.num_classes": 5},
    )
    assert config.execution.to_config() == ExecutionConfig(address="auto", actors=3)
    assert config.spec().limits == DecodeLimits(max_pixels=100)
    assert config.spec().image_ext == ("png",)
    assert config.spec().teacher.num_classes == 5
    assert config.max_bad == "7"


def test_decode_goes_over_what_the_teacher_says():
    teacher = {"name": "he/resnet8", "preprocessing": {"decode": "fast", "crop": 30}}
    config = load_config(ScoreConfig, MINIMUM | {"teacher": teacher})
    assert config.spec().preprocessing is None
    assert config.spec().teacher_spec.preprocessing == teacher["preprocessing"]
    config = load_config(
        ScoreConfig, MINIMUM | {"teacher": teacher}, overrides={"preprocessing.decode": "exact"}
    )
    assert config.spec().teacher_spec.preprocessing == {"decode": "exact", "crop": 30}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"execution.actorz": 1}, "did you mean 'actors'"),
        ({"limits.max_pixel": 1}, "did you mean 'max_pixels'"),
        ({"execution.executor": "slurm"}, "expected 'local', 'ray' or 'inline'"),
        ({"execution.actors": 0}, "greater than or equal to 1"),
        ({"max_bad": "many"}, "expected a share like 5%"),
        ({"pool": []}, "pool: "),
        ({"image_ext": []}, "image_ext: "),
        ({"preprocessing.decode": "quick"}, "expected 'exact' or 'fast'"),
        ({"image_ext": ["jpg", "."]}, "expected extensions such as jpg"),
    ],
)
def test_wrong_fields(overrides, message):
    with pytest.raises(UsageError, match=message):
        load_config(ScoreConfig, MINIMUM, overrides=overrides)

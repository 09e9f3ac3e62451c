from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from selector.teachers.preprocess import Preprocessing
from selector.teachers.sources import read_source
from selector.teachers.spec import TeacherSpec
from selector.teachers.zoo import default_preprocessing
from shards.errors import UsageError
from tests.support.models import save_weights, tiny_model, tiny_teacher

BUILDERS = """
from tests.support.models import tiny_model
from selector.teachers.zoo import default_preprocessing

def bare():
    return tiny_model()

def complete():
    return tiny_model(), default_preprocessing("lenet/5")

def wrong():
    return 42
"""


@pytest.fixture
def builders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of an importable module with builders."""
    name = f"builders_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(BUILDERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def test_classes_and_channels_come_from_the_weights(tmp_path: Path) -> None:
    spec = tiny_teacher(tmp_path, "he/resnet8", num_classes=23)
    assert read_source(spec, device="cpu").module(torch.zeros(1, 3, 32, 32)).shape == (1, 23)
    grey = tiny_teacher(tmp_path, "he/resnet8", in_channels=1, seed=1)
    assert read_source(grey, device="cpu").input_shape == (None, 1, None, None)


def test_a_builder_with_its_own_preprocessing(builders: str) -> None:
    source = read_source(TeacherSpec(name=f"py:{builders}:complete", allow_code=True), device="cpu")
    assert source.preprocessing == default_preprocessing("lenet/5")


def test_a_builder_takes_weights(builders: str, tmp_path: Path) -> None:
    weights = save_weights(tmp_path / "w.npz", dict(tiny_model(seed=5).state_dict()))
    name = f"py:{builders}:complete"
    own = read_source(TeacherSpec(name=name, allow_code=True), device="cpu")
    given = read_source(TeacherSpec(name=name, weights=weights, allow_code=True), device="cpu")
    assert own.digest != given.digest
    assert torch.equal(given.module.fc2.weight, tiny_model(seed=5).fc2.weight)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("bare", "does not say how its input is made"),
        ("wrong", "returned int; expected an nn.Module"),
        ("missing", "expected py:package.module:function"),
    ],
)
def test_builders_that_do_not_build(builders: str, function: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_source(TeacherSpec(name=f"py:{builders}:{function}", allow_code=True), device="cpu")
    assert told in str(raised.value)


def test_a_builder_is_not_even_imported_without_allow_code(builders: str) -> None:
    with pytest.raises(UsageError, match="add --allow-code"):
        read_source(TeacherSpec(name=f"py:{builders}:complete"), device="cpu")
    assert builders not in sys.modules


def test_preprocessing_is_laid_over_the_stock_one(tmp_path: Path) -> None:
    spec = tiny_teacher(tmp_path).model_copy(update={"preprocessing": {"mean": [0.5]}})
    source = read_source(spec, device="cpu")
    assert source.preprocessing.mean == (0.5,)
    assert source.preprocessing.std == default_preprocessing("lenet/5").std


def test_a_preset_is_the_start(tmp_path: Path) -> None:
    fields = {"preset": "he/resnet20", "crop": 28}
    spec = tiny_teacher(tmp_path, "cifar/resnet18").model_copy(update={"preprocessing": fields})
    expected = {**default_preprocessing("he/resnet20").to_dict(), "crop": 28}
    assert read_source(spec, device="cpu").preprocessing == Preprocessing.from_dict(expected)


def test_missing_weights_are_told_where_to_find() -> None:
    with pytest.raises(UsageError, match="needs weights: --weights FILE_OR_URL"):
        read_source(TeacherSpec(name="he/resnet20"), device="cpu")
    with pytest.raises(UsageError, match=r"https://download\.pytorch\.org/models/resnet34-"):
        read_source(TeacherSpec(name="torchvision/resnet34"), device="cpu")


def test_a_file_takes_no_further_weights() -> None:
    with pytest.raises(UsageError, match="carries its weights itself"):
        read_source(TeacherSpec(name="file:m.onnx", weights="w.npz"), device="cpu")

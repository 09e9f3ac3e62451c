from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from selector.teachers.load import TeacherSpec, load_teacher
from shards.errors import UsageError
from tests.support.models import save_weights, tiny_model, tiny_teacher


def test_a_teacher_answers_like_its_model(tmp_path: Path) -> None:
    teacher = load_teacher(tiny_teacher(tmp_path, "he/resnet8", num_classes=12))
    batch = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    model = tiny_model("he/resnet8", num_classes=12)
    with torch.no_grad():
        expected = model(teacher.preprocessing.normalize(batch))
    assert teacher.num_classes == 12
    assert torch.equal(teacher.logits(batch), expected)
    assert torch.equal(teacher.logits(batch.float()), expected)
    assert not teacher.module.training
    assert not any(p.requires_grad for p in teacher.module.parameters())


def test_logits_can_be_distilled_from(tmp_path: Path) -> None:
    teacher = load_teacher(tiny_teacher(tmp_path))
    student = tiny_model(seed=3)
    batch = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    loss = (student(teacher.preprocessing.normalize(batch)) * teacher.logits(batch)).sum()
    loss.backward()
    assert student.fc2.weight.grad is not None


def test_the_fingerprint_is_that_of_the_weights_not_of_the_file(tmp_path: Path) -> None:
    state = dict(tiny_model("he/resnet8").state_dict())
    files = [save_weights(tmp_path / f"w{s}", state) for s in (".npz", ".safetensors", ".pth")]
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"state_dict": wrapped}, tmp_path / "ddp.pt")
    prints = {
        load_teacher(TeacherSpec(name="he/resnet8", weights=file)).fingerprint
        for file in [*files, str(tmp_path / "ddp.pt")]
    }
    assert len(prints) == 1


def test_the_fingerprint_tells_weights_and_preprocessing_apart(tmp_path: Path) -> None:
    spec = tiny_teacher(tmp_path)
    other_weights = tiny_teacher(tmp_path, seed=1)
    other_input = spec.model_copy(update={"preprocessing": {"interpolation": "bicubic"}})
    prints = {load_teacher(s).fingerprint for s in (spec, other_weights, other_input)}
    assert len(prints) == 3


def test_wrong_weights_name_the_first_mismatches(tmp_path: Path) -> None:
    spec = tiny_teacher(tmp_path, "he/resnet20")
    wrong = TeacherSpec(name="he/resnet32", weights=spec.weights)
    with pytest.raises(UsageError, match=r"missing \(60\): layer1\.3\.conv1\.weight") as raised:
        load_teacher(wrong)
    assert "he/resnet32 with" in str(raised.value)


def test_class_names_come_along_and_must_match(tmp_path: Path) -> None:
    names = [f"class {n}" for n in range(10)]
    (tmp_path / "names.json").write_text(json.dumps(names))
    spec = tiny_teacher(tmp_path)
    named = spec.model_copy(update={"class_names": str(tmp_path / "names.json")})
    assert load_teacher(named).class_names == names
    (tmp_path / "names.json").write_text(json.dumps(names[:9]))
    with pytest.raises(UsageError, match="has 9 class names, lenet/5-half has 10 classes"):
        load_teacher(named)


def test_a_wrong_number_of_classes_is_refused(tmp_path: Path) -> None:
    spec = tiny_teacher(tmp_path).model_copy(update={"num_classes": 7})
    with pytest.raises(UsageError, match=r"of another shape \(2\): fc2\.weight"):
        load_teacher(spec)


def test_grey_weights_need_a_grey_transform(tmp_path: Path) -> None:
    spec = tiny_teacher(tmp_path, "he/resnet8", in_channels=1)
    with pytest.raises(UsageError, match=r"reads images of 1 x any x any .* makes 3 x 32 x 32"):
        load_teacher(spec)
    grey = {"channels": 1, "mean": [0.5], "std": [0.25]}
    teacher = load_teacher(spec.model_copy(update={"preprocessing": grey}))
    assert teacher.preprocessing.input_size == (1, 32, 32)


def test_weights_with_nan_are_refused(tmp_path: Path) -> None:
    state = dict(tiny_model().state_dict())
    state["fc2.bias"] = torch.full((10,), torch.nan)
    weights = save_weights(tmp_path / "w.safetensors", state)
    with pytest.raises(UsageError, match="are the weights damaged"):
        load_teacher(TeacherSpec(name="lenet/5-half", weights=weights))


def test_half_precision_weights_run_in_float32(tmp_path: Path) -> None:
    state = {name: tensor.half() for name, tensor in tiny_model().state_dict().items()}
    weights = save_weights(tmp_path / "w.safetensors", state)
    teacher = load_teacher(TeacherSpec(name="lenet/5-half", weights=weights))
    assert teacher.module.fc2.weight.dtype == torch.float32

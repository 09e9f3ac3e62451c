from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distiller.portable import FILES, Format, largest_difference, write_portable
from distiller.trainer import distill
from selector.teachers.load import TeacherSpec, load_teacher
from selector.teachers.zoo import build_model
from tests.distiller.small_runs import small_config

pytest.importorskip("onnxscript", reason="needs the onnx extra: pip install 'coursepack[onnx]'")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portable")
    return distill(small_config(folder, steps=2, export=["onnx", "torch_export"])).out


@pytest.mark.parametrize("one", ["onnx", "torch_export"])
def test_the_file_is_a_teacher_that_answers_as_the_student(finished: Path, one: Format) -> None:
    weights = TeacherSpec(name="lenet/5-half", weights=str(finished / "student.safetensors"))
    student = load_teacher(weights)
    file = load_teacher(
        TeacherSpec(
            name=f"file:{finished / FILES[one]}",
            preprocessing=student.preprocessing.to_dict(),
            allow_code=True,
        )
    )
    images = torch.randint(0, 256, (7, 1, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(file.logits(images), student.logits(images), rtol=1e-3, atol=1e-4)


def test_the_card_tells_file_digest_and_difference(finished: Path) -> None:
    from distiller.card import read_card

    card = read_card(finished / "card.json")
    assert card is not None
    told = card["student"]["exports"]
    assert {one["file"] for one in told.values()} == set(FILES.values())
    assert all(0 <= one["largest_difference"] < 1e-3 for one in told.values())
    assert all(len(one["sha256"]) == 64 for one in told.values())


def test_another_networks_file_is_far_off(finished: Path) -> None:
    other = build_model("lenet/5-half", num_classes=4).eval()
    path = finished / FILES["torch_export"]
    assert largest_difference(other, path, input_size=(1, 32, 32)) > 0.01


def test_batch_norm_is_written_as_in_evaluation(tmp_path: Path) -> None:
    network = build_model("he/resnet8", num_classes=3).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    told = write_portable(network, ["torch_export"], tmp_path, input_size=(3, 32, 32))
    assert told["torch_export"]["largest_difference"] < 1e-4
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())

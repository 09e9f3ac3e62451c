"""The int8 model of a small network: what is in it, and that it answers nearly as the network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from selector.teachers.agreement import agreement
from selector.teachers.load import Teacher, TeacherSpec, load_teacher
from selector.teachers.open_runtime import open_runtime, why_not
from selector.teachers.quantize import quantize_teacher, why_not_quantized
from selector.teachers.runtime import EagerRuntime
from shards.errors import UsageError
from tests.support.models import tiny_teacher

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def images(num: int, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num, 3, 4, 4, generator=generator)
    return (255 * nn.functional.interpolate(coarse, size=32, mode="bilinear")).to(torch.uint8)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return load_teacher(tiny_teacher(tmp_path_factory.mktemp("int8"), "he/resnet8", sharpness=5))


@pytest.fixture(scope="module")
def model(teacher: Teacher) -> bytes:
    return quantize_teacher(teacher, images(64))


def test_weights_are_int8_by_channel_and_the_classifier_is_float(model: bytes) -> None:
    graph = onnx.load_from_string(model).graph
    (image,), (logits,) = graph.input, graph.output
    assert (image.name, logits.name) == ("images", "logits")
    shape = [side.dim_param or side.dim_value for side in image.type.tensor_type.shape.dim]
    assert isinstance(shape[0], str)
    assert shape[1:] == [3, 32, 32]
    constants = {one.name: one for one in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert constants[convolutions[0].input[1]].data_type == onnx.TensorProto.FLOAT
    assert len(convolutions) > 6
    for node in convolutions[1:]:
        weight = makers[node.input[1]]
        assert weight.op_type == "DequantizeLinear"
        assert constants[weight.input[0]].data_type == onnx.TensorProto.INT8
        assert list(constants[weight.input[1]].dims) == [constants[weight.input[0]].dims[0]]
        assert makers[node.input[0]].op_type == "DequantizeLinear"
    (classifier,) = (node for node in graph.node if node.op_type in ("Gemm", "MatMul"))
    assert constants[classifier.input[1]].data_type == onnx.TensorProto.FLOAT
    assert classifier.output[0] == "logits"


def test_it_answers_nearly_as_the_network_by_every_runtime(
    teacher: Teacher, model: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "t-int8.onnx"
    path.write_bytes(model)
    preprocessing = teacher.preprocessing.to_dict()
    made = load_teacher(TeacherSpec(name=f"file:{path}", preprocessing=preprocessing))
    assert made.num_classes == 10
    assert made.fingerprint != teacher.fingerprint
    unseen = images(200, seed=1)
    expected = EagerRuntime(teacher)(unseen)
    found = EagerRuntime(made)(unseen)
    assert not torch.allclose(found, expected, rtol=1e-4), "it computed in float32 after all"
    assert agreement(expected, found).rank > 0.95
    if not why_not("openvino", made):
        other = open_runtime("openvino", made, batch_size=64)(unseen)
        assert agreement(found, other).rank > 0.95
        assert agreement(expected, other).rank > 0.95


def test_more_of_the_first_layers_may_stay_in_float(teacher: Teacher) -> None:
    graph = onnx.load_from_string(quantize_teacher(teacher, images(32), float_layers=4)).graph
    constants = {one.name for one in graph.initializer}
    in_float = [node.input[1] in constants for node in graph.node if node.op_type == "Conv"]
    assert in_float == [True] * 4 + [False] * (len(in_float) - 4)
    with pytest.raises(UsageError, match="the first 99 stay in float32: there is nothing"):
        quantize_teacher(teacher, images(32), float_layers=99)


def test_the_same_images_give_the_same_bytes(teacher: Teacher, model: bytes) -> None:
    assert quantize_teacher(teacher, images(64)) == model


def test_a_file_is_no_network_to_quantize(teacher: Teacher, model: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(model)
    preprocessing = teacher.preprocessing.to_dict()
    box = load_teacher(TeacherSpec(name=f"file:{tmp_path}/m.onnx", preprocessing=preprocessing))
    with pytest.raises(UsageError, match=r"a model in a file, .* quantize needs the network"):
        quantize_teacher(box, images(8))


def test_a_missing_package_is_named(teacher: Teacher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = "quantize needs onnx, onnxscript, onnxruntime: pip install 'coursepack[onnx]'"
    assert why_not_quantized() == told
    with pytest.raises(UsageError, match="quantize needs onnx"):
        quantize_teacher(teacher, images(8))


class _Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3 * 32 * 32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x.flatten(1))


class _Branching(nn.Module):
    """Takes another way for other data, which no graph can hold."""

    def forward(self, x: Tensor) -> Tensor:
        logits = x.flatten(1)[:, :10]
        return -logits if float(logits.sum()) > 0 else logits


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (_Linear(), "odd has 0 layers beside its classifier"),
        (_Branching(), "odd cannot be written as ONNX"),
    ],
)
def test_what_cannot_be_quantized_is_told(teacher: Teacher, module: nn.Module, told: str) -> None:
    odd = Teacher("odd", module.eval(), teacher.preprocessing, 10, None, "print")
    with pytest.raises(UsageError, match=told):
        quantize_teacher(odd, images(8))

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from selector.teachers.black_box import load_black_box
from selector.teachers.load import TeacherSpec, load_teacher
from shards.errors import UsageError
from tests.support.models import tiny_model

ONNX_CLASSES = 4
PREPROCESSING = {"preset": "lenet/5"}


def write_onnx(path: Path, *, batch: int | str = "N", inputs: int = 1, seed: int = 0) -> np.ndarray:
    """logits = flatten(x) @ W as an ONNX file; returns W (1024, 4)."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx import TensorProto, helper, numpy_helper

    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 0.05, (1024, ONNX_CLASSES)).astype(np.float32)
    names = ["image", "other"][:inputs]
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
        ],
        "linear",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, 1, 32, 32]) for n in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, ONNX_CLASSES])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return weight


@pytest.mark.parametrize("batch", ["N", 1, 2, 8])
def test_onnx_answers_batches_of_any_size(tmp_path: Path, batch: int | str) -> None:
    path = tmp_path / "m.onnx"
    weight = write_onnx(path, batch=batch)
    module = load_black_box(str(path), device="cpu", allow_code=False).module
    x = torch.rand(5, 1, 32, 32)
    np.testing.assert_allclose(module(x), x.flatten(1).numpy() @ weight, rtol=1e-4, atol=1e-5)


def test_onnx_is_a_teacher_with_its_own_fingerprint(tmp_path: Path) -> None:
    write_onnx(tmp_path / "a.onnx", seed=1)
    write_onnx(tmp_path / "b.onnx", seed=2)
    (tmp_path / "copy.onnx").write_bytes((tmp_path / "a.onnx").read_bytes())
    first, second, copy = (
        load_teacher(TeacherSpec(name=f"file:{tmp_path / name}", preprocessing=PREPROCESSING))
        for name in ("a.onnx", "b.onnx", "copy.onnx")
    )
    assert first.num_classes == ONNX_CLASSES
    assert first.logits(torch.zeros(3, 1, 32, 32, dtype=torch.uint8)).shape == (3, ONNX_CLASSES)
    assert first.fingerprint == copy.fingerprint != second.fingerprint


def test_onnx_weights_in_a_second_file_count(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    path = tmp_path / "m.onnx"
    write_onnx(path)
    whole = load_black_box(str(path), device="cpu", allow_code=False)
    model = onnx.load(path)
    onnx.save(
        model,
        path,
        save_as_external_data=True,
        location="m.onnx.data",
        size_threshold=0,
    )
    split = load_black_box(str(path), device="cpu", allow_code=False)
    x = torch.rand(2, 1, 32, 32)
    assert torch.equal(whole.module(x), split.module(x))
    data = tmp_path / "m.onnx.data"
    data.write_bytes(bytes(reversed(data.read_bytes())))
    assert load_black_box(str(path), device="cpu", allow_code=False).digest != split.digest


def test_onnx_with_two_inputs_or_none_is_refused(tmp_path: Path) -> None:
    write_onnx(tmp_path / "two.onnx", inputs=2)
    with pytest.raises(UsageError, match="expected one float32 image batch"):
        load_black_box(str(tmp_path / "two.onnx"), device="cpu", allow_code=False)
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(UsageError, match="no ONNX model that onnxruntime"):
        load_black_box(str(tmp_path / "bad.onnx"), device="cpu", allow_code=False)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet as an exported program of any batch size."""
    path = tmp_path_factory.mktemp("pt2") / "lenet.pt2"
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        tiny_model(), (torch.zeros(2, 1, 32, 32),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, path)
    return path


def test_an_exported_program_answers_like_its_model(exported: Path) -> None:
    spec = TeacherSpec(name=f"file:{exported}", preprocessing=PREPROCESSING, allow_code=True)
    teacher = load_teacher(spec)
    x = torch.rand(5, 1, 32, 32)
    assert torch.allclose(teacher.module(x), tiny_model()(x), atol=1e-5)


def test_an_exported_program_needs_trust(exported: Path) -> None:
    with pytest.raises(UsageError, match="add --allow-code"):
        load_teacher(TeacherSpec(name=f"file:{exported}", preprocessing=PREPROCESSING))


def test_a_damaged_program_is_refused(tmp_path: Path, exported: Path) -> None:
    path = tmp_path / "cut.pt2"
    path.write_bytes(exported.read_bytes()[:2000])
    with pytest.raises(UsageError, match="no exported program"):
        load_black_box(str(path), device="cpu", allow_code=True)


def test_other_files_are_refused() -> None:
    with pytest.raises(UsageError, match=r"ends in '\.pb'; expected \.onnx or \.pt2"):
        load_black_box("model.pb", device="cpu", allow_code=True)

"""A network as an ONNX file; as a graph from pixels it is tested with the runtimes."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest
import torch

from selector.teachers.black_box import load_black_box
from selector.teachers.load import load_teacher
from selector.teachers.onnx_graph import quiet, to_float_onnx
from tests.support.models import tiny_teacher


def test_a_float_model_answers_any_number_of_images_as_its_network_does(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    teacher = load_teacher(tiny_teacher(tmp_path))
    (tmp_path / "m.onnx").write_bytes(to_float_onnx(teacher))
    box = load_black_box(str(tmp_path / "m.onnx"), device="cpu", allow_code=False).module
    assert box.input_shape == (None, *teacher.preprocessing.input_size)
    for num in (1, 5):
        inputs = torch.rand(num, *teacher.preprocessing.input_size)
        assert torch.allclose(box(inputs), teacher.module(inputs), rtol=1e-4, atol=1e-4)


def test_logging_is_as_before_after_an_error() -> None:
    before = logging.root.manager.disable

    def fail() -> None:
        with quiet():
            warnings.warn("not seen", stacklevel=1)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert logging.root.manager.disable == before

"""The student as one file that runs without coursepack: ONNX, or a program of torch.export.

Both take normalised floats (N, C, S, S) of any N and give logits (N, K); the card says how pixels
become that input. A file counts only after it was loaded again and answered as the student does.

Legend: N = images, C = channels, K = classes, S = image side.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from selector.teachers.black_box import load_black_box
from shards import atomic
from shards.errors import CoursepackError, UsageError

Format = Literal["onnx", "torch_export"]

FILES: dict[Format, str] = {"onnx": "student.onnx", "torch_export": "student.pt2"}

_LARGEST_DIFFERENCE = 1e-3
"""Of logits, relative to the largest one: other kernels round otherwise, no more than this."""


def check_formats(formats: Sequence[Format]) -> None:
    """Tell before training starts that a package is missing.

    Raises:
        UsageError: names it.
    """
    if "onnx" in formats:
        for package in ("onnx", "onnxscript", "onnxruntime"):
            if importlib.util.find_spec(package) is None:
                raise UsageError(
                    f"export: [onnx] needs the package {package}: pip install 'coursepack[onnx]'"
                )


def write_portable(
    student: nn.Module, formats: Sequence[Format], folder: Path, *, input_size: tuple[int, int, int]
) -> dict[str, dict[str, Any]]:
    """Write the student in each format, load it again and compare.

    Args:
        student: any mode, any device; not changed.
        folder: of the run; takes student.onnx and student.pt2.
        input_size: (C, S, S).

    Returns:
        Format -> file, sha256, and the largest difference of a logit relative to the largest
        logit, over random images in batches of 1 and 5.

    Raises:
        CoursepackError: a file that does not answer as the student does, which is then removed.
    """
    network = copy.deepcopy(student).cpu().to(memory_format=torch.contiguous_format).eval()
    network.requires_grad_(False)
    written: dict[str, dict[str, Any]] = {}
    for one in formats:
        path = folder / FILES[one]
        data = _onnx(network, input_size) if one == "onnx" else _program(network, input_size)
        atomic.write_bytes(str(path), data)
        difference = largest_difference(network, path, input_size=input_size)
        if difference > _LARGEST_DIFFERENCE:
            path.unlink()
            raise CoursepackError(
                f"the student written as {one} answers otherwise than the student (by "
                f"{difference:.1g} of the largest logit); its safetensors are complete. Take {one} "
                "out of `export`, or change the versions of torch and onnx"
            )
        written[one] = {
            "file": path.name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "largest_difference": difference,
        }
    return written


def largest_difference(
    network: nn.Module, path: Path, *, input_size: tuple[int, int, int]
) -> float:
    """How far the logits of a file are from the network's, relative to the largest logit."""
    loaded = load_black_box(str(path), device="cpu", allow_code=True).module  # written by this run
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    with torch.no_grad():
        for num in (1, 5):
            images = torch.randn(num, *input_size, generator=generator)
            expected: Tensor = network(images)
            found = loaded(images)
            scale = float(expected.abs().max().clamp_min(1e-12))
            worst = max(worst, float((found - expected).abs().max()) / scale)
    return worst


def _program(network: nn.Module, input_size: tuple[int, int, int]) -> bytes:
    program = torch.export.export(
        network, (torch.zeros(2, *input_size),), dynamic_shapes=_any_batch()
    )
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def _onnx(network: nn.Module, input_size: tuple[int, int, int]) -> bytes:
    program = torch.onnx.export(
        network,
        (torch.zeros(2, *input_size),),
        dynamo=True,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=_any_batch(),
        verbose=False,
    )
    assert program is not None  # only the old exporter returns nothing
    data: bytes = program.model_proto.SerializeToString()
    return data


def _any_batch() -> Any:
    return ({0: torch.export.Dim("N", min=1)},)

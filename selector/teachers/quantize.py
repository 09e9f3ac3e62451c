"""A teacher's network as an int8 ONNX file: weights and activations of convolutions in 8 bits.

Weights are int8 with a scale for each output channel, activations uint8 with one scale for each
tensor, which the range that it has on sample images gives. In float32 stay the layer that makes the
logits, because it costs little and a logit in 8 bits would decide the rank of an image, and the
first layers, whose rounding all others inherit.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from selector.teachers.black_box import BlackBox
from selector.teachers.load import Teacher
from selector.teachers.onnx_graph import quiet, to_float_onnx
from shards.errors import UsageError

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_QUANTIZED = ("Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool")
"""Kinds of nodes; what lies between two of them in 8 bits stays in 8 bits."""
_WEIGHTED = ("Conv", "Gemm", "MatMul")

_BATCH = 32
"""Images of a pass; ranges are the mean over passes, so that single images do not widen them."""


def why_not_quantized(teacher: Teacher | None = None) -> str:
    """Why int8 cannot be made here, or not of this teacher, with the way out; empty if it can."""
    missing = [one for one in _PACKAGES if importlib.util.find_spec(one) is None]
    if missing:
        return f"quantize needs {', '.join(missing)}: pip install 'coursepack[onnx]'"
    if teacher is not None and isinstance(teacher.module, BlackBox):
        return (
            f"{teacher.name} is a model in a file, of which only the outputs are known; quantize "
            "needs the network: name it, as in --teacher he/resnet20 --weights FILE"
        )
    return ""


def quantize_teacher(teacher: Teacher, pixels_NCHW: Tensor, *, float_layers: int = 1) -> bytes:
    """The int8 model of a teacher, for use as `file:NAME.onnx`.

    Args:
        teacher: on the CPU.
        pixels_NCHW: uint8 (N, C, S, S), the images that tell the ranges of activations.
        float_layers: convolutions at the beginning that stay in float32; more = nearer to the
            teacher, and slower.

    Returns:
        An ONNX model: normalised floats "images" (N, C, S, S), N free -> "logits" (N, K).

    Raises:
        UsageError: the teacher is a model in a file, cannot be exported or has no layer to
            quantize beside those that stay in float32; a package is missing.
    """
    reason = why_not_quantized(teacher)
    if reason:
        raise UsageError(reason)
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="coursepack-int8-") as folder, quiet():
        plain, prepared, made = (Path(folder, f"{name}.onnx") for name in ("f32", "pre", "int8"))
        plain.write_bytes(to_float_onnx(teacher))
        try:
            quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
            kept = _kept_in_float(
                onnx.load(prepared).graph, float_layers=float_layers, name=teacher.name
            )
            quantize_static(
                str(prepared),
                str(made),
                _Calibration(teacher, pixels_NCHW),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=list(_QUANTIZED),
                nodes_to_exclude=kept,
                extra_options={"CalibMovingAverage": True},
            )
        except UsageError:
            raise
        except Exception as error:
            # The quantizer fails in many ways on graphs that it does not know.
            raise UsageError(
                f"{teacher.name} cannot be quantized ({_first_line(error)}); score with "
                "--runtime openvino or openvino-bf16"
            ) from error
        return made.read_bytes()


class _Calibration:
    """Batches of normalised images, as onnxruntime's quantizer asks for them."""

    def __init__(self, teacher: Teacher, pixels_NCHW: Tensor) -> None:
        self._batches = self._read(teacher, pixels_NCHW)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch by the name of the model's input, None after the last."""
        return next(self._batches, None)

    def __iter__(self) -> _Calibration:
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        return next(self._batches)

    @staticmethod
    def _read(teacher: Teacher, pixels_NCHW: Tensor) -> Iterator[dict[str, np.ndarray]]:
        for batch in pixels_NCHW.split(_BATCH):
            yield {"images": teacher.preprocessing.normalize(batch).contiguous().numpy()}


def _kept_in_float(graph: Any, *, float_layers: int, name: str) -> list[str]:
    """Names of the nodes that stay in float: first and last layers, products of activations."""
    constants = {one.name for one in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in _QUANTIZED]  # each after its inputs
    weighted = [
        place
        for place, node in enumerate(nodes)
        if node.op_type in _WEIGHTED and any(one in constants for one in node.input)
    ]
    last = _last_weighted(graph, {nodes[place].output[0] for place in weighted})
    between = [place for place in weighted if nodes[place].output[0] not in last]
    if len(between) <= float_layers:
        raise UsageError(
            f"{name} has {len(between)} layers beside its classifier, and the first {float_layers} "
            "stay in float32: there is nothing to quantize; keep fewer, or score with --runtime "
            "openvino"
        )
    begin = between[float_layers]
    return [
        node.name
        for place, node in enumerate(nodes)
        if place < begin
        or node.output[0] in last
        or (node.op_type in _WEIGHTED and place not in weighted)
    ]


def _last_weighted(graph: Any, weighted: set[str]) -> set[str]:
    """The weighted nodes that are met first on the way back from the graph's outputs.

    A node is known by its first output, which is unique in a graph; names need not be.
    """
    makers = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [one.name for one in graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.output[0] in seen:
            continue
        seen.add(node.output[0])
        if node.output[0] in weighted:
            found.add(node.output[0])
        else:
            waiting += node.input
    return found


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

"""Runtimes outside of PyTorch: the network becomes an ONNX graph, pixels in, logits out.

The graph has one batch size, see `FixedBatchRuntime`. A teacher that is an ONNX file already is
read by OpenVINO as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from selector.teachers.black_box import BlackBox
from selector.teachers.fixed_batch import FixedBatchRuntime, FixedNetwork
from selector.teachers.load import Teacher
from selector.teachers.onnx_graph import to_onnx
from selector.teachers.runtime import Answer, inference_network, normalize_in_cache
from selector.teachers.stage_features import Stage
from selector.teachers.taps import Tap
from shards.errors import UsageError

Precision = Literal["fp32", "bf16"]


class Threads(NamedTuple):
    """Who calls a runtime.

    Attributes:
        callers: threads that call it at once.
        of_each: threads that work on one call, its caller included.
    """

    callers: int = 1
    of_each: int = 1


ONE_THREAD = Threads()


def computes_bf16() -> bool:
    """Whether this processor has bf16 arithmetic of its own, as OpenVINO sees it."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OnnxRuntime(FixedBatchRuntime):
    """onnxruntime in float32, in the thread that calls it.

    Raises:
        UsageError: the network cannot be exported; taps as in `inference_network`.
    """

    name = "onnxruntime-fp32"

    def __init__(
        self, teacher: Teacher, *, taps: Sequence[Tap] = (), batch_size: int, threads: Threads
    ) -> None:
        self._teacher, self._taps, self._threads = teacher, taps, threads
        super().__init__(batch_size)

    def _make(self, batch_size: int) -> FixedNetwork:
        import onnxruntime

        model, stages = to_onnx(self._teacher, self._taps, batch_size=batch_size)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads.of_each
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )
        name = session.get_inputs()[0].name

        def run(batch_NCHW: Tensor) -> Answer:
            return _as_answer(session.run(None, {name: batch_NCHW.contiguous().numpy()}))

        return FixedNetwork(batch_size, run, stages)


class OpenVinoRuntime(FixedBatchRuntime):
    """OpenVINO, with a stream for each caller.

    Args:
        precision: of the arithmetic; what comes out is float32 in either. bf16 keeps 8 bits of a
            number: a logit is right to about a hundredth of itself.

    Raises:
        UsageError: the network cannot be exported; taps as in `inference_network`.
    """

    def __init__(
        self,
        teacher: Teacher,
        *,
        taps: Sequence[Tap] = (),
        batch_size: int,
        threads: Threads,
        precision: Precision = "fp32",
    ) -> None:
        self._teacher, self._taps, self._threads = teacher, taps, threads
        self._precision = precision
        self.name = self.name_in(precision)
        super().__init__(batch_size)

    @staticmethod
    def name_in(precision: Precision) -> str:
        """What is recorded."""
        return f"openvino-{precision}"

    def _make(self, batch_size: int) -> FixedNetwork:
        import openvino

        core = openvino.Core()
        graph = self._graph(core, batch_size)
        compiled = core.compile_model(
            graph.model,
            "CPU",
            {
                "NUM_STREAMS": self._threads.callers,
                "INFERENCE_NUM_THREADS": self._threads.callers * self._threads.of_each,
                "INFERENCE_PRECISION_HINT": "f32" if self._precision == "fp32" else "bf16",
                "ENABLE_CPU_PINNING": False,  # else all workers of a machine share the first cores
            },
        )
        callers = threading.local()

        def run(batch_NCHW: Tensor) -> Answer:
            request = getattr(callers, "request", None)
            if request is None:
                request = callers.request = compiled.create_infer_request()
            inputs = graph.prepare(batch_NCHW).contiguous().numpy()
            results = request.infer([inputs], share_inputs=True)
            return _as_answer([results[port] for port in compiled.outputs])

        return FixedNetwork(graph.batch_size, run, graph.stages)

    def _graph(self, core: Any, batch_size: int) -> _Graph:
        module = self._teacher.module
        if isinstance(module, BlackBox):
            inference_network(self._teacher, self._taps)  # which refuses taps of a file
            return _of_file(core, self._teacher, module, batch_size)
        model, stages = to_onnx(self._teacher, self._taps, batch_size=batch_size)
        return _Graph(core.read_model(model), batch_size, lambda pixels: pixels, stages)


class _Graph(NamedTuple):
    """What OpenVINO compiles.

    Attributes:
        model: takes batches of exactly `batch_size`.
        prepare: uint8 images -> its input.
        stages: of the features; empty where it gives none.
    """

    model: Any
    batch_size: int
    prepare: Callable[[Tensor], Tensor]
    stages: tuple[Stage, ...] = ()


def _of_file(core: Any, teacher: Teacher, box: BlackBox, batch_size: int) -> _Graph:
    """An ONNX file's own graph, of normalised floats; one with a fixed batch size keeps it."""
    assert box.onnx is not None
    batch_size = box.input_shape[0] or batch_size
    try:
        model = core.read_model(box.onnx)
        model.reshape([batch_size, *teacher.preprocessing.input_size])
    except RuntimeError as error:
        raise UsageError(
            f"OpenVINO cannot run {teacher.name} with {batch_size} images at once "
            f"({str(error).strip().splitlines()[-1]}); leave --runtime at eager"
        ) from error
    preprocessing = teacher.preprocessing
    constants = preprocessing.constants(torch.device("cpu"))
    return _Graph(
        model, batch_size, lambda pixels: normalize_in_cache(preprocessing, pixels, constants)
    )


def _as_answer(outputs: Sequence[Any]) -> Answer:
    """Of the arrays that a graph of `to_onnx` gives."""
    logits, *features = map(torch.from_numpy, outputs)
    return Answer(logits, features[0] if features else None)

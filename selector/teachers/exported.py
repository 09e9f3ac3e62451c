"""Runtimes outside of PyTorch: the network becomes an ONNX graph, pixels in, logits out.

The graph has one batch size, see `FixedBatchRuntime`.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from selector.teachers.fixed_batch import FixedBatchRuntime, FixedNetwork
from selector.teachers.load import Teacher
from selector.teachers.preprocess import Preprocessing
from selector.teachers.runtime import Answer, inference_network, made_up_pixels
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


class FromPixels(nn.Module):
    """A network with its normalisation in front: uint8 (N, C, S, S) in."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self._preprocessing = preprocessing

    def forward(self, pixels: Tensor) -> Any:
        return self.network(self._preprocessing.normalize(pixels))


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

        model, stages = to_onnx(self._teacher, self._taps, batch_size=batch_size)
        core = openvino.Core()
        compiled = core.compile_model(
            core.read_model(model),
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
            results = request.infer([batch_NCHW.contiguous().numpy()], share_inputs=True)
            return _as_answer([results[port] for port in compiled.outputs])

        return FixedNetwork(batch_size, run, stages)


def _as_answer(outputs: Sequence[Any]) -> Answer:
    """Of the arrays that a graph of `to_onnx` gives."""
    logits, *features = map(torch.from_numpy, outputs)
    return Answer(logits, features[0] if features else None)


def to_onnx(
    teacher: Teacher, taps: Sequence[Tap], *, batch_size: int
) -> tuple[bytes, tuple[Stage, ...]]:
    """The teacher as an ONNX model of uint8 images (batch_size, C, S, S), and its stages.

    Its outputs are logits (N, K) and, with taps, features (N, D).

    Raises:
        UsageError: the network cannot be exported; taps as in `inference_network`.
    """
    network, stages = inference_network(teacher, taps)
    pixels = made_up_pixels(teacher, num_images=batch_size)
    names = ["logits", "features"] if stages else ["logits"]
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                FromPixels(network, teacher.preprocessing).eval(),
                (pixels,),
                dynamo=True,
                input_names=["images"],
                output_names=names,
                verbose=False,
            )
            assert program is not None
            model: bytes = program.model_proto.SerializeToString()
        except Exception as error:
            # The exporter fails in many ways on networks that it does not know.
            raise UsageError(
                f"{teacher.name} cannot be written as ONNX ({str(error).splitlines()[0]}); score "
                "with --runtime eager"
            ) from error
    return model, stages


@contextmanager
def _quiet() -> Any:
    """The exporter tells of its own plans and deprecations at length."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

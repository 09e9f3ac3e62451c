"""A teacher's network as an ONNX graph: from pixels for runtimes, from floats for files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from selector.teachers.load import Teacher
from selector.teachers.preprocess import Preprocessing
from selector.teachers.runtime import inference_network, made_up_inputs, made_up_pixels
from selector.teachers.stage_features import Stage
from selector.teachers.taps import Tap
from shards.errors import UsageError


class FromPixels(nn.Module):
    """A network with its normalisation in front: uint8 (N, C, S, S) in."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self._preprocessing = preprocessing

    def forward(self, pixels: Tensor) -> Any:
        return self.network(self._preprocessing.normalize(pixels))


def to_onnx(
    teacher: Teacher, taps: Sequence[Tap], *, batch_size: int
) -> tuple[bytes, tuple[Stage, ...]]:
    """The teacher as an ONNX model of uint8 images (batch_size, C, S, S), and its stages.

    Its outputs are logits (N, K) and, with taps, features (N, D).

    Raises:
        UsageError: the network cannot be exported; taps as in `inference_network`.
    """
    network, stages = inference_network(teacher, taps)
    names = ["logits", "features"] if stages else ["logits"]
    model = _export(
        FromPixels(network, teacher.preprocessing).eval(),
        made_up_pixels(teacher, num_images=batch_size),
        teacher.name,
        output_names=names,
    )
    return model, stages


def to_float_onnx(teacher: Teacher) -> bytes:
    """The teacher as an ONNX model: normalised floats "images" (N, C, S, S) -> "logits" (N, K).

    N is free. It is what a `file:` teacher reads.

    Raises:
        UsageError: the network cannot be exported.
    """
    network, _ = inference_network(teacher, ())
    batch = {0: torch.export.Dim("batch")}
    return _export(network, made_up_inputs(teacher), teacher.name, dynamic_shapes=(batch,))


def _export(
    network: nn.Module,
    example: Tensor,
    name: str,
    *,
    output_names: Sequence[str] = ("logits",),
    dynamic_shapes: Any = None,
) -> bytes:
    with quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                input_names=["images"],
                output_names=list(output_names),
                dynamic_shapes=dynamic_shapes,
                verbose=False,
            )
            assert program is not None
            model: bytes = program.model_proto.SerializeToString()
        except Exception as error:
            # The exporter fails in many ways on networks that it does not know.
            raise UsageError(
                f"{name} cannot be written as ONNX ({str(error).splitlines()[0]}); score "
                "with --runtime eager"
            ) from error
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """The exporter tells of its own plans and deprecations at length."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

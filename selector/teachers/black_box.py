"""file:model.onnx and file:model.pt2: teachers of which only the outputs are known.

Both become ordinary modules: normalised floats (N, C, S, S) in, logits (N, C) out.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import torch
from torch import Tensor, nn

from selector.teachers.padding import pad_batch
from selector.teachers.weights import file_name
from shards import storage
from shards.errors import UsageError

Shape = tuple[int | None, ...]
"""Declared input shape; None where any size goes."""


class BlackBox(nn.Module):
    """Calls a compiled model; one with a fixed batch size is fed in batches of that size.

    Attributes:
        input_shape: (N, C, H, W) as the file declares it, None where any size goes.
        onnx: the model, or the path of one whose weights lie in a second file; None = no ONNX.
    """

    def __init__(
        self,
        run: Callable[[Tensor], Any],
        input_shape: Shape,
        *,
        onnx: bytes | str | None = None,
    ) -> None:
        super().__init__()
        self._run = run
        self.input_shape = input_shape
        self.onnx = onnx

    def forward(self, x: Tensor) -> Tensor:
        fixed = self.input_shape[0]
        if fixed is None or fixed == len(x):
            return self._run(x)
        parts = [self._run(pad_batch(part, fixed))[: len(part)] for part in x.split(fixed)]
        return torch.cat(parts)


@dataclass(frozen=True)
class BlackBoxFile:
    """A loaded file: the module, and the SHA-256 (hex) of everything that it was made of."""

    module: BlackBox
    digest: str


def load_black_box(uri: str, *, device: str, allow_code: bool) -> BlackBoxFile:
    """Load an ONNX model or an exported PyTorch program.

    Args:
        uri: path or URI ending in .onnx or .pt2.
        device: torch device; ONNX models run on the CPU only.
        allow_code: trust the file. Loading a .pt2 unpickles objects and runs generated Python, so
            torch itself treats it as a program; ONNX is data.

    Raises:
        UsageError: another extension, a damaged file, an untrusted .pt2, more than one input, or a
            missing package.
        StorageError: the file cannot be read.
    """
    suffix = PurePosixPath(file_name(uri)).suffix.lower()
    if suffix == ".onnx":
        return _load_onnx(uri, device)
    if suffix == ".pt2":
        if not allow_code:
            raise UsageError(
                f"{uri}: loading a .pt2 runs code that its author put there. If you trust the "
                "file, add --allow-code; otherwise ask for ONNX or safetensors"
            )
        return _load_pt2(uri, device)
    raise UsageError(f"teacher file {uri} ends in {suffix!r}; expected .onnx or .pt2")


def _load_onnx(uri: str, device: str) -> BlackBoxFile:
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            ".onnx teachers need onnxruntime: pip install 'coursepack[onnx]'"
        ) from error
    if device != "cpu":
        raise UsageError(f"{uri}: ONNX teachers run on the CPU, asked for device {device}")
    data = storage.read_bytes(uri)
    digest = hashlib.sha256(data)
    # PyTorch's exporter writes large weights into a second file beside the first.
    beside = f"{uri}.data"
    source: bytes | str = data
    if storage.is_local(uri) and storage.exists(beside):
        digest.update(storage.read_bytes(beside))
        source = storage.normalize(uri)
    options = onnxruntime.SessionOptions()
    # The caller's thread count, and no idle threads that spin on cores which decode images.
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            source, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        # onnxruntime's errors have no common base class; each says that this file does not load.
        raise UsageError(
            f"{uri} is no ONNX model that onnxruntime {onnxruntime.__version__} can run: "
            f"{str(error).splitlines()[0]}"
        ) from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        raise UsageError(
            f"{uri} has inputs {[(i.name, i.type) for i in inputs]}; expected one float32 image "
            "batch (N, C, H, W)"
        )
    name = inputs[0].name

    def run(x: Tensor) -> Any:
        outputs = session.run(None, {name: x.contiguous().numpy()})
        return torch.from_numpy(outputs[0]) if len(outputs) == 1 else outputs

    shape = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)
    box = BlackBox(run, _checked(shape, uri), onnx=source)
    return BlackBoxFile(box, digest.hexdigest())


def _load_pt2(uri: str, device: str) -> BlackBoxFile:
    data = storage.read_bytes(uri)
    try:
        program = torch.export.load(io.BytesIO(data))
    except Exception as error:
        # Any exception of the deserialiser means one thing: this is not such a file.
        raise UsageError(
            f"{uri} is no exported program of torch {torch.__version__}: {error}; write one with "
            "torch.export.save(torch.export.export(model, ...))"
        ) from error
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    inputs = program.graph_signature.user_inputs
    if len(inputs) != 1:
        raise UsageError(f"{uri} has {len(inputs)} inputs; expected one image batch (N, C, H, W)")
    node = next(node for node in program.graph.nodes if node.name == inputs[0])
    shape = tuple(side if isinstance(side, int) else None for side in node.meta["val"].shape)
    # Stays outside the module tree: an exported program has no train and eval modes to switch.
    graph = program.module()
    run: Callable[[Tensor], Any] = lambda x: graph(x)  # noqa: E731
    return BlackBoxFile(BlackBox(run, _checked(shape, uri)), hashlib.sha256(data).hexdigest())


def _checked(shape: Shape, uri: str) -> Shape:
    if len(shape) != 4:
        raise UsageError(f"{uri} takes input of shape {shape}; expected images (N, C, H, W)")
    return shape

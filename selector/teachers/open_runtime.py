"""Runtimes by name: eager, compile, onnxruntime, openvino, openvino-bf16.

All give what `EagerRuntime` gives, within the rounding of their precision. On CPUs onnxruntime and
OpenVINO run networks a little faster, several times with bf16 where the processor multiplies it; on
GPUs compilation saves passes over memory. Another runtime is one more entry of RUNTIMES.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from selector.teachers.black_box import BlackBox
from selector.teachers.compiled import CompiledRuntime
from selector.teachers.exported import (
    ONE_THREAD,
    OnnxRuntime,
    OpenVinoRuntime,
    Threads,
    computes_bf16,
)
from selector.teachers.load import Teacher
from selector.teachers.runtime import EagerRuntime, Runtime, inference_network
from selector.teachers.spec import RuntimeName
from selector.teachers.stage_features import Stage
from selector.teachers.taps import Tap
from shards.errors import UsageError


@dataclass(frozen=True)
class RuntimeKind:
    """What may be asked of a runtime before it is made.

    Attributes:
        open: (teacher, taps, batch_size, who calls it) -> the runtime.
        recorded: device type -> the name that stands beside what it computed.
        packages: modules it needs, of the extra `extra`.
        devices: types of device it runs on.
        of_file: modules it needs for a teacher that is an ONNX file; None = it cannot run one.
        unfit: why this machine's processor cannot run it well, once the packages are there.
    """

    open: Callable[[Teacher, Sequence[Tap], int, Threads], Runtime]
    recorded: Callable[[str], str]
    packages: tuple[str, ...] = ()
    extra: str = ""
    devices: tuple[str, ...] = ("cpu", "cuda")
    of_file: tuple[str, ...] | None = None
    unfit: Callable[[], str] = str


def _no_bf16() -> str:
    if computes_bf16():
        return ""
    return "this processor has no bf16 arithmetic (AMX or AVX-512 BF16): use openvino"


RUNTIMES: dict[RuntimeName, RuntimeKind] = {
    "eager": RuntimeKind(
        lambda teacher, taps, batch_size, threads: EagerRuntime(teacher, taps=taps),
        recorded=lambda device: EagerRuntime.name,
    ),
    "compile": RuntimeKind(
        lambda teacher, taps, batch_size, threads: CompiledRuntime(
            teacher, taps=taps, batch_size=batch_size
        ),
        recorded=CompiledRuntime.name_on,
    ),
    "onnxruntime": RuntimeKind(
        lambda teacher, taps, batch_size, threads: OnnxRuntime(
            teacher, taps=taps, batch_size=batch_size, threads=threads
        ),
        recorded=lambda device: OnnxRuntime.name,
        packages=("onnx", "onnxscript", "onnxruntime"),
        extra="onnx",
        devices=("cpu",),
    ),
    "openvino": RuntimeKind(
        lambda teacher, taps, batch_size, threads: OpenVinoRuntime(
            teacher, taps=taps, batch_size=batch_size, threads=threads
        ),
        recorded=lambda device: OpenVinoRuntime.name_in("fp32"),
        packages=("onnx", "onnxscript", "openvino"),
        extra="openvino",
        devices=("cpu",),
        of_file=("openvino",),
    ),
    "openvino-bf16": RuntimeKind(
        lambda teacher, taps, batch_size, threads: OpenVinoRuntime(
            teacher, taps=taps, batch_size=batch_size, threads=threads, precision="bf16"
        ),
        recorded=lambda device: OpenVinoRuntime.name_in("bf16"),
        packages=("onnx", "onnxscript", "openvino"),
        extra="openvino",
        devices=("cpu",),
        of_file=("openvino",),
        unfit=_no_bf16,
    ),
}


@dataclass(frozen=True)
class RuntimeDescription:
    """What a runtime will be, without making it: its recorded name, and its features' stages."""

    name: str
    stages: tuple[Stage, ...]


def open_runtime(
    name: RuntimeName,
    teacher: Teacher,
    *,
    taps: Sequence[Tap] = (),
    batch_size: int,
    threads: Threads = ONE_THREAD,
) -> Runtime:
    """Make a runtime.

    Args:
        taps: where features are read; none if empty.
        batch_size: images of every forward pass; smaller batches are padded to it.
        threads: that will call it, and that each call may use.

    Raises:
        UsageError: a package is missing, it cannot run on the teacher's device, or the teacher is a
            file that it cannot run; taps as in `inference_network`.
    """
    reason = why_not(name, teacher)
    if reason:
        raise UsageError(reason)
    return RUNTIMES[name].open(teacher, taps, batch_size, threads)


def why_not(name: RuntimeName, teacher: Teacher) -> str:
    """Why this teacher cannot be run so here, with the way out; empty if it can."""
    kind, device = RUNTIMES[name], torch.device(teacher.device).type
    if device not in kind.devices:
        return f"runtime {name} runs on {kind.devices[0]} alone, not on {device}: use compile"
    packages = kind.packages
    if isinstance(teacher.module, BlackBox) and name != "eager":
        if teacher.module.onnx is None:
            return f"{teacher.name} is a program of its own, no ONNX; leave --runtime at eager"
        if kind.of_file is None:
            return (
                f"{teacher.name} brings its own runtime; leave --runtime at eager, or ask for "
                "openvino"
            )
        packages = kind.of_file
    missing = [one for one in packages if importlib.util.find_spec(one) is None]
    if missing:
        return f"runtime {name} needs {', '.join(missing)}: pip install 'coursepack[{kind.extra}]'"
    return kind.unfit()


def recorded_name(name: RuntimeName, device: str) -> str:
    """What stands beside the scores; two runtimes of one recorded name agree to the bit."""
    return RUNTIMES[name].recorded(torch.device(device).type)


def runtime_of(recorded: str) -> RuntimeName:
    """The runtime whose recorded name this is, on any device.

    Raises:
        ValueError: there is none in this version of coursepack.
    """
    for name, kind in RUNTIMES.items():
        if recorded in {kind.recorded(device) for device in kind.devices}:
            return name
    raise ValueError(f"runtime {recorded!r} is unknown")


def describe_runtime(
    name: RuntimeName, teacher: Teacher, *, taps: Sequence[Tap], device: str
) -> RuntimeDescription:
    """Name and stages of a runtime on `device`, without making it.

    Raises:
        UsageError: as `inference_network`.
    """
    return RuntimeDescription(recorded_name(name, device), inference_network(teacher, taps)[1])

"""Which runtime is fastest here: each is timed on made-up images, by one thread."""

from __future__ import annotations

import copy
import gc
from dataclasses import dataclass, replace
from time import perf_counter

import torch
from torch import Tensor

from selector.teachers.load import Teacher
from selector.teachers.open_runtime import open_runtime, why_not
from selector.teachers.out_of_memory import is_out_of_memory
from selector.teachers.runtime import Runtime, made_up_pixels
from selector.teachers.spec import RuntimeName
from shards.errors import UsageError

CANDIDATES: dict[str, tuple[RuntimeName, ...]] = {
    "cpu": (
        "eager",
        "onnxruntime",
        "openvino",
        "openvino-bf16",
    ),  # compiling takes too long, in each worker
    "cuda": ("eager", "compile"),
}

WORTHWHILE = 1.1
"""Another runtime than eager must be faster by this factor: below, the noise of a probe decides."""

_TOLERANCE = 0.02
"""Of log probabilities between float32 runtimes; bf16 is coarser."""
_TOLERANCE_BF16 = 0.5


@dataclass(frozen=True)
class ProbedRuntimes:
    """What a probe found.

    Attributes:
        fastest: the runtime to use.
        images_per_s: of one thread, of each runtime that answers as eager does.
        left_out: runtime -> why it was not measured or cannot be used.
    """

    fastest: RuntimeName
    images_per_s: dict[RuntimeName, float]
    left_out: dict[RuntimeName, str]

    @property
    def reason(self) -> str:
        """One line for a reader."""
        rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in self.images_per_s.items())
        ratio = self.images_per_s[self.fastest] / self.images_per_s["eager"]
        text = f"runtime {self.fastest}: {ratio:.2f} x eager (images/s of one thread: {rates})"
        why = "; ".join(f"not {name}: {reason}" for name, reason in self.left_out.items())
        return f"{text}; {why}" if why else text


@torch.inference_mode()
def probe_runtimes(
    teacher: Teacher, *, device: str, batch_size: int, seconds: float = 1.0
) -> ProbedRuntimes:
    """Time every candidate, in turns, so that a disturbance meets all of them.

    Args:
        teacher: on the CPU; it is copied to `device`.
        seconds: of each runtime, beside what it takes to make it.
    """
    if device != teacher.device:
        module = copy.deepcopy(teacher.module).to(device)
        teacher = replace(teacher, module=module, device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _probe_what_fits(teacher, device.partition(":")[0], batch_size, seconds)
    finally:
        torch.set_num_threads(threads)


def _probe_what_fits(
    teacher: Teacher, device: str, batch_size: int, seconds: float
) -> ProbedRuntimes:
    """Halve the batch as scoring will, until all candidates run with it."""
    while True:
        try:
            return _probe(teacher, device, batch_size, seconds)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if batch_size == 1:
                raise UsageError(
                    f"{teacher.device} has no memory for a pass of {teacher.name} with one image "
                    f"({str(error).splitlines()[0]}): end what else uses it, or score with "
                    "--device cpu"
                ) from error
        gc.collect()
        torch.cuda.empty_cache()
        batch_size //= 2


def _probe(teacher: Teacher, device: str, batch_size: int, seconds: float) -> ProbedRuntimes:
    pixels = made_up_pixels(teacher, num_images=batch_size)
    made: dict[RuntimeName, Runtime] = {}
    left_out: dict[RuntimeName, str] = {}
    expected: Tensor | None = None
    for name in CANDIDATES[device]:
        reason = why_not(name, teacher)
        if not reason:
            try:
                runtime = open_runtime(name, teacher, batch_size=batch_size)
                answer = torch.log_softmax(runtime(pixels).float(), dim=1)
            except (UsageError, RuntimeError) as error:
                if is_out_of_memory(error):
                    raise
                reason = str(error).splitlines()[0]
        if not reason and expected is not None and not _agrees(answer, expected, runtime.name):
            reason = "it answers otherwise than eager"
        if reason:
            left_out[name] = reason
            continue
        made[name] = runtime
        expected = answer if expected is None else expected
    best = dict.fromkeys(made, float("inf"))
    begin = perf_counter()
    while perf_counter() - begin < seconds * len(made):
        for name, runtime in made.items():
            best[name] = min(best[name], _seconds(runtime, pixels))
    rates = {name: batch_size / best[name] for name in made}
    fastest = max(rates, key=lambda name: rates[name])
    if rates[fastest] < WORTHWHILE * rates["eager"]:
        fastest = "eager"
    return ProbedRuntimes(fastest, rates, left_out)


def _seconds(runtime: Runtime, pixels: Tensor) -> float:
    begin = perf_counter()
    runtime(pixels).cpu()  # a GPU is waited for
    return perf_counter() - begin


def _agrees(found: Tensor, expected: Tensor, name: str) -> bool:
    tolerance = _TOLERANCE_BF16 if name.endswith("bf16") else _TOLERANCE
    sure = expected > -7.0  # what is less likely than a thousandth decides nothing
    return bool(((found - expected).abs()[sure] <= tolerance).all())

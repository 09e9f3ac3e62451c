"""`quantize`: a teacher as an int8 file, kept only if it ranks and chooses as the teacher does."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from cluster.batch_size import default_batch_size
from cluster.out_folder import refuse_file, refuse_job_folder
from cluster.progress import OnProgress, ignore, say_to
from cluster.provenance import commit, hardware, now, versions
from cluster.quantize_report import QuantizeReport, Way, refusal
from cluster.spread_images import read_spread
from selector.scoring.spec import ScoreSpec
from selector.teachers.agreement import agreement
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.open_runtime import open_runtime, why_not
from selector.teachers.quantize import quantize_teacher, why_not_quantized
from selector.teachers.runtime import EagerRuntime, Runtime
from selector.teachers.spec import RuntimeName, TeacherSpec
from shards import atomic, storage
from shards.errors import UsageError
from shards.limits import DEFAULT_LIMITS

LEAST_IMAGES = 128
"""Half of them are compared: one image in the wrong half takes 3 % off the Jaccard index."""

_SUFFIX = ".onnx"
_WAYS: tuple[RuntimeName, ...] = ("eager", "openvino")
_ROUNDS = 5


def quantize(
    pool: Sequence[str],
    *,
    spec: ScoreSpec,
    out: str,
    images: int = 1024,
    float_layers: int = 1,
    accept: bool = False,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> QuantizeReport:
    """Write a teacher as an int8 ONNX file, to be named as a teacher of its own: `file:OUT`.

    Every second image of a sample tells the ranges of activations, the others how the file agrees
    with the teacher. Beside `out` lie the report (.json) and a configuration for `score` (.yaml).

    Args:
        pool: As for `score`: the images that will be scored, or some like them.
        spec: Teacher, limits, preprocessing; its runtime and views do not matter.
        out: The file, ending in .onnx; local or remote.
        images: Of the sample, at least 128.
        float_layers: Convolutions at the beginning that stay in float32; more = nearer to the
            teacher, and slower.
        accept: Write it even if it fails the gate.
        overwrite: Replace files that are there.

    Raises:
        UsageError: it fails the gate, and nothing was written; too few images; a teacher that is a
            file already, or that cannot be exported; a missing package; a file at `out`.
        StorageError: something cannot be read or written.
    """
    out = storage.normalize(out)
    beside = [out.removesuffix(_SUFFIX) + suffix for suffix in (".json", ".yaml")]
    refuse_job_folder(out)
    refuse_file(out, suffix=_SUFFIX, beside=beside, overwrite=overwrite)
    if float_layers < 0:
        raise UsageError(f"--float-layers is {float_layers}; expected 0 or more")
    if images < LEAST_IMAGES:
        raise UsageError(f"--images is {images}; at least {LEAST_IMAGES} are needed")
    _refuse(why_not_quantized())
    tell = say_to(on_progress or ignore)
    teacher = load_teacher(spec.teacher_spec)
    _refuse(why_not_quantized(teacher))
    sample = read_spread(
        pool,
        teacher.preprocessing,
        num_images=images,
        least=LEAST_IMAGES,
        image_ext=spec.image_extensions,
        limits=spec.limits,
        say=tell,
    )
    pixels, held_out = sample.pixels_NCHW[::2], sample.pixels_NCHW[1::2]
    tell(f"quantizing {teacher.name} on {len(pixels):,} images, comparing on {len(held_out):,}")
    model = quantize_teacher(teacher, pixels, float_layers=float_layers)
    used = TeacherSpec(
        name=f"file:{out}",
        class_names=_absolute(spec.teacher.class_names),
        preprocessing=teacher.preprocessing.to_dict(),
    )
    batch_size = default_batch_size(teacher.preprocessing, "cpu")
    with tempfile.TemporaryDirectory(prefix="coursepack-int8-") as folder, _one_thread():
        path = Path(folder, "int8.onnx")
        path.write_bytes(model)
        made = load_teacher(used.model_copy(update={"name": f"file:{path}"}))
        rate, ways = _compare(teacher, made, held_out, batch_size=batch_size)
    report = QuantizeReport(
        out=out,
        report=beside[0],
        config=beside[1],
        teacher={
            "name": teacher.name,
            "weights": spec.teacher.weights,
            "fingerprint": teacher.fingerprint,
        },
        file={
            "fingerprint": made.fingerprint,
            "num_bytes": len(model),
            "float_layers": float_layers,
        },
        images={
            "calibration": len(pixels),
            "held_out": len(held_out),
            "skipped": sample.skipped,
            "shards": sample.shards,
        },
        images_per_s=rate,
        ways=ways,
        stamp={"at": now(), "hardware": hardware(), "versions": versions(), "commit": commit()},
    )
    if not report.holds and not accept:
        raise UsageError(refusal(report))
    config = _score_config(spec, used)
    atomic.write_bytes(beside[0], json.dumps(report.to_dict(), indent=1).encode() + b"\n")
    atomic.write_bytes(beside[1], yaml.safe_dump(config, sort_keys=False).encode())
    atomic.write_bytes(out, model)  # last: a file that is there has its report
    return report


def _score_config(spec: ScoreSpec, teacher: TeacherSpec) -> dict[str, Any]:
    """What `score --config` needs, to read the images as they were read here."""
    config: dict[str, Any] = {
        "teacher": teacher.model_dump(mode="json", exclude_none=True, exclude={"allow_code"})
    }
    if spec.image_ext is not None:
        config["image_ext"] = list(spec.image_ext)
    if spec.limits != DEFAULT_LIMITS:
        config["limits"] = asdict(spec.limits)
    return config


def _refuse(reason: str) -> None:
    if reason:
        raise UsageError(reason)


def _absolute(uri: str | None) -> str | None:
    return None if uri is None else storage.normalize(uri)


def _compare(
    teacher: Teacher, made: Teacher, pixels_NCHW: Tensor, *, batch_size: int
) -> tuple[float, tuple[Way, ...]]:
    """Rate of the original, and what the file does by each runtime that can run it here."""
    original: Runtime = EagerRuntime(teacher)
    runtimes: dict[str, Runtime] = {
        name: open_runtime(name, made, batch_size=batch_size)
        for name in _WAYS
        if not why_not(name, made)
    }
    batches = pixels_NCHW.split(batch_size)
    expected = _logits(original, batches)
    found = {name: agreement(expected, _logits(one, batches)) for name, one in runtimes.items()}
    timed = {"": original, **runtimes}
    best = dict.fromkeys(timed, float("inf"))
    few = batches[: max(1, 256 // batch_size)]
    for _ in range(_ROUNDS):  # in turns, so that a disturbance meets all of them
        for name, one in timed.items():
            # Of the processor: other programs on the machine are not the runtime's fault.
            begin = time.process_time()
            _logits(one, few)
            best[name] = min(best[name], time.process_time() - begin)
    rates = {name: sum(map(len, few)) / max(1e-9, spent) for name, spent in best.items()}
    return rates[""], tuple(Way(name, found[name], rates[name]) for name in runtimes)


def _logits(runtime: Runtime, batches: Sequence[Tensor]) -> Tensor:
    with torch.inference_mode():
        return torch.cat([runtime(batch) for batch in batches])


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

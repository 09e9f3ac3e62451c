"""The first measurements of a GPU machine, in one command.

    python -m benchmarks.gpu_first --pool POOL [--out results.jsonl] [--small]

JSON lines, each with hardware and versions:

- `model`: images/s of ResNet-18, 34 and 50 at 224 px and CIFAR's ResNet-34 at 32 px: eager
  float32, autocast bf16, all of it in bf16, compiled under autocast; batches of 64 to 2,048; out of
  memory is told, not hidden.
- `decode`: images/s of 1 to all cores, of full-size JPEGs to the teacher's input.
- `nvjpeg`: lists of JPEGs decoded by the GPU, alone and beside ResNet-50.
- `copy`: GB/s from page-locked memory.
- `bench`: the engine on the pool with ResNet-34 and ResNet-50, eager and compiled, against its
  limits (`coursepack bench`), with the share of the time in which the GPU is busy.
- `lane`: the engine with ResNet-50, `exact`, `fast`, and `fast` with the decode lane on the GPU, in
  turns; how many images the lane took.
- `epoch`: steps of distilling ResNet-34 into ResNet-18 at 32 px, both compiled or not.

Weights are random: speed does not depend on them. `--small` measures one batch size for a moment,
on the CPU where there is no GPU: a check that everything runs.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor, nn

from benchmarks.random_weights import write_random_weights
from cluster.execution import ExecutionConfig
from cluster.provenance import hardware, now, usable_cores, versions
from cluster.speed.limits import Bench
from cluster.speed.workload import read_workload
from cluster.verbs.bench import bench
from distiller.losses.kd import kd_loss
from selector.scoring.forward import Forward
from selector.scoring.shard_scorer import ShardScorer
from selector.scoring.spec import ScoreSpec
from selector.teachers.load import load_teacher
from selector.teachers.open_runtime import open_runtime
from selector.teachers.spec import RuntimeName, TeacherSpec
from selector.teachers.zoo import build_model

MODELS = [
    ("torchvision/resnet18", 224),
    ("torchvision/resnet34", 224),
    ("torchvision/resnet50", 224),
    ("cifar/resnet34", 32),
]
BATCHES = (64, 256, 1024, 2048)


def seconds_of(call: Callable[[], object], *, device: str, at_least_s: float) -> float:
    """Seconds of one call, the least of several, after two that do not count."""
    best, begin = float("inf"), perf_counter()
    for number in range(1_000_000):
        started = perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        if number >= 2:
            best = min(best, perf_counter() - started)
        if number >= 4 and perf_counter() - begin > at_least_s:
            break
    return best


def forms(model: nn.Module, device: str) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    """The ways to run a network, by name; each takes normalised float32 images."""
    cuda = device == "cuda"

    def autocast(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def run(images: Tensor) -> Tensor:
            with torch.autocast(device, torch.bfloat16):
                return network(images).float()

        return run

    yield "eager fp32", model
    yield "eager, autocast bf16", autocast(model)
    if cuda:
        compiled: Callable[[Tensor], Tensor] = torch.compile(model, dynamic=False)
        yield "compiled, autocast bf16", autocast(compiled)
        half = copy.deepcopy(model).to(device, torch.bfloat16, memory_format=torch.channels_last)
        yield "eager, all bf16", lambda images: half(images.bfloat16()).float()


@torch.inference_mode()
def model_rates(device: str, *, small: bool) -> Iterator[dict[str, Any]]:
    for name, side in MODELS[-1:] if small else MODELS:
        model = build_model(name, num_classes=10).eval().to(device)
        model = model.to(memory_format=torch.channels_last)
        for batch in (8,) if small else BATCHES:
            images = torch.randn(batch, 3, side, side, device=device)
            images = images.contiguous(memory_format=torch.channels_last)
            for form, run in forms(model, device):
                line = {"what": "model", "model": name, "side": side, "batch": batch, "form": form}
                try:
                    took = seconds_of(
                        lambda run=run, images=images: run(images),  # type: ignore[misc]
                        device=device,
                        at_least_s=0.1 if small else 1.0,
                    )
                except torch.cuda.OutOfMemoryError:
                    yield {**line, "out_of_memory": True}
                else:
                    yield {**line, "images_per_s": round(batch / took, 1)}


def decode_rates(pool: str, *, images: int, weights: str) -> Iterator[dict[str, Any]]:
    spec = ScoreSpec(teacher=TeacherSpec(name="torchvision/resnet18", weights=weights))
    teacher = load_teacher(spec.teacher_spec)
    workload = read_workload([pool], num_images=images)
    forward = Forward(open_runtime("eager", teacher, batch_size=64), None, device="cpu")
    threads = 1
    while threads <= usable_cores():
        found = Bench(workload, spec, teacher, forward, None, 64, threads).decode()
        yield {
            "what": "decode",
            "threads": threads,
            "images_per_s": round(found.images_per_s, 1),
            "cpu_s_per_image": found.cpu_s,
            "bytes_per_image": round(workload.num_bytes / workload.num_images),
        }
        threads *= 2


def nvjpeg_rates(pool: str, *, images: int) -> Iterator[dict[str, Any]]:
    from torchvision.io import decode_jpeg

    workload = read_workload([pool], num_images=images)
    data = []
    for sample in workload.samples:
        found = sample.image(("jpg", "jpeg"))
        if found is not None:
            data.append(torch.frombuffer(bytearray(found[1]), dtype=torch.uint8))
    for batch in (16, 64, 256):
        took = seconds_of(
            lambda batch=batch: decode_jpeg(data[:batch], device="cuda"),  # type: ignore[misc]
            device="cuda",
            at_least_s=2.0,
        )
        yield {"what": "nvjpeg", "list": batch, "images_per_s": round(batch / took, 1)}
    model = build_model("torchvision/resnet50", num_classes=10).eval().to("cuda")
    model = model.to(memory_format=torch.channels_last)
    inputs = torch.randn(256, 3, 224, 224, device="cuda")
    inputs = inputs.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def passes() -> int:
        done = 0
        with torch.cuda.stream(torch.cuda.Stream()), torch.autocast("cuda", torch.bfloat16):
            while not stop.is_set():
                model(inputs)
                torch.cuda.current_stream().synchronize()
                done += 1
        return done

    stop = threading.Event()
    with ThreadPoolExecutor(1) as other:
        begin = perf_counter()
        counted = other.submit(passes)
        took = seconds_of(
            lambda: decode_jpeg(data[:64], device="cuda"), device="cuda", at_least_s=4.0
        )
        stop.set()
        rate = 256 * counted.result() / (perf_counter() - begin)
    yield {
        "what": "nvjpeg beside resnet50",
        "list": 64,
        "images_per_s": round(64 / took, 1),
        "model_images_per_s": round(rate, 1),
    }


def copy_rates() -> Iterator[dict[str, Any]]:
    for megabytes in (1, 16, 128):
        source = torch.empty(megabytes << 20, dtype=torch.uint8, pin_memory=True)
        took = seconds_of(
            lambda source=source: source.to("cuda", non_blocking=True),  # type: ignore[misc]
            device="cuda",
            at_least_s=0.5,
        )
        yield {
            "what": "copy",
            "megabytes": megabytes,
            "gb_per_s": round(source.numel() / took / 1e9, 2),
        }


def engine(
    pool: str, folder: Path, device: str, *, images: int, small: bool
) -> Iterator[dict[str, Any]]:
    teachers = (
        ["torchvision/resnet18"] if small else ["torchvision/resnet34", "torchvision/resnet50"]
    )
    runtimes: list[RuntimeName] = ["eager"] if small else ["eager", "compile"]
    for teacher in teachers:
        weights = folder / "teacher.safetensors"
        write_random_weights(weights, teacher, num_classes=1000)
        for runtime in runtimes:
            result = bench(
                [pool],
                spec=ScoreSpec(
                    teacher=TeacherSpec(name=teacher, weights=str(weights)), runtime=runtime
                ),
                execution=ExecutionConfig(executor="local", device=device),
                images=images,
                rounds=3 if small else 7,
            )
            yield {"what": "bench", **result.report.to_dict()}


def lane_rates(
    pool: str, folder: Path, device: str, *, images: int, small: bool
) -> Iterator[dict[str, Any]]:
    """The engine with each way to decode, one after the other, several times."""
    name = "torchvision/resnet18" if small else "torchvision/resnet50"
    weights = folder / "lane.safetensors"
    write_random_weights(weights, name, num_classes=1000)
    workload = read_workload([pool], num_images=images)
    ways: list[tuple[Literal["exact", "fast"], Literal["auto"] | None]]
    ways = [("exact", None), ("fast", None), ("fast", "auto")]
    for number in range(1 if small else 6):  # the first does not count
        for decode, lane in ways:
            scorer = ShardScorer(
                ScoreSpec(
                    teacher=TeacherSpec(name=name, weights=str(weights)),
                    preprocessing={"decode": decode},
                    runtime="eager" if small else "compile",
                ),
                batch_size=8 if small else 256,
                threads=usable_cores(),
                device=device,
                lane=lane,
            )
            counters: Counter[str] = Counter()
            with scorer:
                tasks = workload.tasks(str(folder / f"{decode}-{lane}-{number}"))
                scorer.score(tasks[0])  # compiles, and finds its memory
                begin = perf_counter()
                for task in tasks:
                    counters.update(scorer.score(task).counters)
                took = perf_counter() - begin
            if number or small:
                yield {
                    "what": "lane",
                    "decode": decode,
                    "lane": lane is not None and not scorer.why_no_lane,
                    "why_no_lane": scorer.why_no_lane,
                    "images_per_s": round(workload.num_images / took, 1),
                    "lane_images": counters["lane_images"],
                    "lane_returned": counters["lane_returned"],
                }


def epoch(device: str, *, small: bool) -> Iterator[dict[str, Any]]:
    """Steps: teacher forward, student forward and backward, update; images are on the device."""
    batch = 8 if small else 512
    images = torch.randn(batch, 3, 32, 32, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    for compiled in (False,) if small else (False, True):
        teacher = build_model("cifar/resnet34", num_classes=10).to(device).eval()
        student = build_model("cifar/resnet18", num_classes=10).to(device).train()
        networks = [one.to(memory_format=torch.channels_last) for one in (teacher, student)]
        optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, nesterov=True)
        if compiled:
            networks = [torch.compile(one, dynamic=False) for one in networks]

        def step(networks: list[Any] = networks, optimizer: Any = optimizer) -> None:
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                with torch.no_grad():
                    targets = networks[0](images)
                logits = networks[1](images)
            loss = kd_loss(logits.float(), targets.float(), temperature=4.0).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        took = seconds_of(step, device=device, at_least_s=0.1 if small else 3.0)
        yield {
            "what": "epoch",
            "compiled": compiled,
            "batch": batch,
            "images_per_s": round(batch / took, 1),
            "seconds_of_50000": round(50_000 / batch * took, 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pool", required=True)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.small:
        raise SystemExit("torch sees no CUDA device; --small checks that everything runs")
    stamp = {"benchmark": "gpu_first", "small": options.small}
    images = 64 if options.small else options.images
    target = options.out.open("a") if options.out else sys.stdout
    with tempfile.TemporaryDirectory() as folder, target:
        weights = Path(folder, "resnet18.safetensors")
        write_random_weights(weights, "torchvision/resnet18", num_classes=1000)
        sources = [
            model_rates(device, small=options.small),
            decode_rates(options.pool, images=images, weights=str(weights)),
            engine(options.pool, Path(folder), device, images=images, small=options.small),
            lane_rates(options.pool, Path(folder), device, images=images, small=options.small),
            epoch(device, small=options.small),
        ]
        if device == "cuda":
            sources[2:2] = [nvjpeg_rates(options.pool, images=images), copy_rates()]
        for source in sources:
            for found in source:
                line = {
                    **stamp,
                    "at": now(),
                    "hardware": hardware(),
                    "versions": versions(),
                    **found,
                }
                print(json.dumps(line), file=target, flush=True)


if __name__ == "__main__":
    main()

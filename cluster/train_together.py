"""Training by several processes: Ray Train starts them, and each runs the plain trainer."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cluster.ray_connect import connect, first_line
from distiller import trainer
from distiller.config import DistillConfig
from distiller.trainer import DistillResult, Event
from shards import atomic
from shards.errors import CoursepackError, UsageError

POLL_S = 0.5
_SCRATCH = ".ray-train"


def train_together(
    config: DistillConfig, *, address: str | None, on_event: Callable[[Event], None]
) -> DistillResult:
    """Train with `config.workers` processes on a Ray cluster, and wait for the end.

    A training that has ended starts none: its card is read.

    Args:
        config: `out` and all shards must be the same files on every node.
        address: of the cluster, as for `connect`; None = a private one on this machine.
        on_event: called from this thread, as the training's metrics appear.

    Raises:
        UsageError: the cluster lacks the GPUs; what the workers find wrong with the configuration.
        CoursepackError: a worker failed; what it said.
    """
    if (Path(config.out) / trainer.CARD).exists():
        return _read_result(config)
    ray = connect(address or "local")
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    use_gpu = _use_gpu(config, ray)
    scratch = Path(config.out).absolute() / _SCRATCH
    resources = {"CPU": float(config.threads or 1)} | ({"GPU": 1.0} if use_gpu else {})
    training = TorchTrainer(
        _train_in_worker,
        train_loop_config={"config": config.model_dump(mode="json"), "scratch": str(scratch)},
        scaling_config=ScalingConfig(
            num_workers=config.workers, use_gpu=use_gpu, resources_per_worker=resources
        ),
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
        run_config=RunConfig(name="distill", storage_path=str(scratch)),
    )
    on_event(
        Event("loading", 0, config.steps, message=f"starting {config.workers} training workers")
    )
    try:
        failure = _watch(training.fit, config, on_event)
        if failure is not None:
            raise _told(scratch) or CoursepackError(
                f"training with {config.workers} workers failed: {first_line(failure)}; the same "
                "command continues from the last checkpoint"
            ) from failure
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _read_result(config)


def _read_result(config: DistillConfig) -> DistillResult:
    """The result of a training that has ended: one process can read its card, with no GPU."""
    return trainer.distill(config.model_copy(update={"workers": 1, "device": "auto"}))


def _train_in_worker(arguments: dict[str, Any]) -> None:
    """Body of each process; what it raises is kept in words, for Ray's errors hide them."""
    try:
        trainer.distill(DistillConfig.model_validate(arguments["config"]))
    except CoursepackError as error:
        told = {"usage": isinstance(error, UsageError), "message": str(error)}
        atomic.write_bytes(f"{arguments['scratch']}/error.json", json.dumps(told).encode())
        raise


def _told(scratch: Path) -> CoursepackError | None:
    """What a worker has told before it ended, if it could."""
    path = scratch / "error.json"
    if not path.exists():
        return None
    told = json.loads(path.read_text())
    return UsageError(told["message"]) if told["usage"] else CoursepackError(told["message"])


def _use_gpu(config: DistillConfig, ray: Any) -> bool:
    if config.device == "cpu":
        return False
    gpus = ray.cluster_resources().get("GPU", 0)
    if config.device == "auto" and gpus < config.workers:
        return False
    if gpus < config.workers:
        raise UsageError(
            f"device is {config.device} and workers is {config.workers}, but the cluster has "
            f"{gpus:g} GPUs; each worker takes one"
        )
    return True


def _watch(
    fit: Callable[[], Any], config: DistillConfig, on_event: Callable[[Event], None]
) -> BaseException | None:
    """Run `fit` in a thread and tell of the lines that appear in metrics.jsonl; its failure."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            fit()
        except BaseException as error:
            # Ray Train raises types of its own for whatever a worker raised; the caller sorts them.
            failures.append(error)

    thread = threading.Thread(target=run, name="ray-train", daemon=True)
    lines = _new_lines(Path(config.out) / "metrics.jsonl")
    thread.start()
    while thread.is_alive():
        thread.join(POLL_S)
        for record in next(lines):
            kind, step = record.pop("kind"), record.pop("step")
            if kind in ("train", "eval"):
                on_event(Event(kind, step, config.steps, record))
    return failures[0] if failures else None


def _new_lines(path: Path) -> Iterator[list[dict[str, Any]]]:
    """At each step the records that were appended since the step before; those there first, not."""
    seen = path.stat().st_size if path.exists() else 0
    while True:
        records = []
        with contextlib.suppress(OSError), path.open("rb") as file:
            seen = min(seen, path.stat().st_size)  # a continued run cuts the file back first
            file.seek(seen)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                seen += len(line)
                records.append(json.loads(line))
        yield records

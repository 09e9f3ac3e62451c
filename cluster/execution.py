"""How work is spread: executor, workers, threads, batch. Free to change; never hashed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cluster.dispatch import Outcome, dispatch
from cluster.leases import LeasePolicy
from cluster.local_executor import InlinePool, ProcessPool, Standby
from cluster.provenance import usable_cores, usable_memory
from cluster.stage import Stage, Task
from cluster.worker_pool import WorkerPool
from shards.errors import UsageError

Executor = Literal["local", "ray", "inline"]


@dataclass(frozen=True)
class ExecutionConfig:
    """What a caller may ask for; None means: choose, or keep what the run has stored.

    Attributes:
        executor: `local` = processes on this machine, `ray` = actors on a cluster, `inline` = in
            this process. None = ray if an address is given, else local.
        address: Ray address, as for `ray.init` (`auto`, `host:port`).
        actors: Workers; None = one per GPU, or as many as the cores allow.
        threads: Threads per worker.
        batch_size: Images per forward pass. Kept by a run: results on CPU are byte-identical for
            one batch size, whatever the number of workers and threads.
        device: `cpu` or `cuda`; None = cuda where there is one.
        split_bytes: Plain tars larger than this are scored in parts of about this size, so that
            the last ones keep every worker busy; 0 = never. Kept by a run; None = 1 GiB.
        memory: Bytes that one Ray actor claims, so that Ray does not crowd a node; None = none.
        stall_s: A worker whose task makes no progress for this long, and for ten times what such
            tasks took so far, is ended and replaced; None = 600.
        silence_s: The same for one whose process gives no sign of life; None = 120.
    """

    executor: Executor | None = None
    address: str | None = None
    actors: int | None = None
    threads: int | None = None
    batch_size: int | None = None
    device: str | None = None
    split_bytes: int | None = None
    memory: int | None = None
    stall_s: float | None = None
    silence_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("actors", "threads", "batch_size", "memory", "stall_s", "silence_s"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be at least 1")
        if self.split_bytes is not None and self.split_bytes < 0:
            raise UsageError(f"split_bytes is {self.split_bytes}; expected a size, or 0 for never")
        if self.address is not None and self.executor in ("local", "inline"):
            raise UsageError(
                f"--address goes with the ray executor, not with {self.executor}; "
                "leave one of the two out"
            )

    @property
    def on_ray(self) -> bool:
        """Whether Ray runs the workers."""
        return self.executor == "ray" or (self.executor is None and bool(self.address))

    def stored(self) -> dict[str, Any]:
        """The choices that a run keeps: those that its bytes may depend on."""
        return {key: asdict(self)[key] for key in ("batch_size", "device", "split_bytes")}


@dataclass(frozen=True)
class Plan:
    """An `ExecutionConfig` with every choice made.

    Attributes:
        elastic: Nobody fixed the number of workers: machines that join get some.
        memory: Bytes that one Ray actor claims.
    """

    executor: Executor
    address: str | None
    actors: int
    threads: int
    device: str
    elastic: bool = False
    memory: int = 0
    leases: LeasePolicy = field(default_factory=LeasePolicy)

    @property
    def gpus_per_actor(self) -> float:
        return 1.0 if self.device.startswith("cuda") else 0.0


MOST_CPU_THREADS = 4
"""Threads of a local CPU worker, at most: beyond a handful they wait for one another in Python."""

PARTS_PER_WORKER = 4
"""So many parts a worker, at least, or the last ones leave cores idle for long."""

BYTES_PER_WORKER = 1 << 30
"""Of memory: torch, a teacher of usual size, and batches in the making."""


def make_plan(config: ExecutionConfig, *, device: str, parts: int | None = None) -> Plan:
    """Choose executor, workers and threads for this machine or cluster.

    Args:
        parts: Tasks there will be, about; None = plenty.

    Raises:
        UsageError: no node of the cluster has room for one worker.
    """
    if config.on_ray:
        return _ray_plan(config, device)
    executor = config.executor or "local"
    if device.startswith("cuda"):
        actors = config.actors or _local_gpus()
        threads = config.threads or max(1, usable_cores() // actors)
    else:
        threads = config.threads or _cpu_threads(config, parts)
        actors = config.actors or max(1, usable_cores() // threads)
    actors = 1 if executor == "inline" else actors
    return Plan(executor, None, actors, threads, device, leases=_leases(config))


def _cpu_threads(config: ExecutionConfig, parts: int | None) -> int:
    """Threads of each local worker.

    Threads of one process wait for one another in Python, the more the smaller the images: two
    processes do 1.1 (224 px) to 1.7 times (LeNet at 32 px) what two threads do. So there is one
    thread a worker, unless then the memory or the parts would not do for all.
    """
    cores, most = usable_cores(), min(MOST_CPU_THREADS, usable_cores())
    if config.actors is not None:
        return max(1, min(most, cores // config.actors))
    if config.executor == "inline":
        return most
    for threads in range(1, most):
        workers = cores // threads
        enough = parts is None or parts >= PARTS_PER_WORKER * workers
        if enough and workers * BYTES_PER_WORKER <= usable_memory():
            return threads
    return most


def _ray_plan(config: ExecutionConfig, device: str) -> Plan:
    from cluster.ray_executor import ActorResources, actor_slots, connect, cpus_per_gpu

    ray = connect(config.address)
    gpus = 1.0 if device.startswith("cuda") else 0.0
    threads = config.threads or (cpus_per_gpu(ray) if gpus else 1)
    memory = config.memory or 0
    slots = actor_slots(ray, ActorResources(num_cpus=threads, num_gpus=gpus, memory=memory))
    if slots == 0:
        claim = f"{threads} CPUs and {gpus:.0f} GPUs"
        claim += f" and {memory:,} bytes of memory" if memory else ""
        raise UsageError(
            f"no node of the Ray cluster offers {claim} for one worker; "
            "lower --threads, or use --device cpu"
        )
    return Plan(
        "ray",
        config.address,
        config.actors or slots,
        threads,
        device,
        elastic=config.actors is None,
        memory=memory,
        leases=_leases(config),
    )


def _leases(config: ExecutionConfig) -> LeasePolicy:
    given = {"stall_s": config.stall_s, "silence_s": config.silence_s}
    return LeasePolicy(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def worker_pool(
    plan: Plan, stage: Stage, *, standby: Standby | None = None
) -> Iterator[WorkerPool]:
    """The pool of `plan.executor`, closed on leaving, whatever happened.

    Args:
        standby: Local workers that were started in advance.
    """
    pool: WorkerPool
    if plan.executor == "inline":
        pool = InlinePool(stage)
    elif plan.executor == "local":
        pool = ProcessPool(stage, devices=_devices(plan), standby=standby)
    else:
        from cluster.ray_executor import ActorResources, RayPool, connect

        resources = ActorResources(
            num_cpus=plan.threads, num_gpus=plan.gpus_per_actor, memory=plan.memory
        )
        pool = RayPool(connect(plan.address), stage, resources=resources)
    try:
        yield pool
    finally:
        pool.close()


PRELOAD = "selector.scoring.shard_scorer"
"""What a worker that is to score spends its first seconds on."""

MOST_STANDBY = 8
"""A machine with more workers than these has runs too long for their start to matter."""


@contextmanager
def standby_workers(
    config: ExecutionConfig, *, is_new: bool, parts: int | None = None
) -> Iterator[Standby | None]:
    """Local workers for a run to come, started before this process loads torch itself.

    None on Ray, in this process, where there may be a GPU (which of them a worker gets is not
    known yet), and for a run that is continued: it may have nothing left to do.
    """
    is_local = not config.on_ray and config.executor in (None, "local")
    on_cpu = config.device == "cpu" or (config.device is None and not _may_have_gpu())
    if not (is_new and is_local and on_cpu):
        yield None
        return
    actors = min(make_plan(config, device="cpu", parts=parts).actors, MOST_STANDBY)
    standby = Standby(actors if parts is None else min(actors, parts), preload=PRELOAD)
    try:
        yield standby
    finally:
        standby.close()


def _may_have_gpu() -> bool:
    """Whether a driver of NVIDIA or AMD is loaded; torch, who knows, takes seconds to import."""
    return os.path.exists("/dev/nvidiactl") or os.path.exists("/dev/kfd")


def run_tasks(pool: WorkerPool, tasks: Iterable[Task], plan: Plan) -> Iterator[Outcome]:
    """`dispatch` as the plan says."""
    return dispatch(pool, tasks, workers=plan.actors, elastic=plan.elastic, leases=plan.leases)


def choose_device(config: ExecutionConfig) -> str:
    """The device that is asked for, or cuda where there is one.

    Raises:
        UsageError: no such device, or cuda is asked for and absent. Whether the machines of a Ray
            cluster have GPUs, this one cannot tell.
    """
    import torch

    if config.device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if config.device not in ("cpu", "cuda"):
        raise UsageError(f"--device is {config.device!r}; expected cpu or cuda")
    if config.device == "cuda" and not config.on_ray and not torch.cuda.is_available():
        raise UsageError("--device cuda, but torch sees no GPU here; use --device cpu")
    return config.device


def _local_gpus() -> int:
    import torch

    return max(1, torch.cuda.device_count())


def _devices(plan: Plan) -> int:
    """GPUs to spread local workers over; 0 = none is used."""
    return _local_gpus() if plan.gpus_per_actor else 0

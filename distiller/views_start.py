"""Who is asked about which views: the teacher at every step, or a store of its answers."""

from __future__ import annotations

import torch

from distiller.config import DistillConfig
from distiller.data.in_memory import InMemoryImages
from distiller.hint_start import HintStart
from distiller.targets import ReplayedViews
from distiller.training_data import Loading, TrainingSet
from distiller.views import FreshViews, Views
from selector.teachers.black_box import BlackBox
from selector.teachers.exported import Threads
from selector.teachers.load import Teacher
from selector.teachers.open_runtime import open_runtime
from selector.teachers.runtime import Runtime
from selector.teachers.spec import RuntimeName
from shards.errors import UsageError


def open_views(
    config: DistillConfig,
    teacher: Teacher | None,
    run_teacher: Runtime | None,
    loading: Loading,
    train: TrainingSet,
    hints: HintStart | None,
) -> Views:
    """The views of a run's batches, with the answers that its loss needs.

    Args:
        config: of the run.
        teacher: None only where nobody asks one.
        run_teacher: from `open_run_teacher`.
        loading: how its images are read.
        train: those images.
        hints: asked in the teacher's place where features are needed too.

    Raises:
        UsageError: targets of a set that is not in memory, or that were made from something else.
        StorageError: their store cannot be read or written.
    """
    if hints is not None:
        return FreshViews(config.augment, seed=config.seed, run_teacher=hints.ask_teacher)
    if config.targets is None:
        return FreshViews(config.augment, seed=config.seed, run_teacher=run_teacher)
    assert teacher is not None  # the configuration was checked for both
    assert run_teacher is not None
    if not isinstance(train.images, InMemoryImages):
        raise UsageError(
            "targets are given, but the training images do not fit into data.memory_bytes "
            f"({loading.options.memory_bytes:,}); raise it, or leave targets out"
        )
    return ReplayedViews(
        config.targets,
        config.augment,
        train.images.images_NCSS,
        run_teacher=run_teacher,
        batch_size=config.batch_size,
        made_from={
            "teacher": teacher.fingerprint,
            "preprocessing": loading.preprocessing.fingerprint(),
            "training images": train.index.fingerprint,
        },
    )


def open_run_teacher(config: DistillConfig, teacher: Teacher | None) -> Runtime | None:
    """How the teacher is asked before and during training; None where the loss asks nobody.

    Raises:
        UsageError: a package of the runtime is missing, or the teacher cannot be run by it.
    """
    if teacher is None or not config.asks_teacher:
        return None
    return open_runtime(
        _runtime_name(config, teacher),
        teacher,
        batch_size=config.batch_size // config.workers,
        threads=Threads(of_each=torch.get_num_threads()),
    )


def _runtime_name(config: DistillConfig, teacher: Teacher) -> RuntimeName:
    if config.hints is not None:  # asked here before training alone
        return "eager"
    if config.teacher_runtime is not None:
        return config.teacher_runtime
    # A model in a file brings its own runtime.
    compiles = config.compile and not isinstance(teacher.module, BlackBox)
    return "compile" if compiles else "eager"

"""Everything a run works with, built from its configuration: networks, data, loss, optimizers.

Legend: C = classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distiller.config import DistillConfig
from distiller.data.image_batch import each_once
from distiller.data.image_index import ImageIndex
from distiller.data.lineage import Lineage, read_lineage
from distiller.identity import run_identity
from distiller.objective import NoisyOptions, Objective, SupervisedOptions, needs_teacher
from distiller.optimizer import build_optimizer
from distiller.students import build_student
from distiller.training_data import (
    EvaluationSet,
    Loading,
    TrainingSet,
    open_evaluation_set,
    open_pool_sample,
    open_training_set,
)
from distiller.transition_matrix import TransitionMatrix, identity_start
from distiller.transition_start import transition_start
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.preprocess import Preprocessing
from selector.teachers.runtime import EagerRuntime, Runtime
from selector.teachers.zoo import default_preprocessing
from shards.errors import UsageError

_NO_POOL_WARNING = (
    "objective.transition.pool is not given, so Q starts from the training images; where those "
    "are a confident selection, it starts close to the identity: name the pool's shards there"
)


@dataclass(frozen=True)
class Session:
    """The parts of a run.

    Attributes:
        config: what was asked for.
        device: where networks and batches live.
        num_classes: C.
        preprocessing: turns a uint8 batch into the input of BOTH networks.
        teacher: None only where the configuration has none.
        run_teacher: uint8 batch -> its logits, normalised inside; None where the loss needs none.
        student: in training mode, on the device.
        objective: the loss, with Q where it has one.
        optimizer: of the student.
        transition_optimizer: of Q, or None where nothing of Q is learned.
        train: images to train on.
        evaluation: labelled images to measure on, or None.
        warnings: what the user should know; also in the card.
    """

    config: DistillConfig
    device: torch.device
    num_classes: int
    preprocessing: Preprocessing
    teacher: Teacher | None
    run_teacher: Runtime | None
    student: nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    transition_optimizer: torch.optim.Optimizer | None
    train: TrainingSet
    evaluation: EvaluationSet | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Inputs:
    """The cheap half of a session: what is needed to tell whether a run is the one asked for.

    Attributes:
        config: what was asked for.
        teacher: None only where the configuration has none.
        loading: how any set of images is read.
        train_index: where the training images lie; nothing is decoded yet.
        lineage: what the export that made the training shards says of them, if anything.
    """

    config: DistillConfig
    teacher: Teacher | None
    loading: Loading
    train_index: ImageIndex
    lineage: Lineage | None

    def identity(self) -> dict[str, Any]:
        """What decides the run's result; see `distiller.identity`."""
        return run_identity(
            self.config,
            teacher=None if self.teacher is None else self.teacher.fingerprint,
            data=self.train_index.fingerprint,
            weights=None if self.lineage is None else self.lineage.fingerprint,
        )


def open_inputs(config: DistillConfig, *, device: torch.device, threads: int) -> Inputs:
    """Load the teacher and walk the headers of the training shards.

    Raises:
        UsageError: the configuration does not fit the files it names.
        CoursepackError: those files cannot be read.
    """
    teacher = None if config.teacher is None else load_teacher(config.teacher, device=str(device))
    loading = Loading(
        options=config.data,
        preprocessing=_preprocessing(config, teacher),
        device=device,
        threads=threads,
        num_classes=_class_count(config, teacher),
        class_names=None if teacher is None else teacher.class_names,
    )
    supervised = isinstance(config.objective, SupervisedOptions)
    train_index = loading.index(config.data.train, labelled=supervised)
    return Inputs(config, teacher, loading, train_index, read_lineage(train_index))


def open_session(inputs: Inputs, *, resuming: bool) -> Session:
    """Decode the data and build everything else.

    Args:
        inputs: from `open_inputs`.
        resuming: Q comes from a checkpoint, so nothing is estimated for its start.

    Raises:
        UsageError: the configuration does not fit the files it names.
        CoursepackError: those files cannot be read, or too many images cannot be used.
    """
    config, loading, teacher = inputs.config, inputs.loading, inputs.teacher
    # Built before the data is decoded: a name that the zoo lacks should not take minutes to tell.
    student = build_student(
        config.student.name,
        num_classes=loading.num_classes,
        in_channels=loading.preprocessing.channels,
        seed=config.seed,
    ).to(loading.device)
    # A tenth faster on CPUs, more on GPUs; the numbers are those of the usual layout.
    student = student.to(memory_format=torch.channels_last)
    evaluation = open_evaluation_set(loading)
    train = open_training_set(
        loading,
        inputs.train_index,
        inputs.lineage,
        supervised=isinstance(config.objective, SupervisedOptions),
    )
    transition = _transition(config, teacher, loading, resuming=resuming)
    return Session(
        config=config,
        device=loading.device,
        num_classes=loading.num_classes,
        preprocessing=loading.preprocessing,
        teacher=teacher,
        run_teacher=(
            EagerRuntime(teacher) if teacher and needs_teacher(config.objective) else None
        ),
        student=student,
        objective=Objective(config.objective, transition),
        optimizer=build_optimizer(student.parameters(), config.optimizer),
        transition_optimizer=_transition_optimizer(config, transition),
        train=train,
        evaluation=evaluation,
        warnings=_warnings(config, train, evaluation),
    )


def _warnings(
    config: DistillConfig, train: TrainingSet, evaluation: EvaluationSet | None
) -> tuple[str, ...]:
    breaks = [*train.index.breaks, *(() if evaluation is None else evaluation.index.breaks)]
    told = [f"images may be missing, for a shard breaks off: {text}" for text in breaks]
    if _estimates_from_training_images(config):
        told.append(_NO_POOL_WARNING)
    return tuple(told)


def pick_device(device: str) -> torch.device:
    """`auto` becomes cuda where there is one.

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device is {device!r}, but torch finds no CUDA device; set device: cpu")
    return torch.device(device)


def _class_count(config: DistillConfig, teacher: Teacher | None) -> int:
    asked = config.student.num_classes
    if teacher is None:
        assert asked is not None  # the configuration was checked for this
        return asked
    if asked is not None and asked != teacher.num_classes:
        raise UsageError(
            f"student.num_classes is {asked}, but the teacher {teacher.name} has "
            f"{teacher.num_classes} classes; leave it out"
        )
    return teacher.num_classes


def _preprocessing(config: DistillConfig, teacher: Teacher | None) -> Preprocessing:
    if teacher is not None:
        return teacher.preprocessing
    if config.student.preprocessing is not None:
        return Preprocessing.from_dict(config.student.preprocessing)
    return default_preprocessing(config.student.name)


def _estimates_from_training_images(config: DistillConfig) -> bool:
    options = config.objective
    return (
        isinstance(options, NoisyOptions)
        and options.transition.needs_pool
        and options.transition.pool is None
    )


def _transition(
    config: DistillConfig,
    teacher: Teacher | None,
    loading: Loading,
    *,
    resuming: bool,
) -> TransitionMatrix | None:
    if not isinstance(config.objective, NoisyOptions):
        return None
    options = config.objective.transition
    if options.mode == "none":
        return None
    assert teacher is not None  # noisy distillation needs one, and the configuration says so

    def pool_logits() -> Iterator[Tensor]:
        pool = open_pool_sample(
            loading,
            options.pool or config.data.train,
            num_images=options.pool_images,
            seed=config.seed,
        )
        for batch in each_once(pool, batch_size=config.batch_size):
            yield teacher.logits(batch.images_BCSS)

    if resuming:
        start_CC = identity_start(loading.num_classes)
    else:
        start_CC = transition_start(
            options, num_classes=loading.num_classes, pool_logits=pool_logits
        )
    return TransitionMatrix(start_CC, mode=options.mode).to(loading.device)


def _transition_optimizer(
    config: DistillConfig, transition: TransitionMatrix | None
) -> torch.optim.Optimizer | None:
    if transition is None or not transition.is_learned:
        return None
    assert isinstance(config.objective, NoisyOptions)
    return torch.optim.Adam(transition.parameters(), lr=config.objective.transition.lr)

"""Everything a run works with, built from its configuration: networks, data, loss, optimizers.

Legend: C = classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from distiller.average import start_average
from distiller.compiled import compiled_for_training
from distiller.config import DistillConfig
from distiller.data.image_batch import each_once
from distiller.hint_start import HintStart, measure_scale, open_hints
from distiller.hints import Hints
from distiller.inputs import Inputs
from distiller.objective import Objective
from distiller.objective_options import NoisyOptions, SupervisedOptions
from distiller.optimizer import build_optimizer
from distiller.reselect import Reselection
from distiller.robust_options import RobustOptions
from distiller.robust_start import RobustStart, restored_start, robust_start
from distiller.students import build_student
from distiller.team import Team, current_team
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
from distiller.views import Views
from distiller.views_start import open_run_teacher, open_views
from selector.teachers.load import Teacher
from selector.teachers.preprocess import Preprocessing
from selector.teachers.runtime import Runtime
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
        views: what the networks see of a batch, and what the teacher says of it.
        student: in training mode, on the device.
        average: of its weights over the updates, or None; what is evaluated and kept, if there.
        objective: the loss, with Q where it has one.
        optimizer: of the student, and of what hints learn.
        transition_optimizer: of Q, or None where nothing of Q is learned.
        train: images to train on.
        evaluation: labelled images to measure on, or None.
        hints: the loss between features, with what is learned for it, or None.
        with_maps: the student as a network that also answers with the maps that hints compare.
        compiled: what runs the student in training in place of the modules, or None.
        robust: class weights and their origin, where the objective is the robust one.
        reselection: which images are trained on now, where they are chosen anew.
        team: the processes that train together, of which this is one.
        warnings: what the user should know; also in the card.
    """

    config: DistillConfig
    device: torch.device
    num_classes: int
    preprocessing: Preprocessing
    teacher: Teacher | None
    views: Views
    student: nn.Module
    average: AveragedModel | None
    objective: Objective
    optimizer: torch.optim.Optimizer
    transition_optimizer: torch.optim.Optimizer | None
    train: TrainingSet
    evaluation: EvaluationSet | None
    hints: Hints | None
    with_maps: nn.Module | None
    compiled: Callable[[Tensor], Any] | None
    robust: RobustStart | None
    reselection: Reselection | None
    team: Team
    warnings: tuple[str, ...]

    def answer(self, inputs_BCSS: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The student's logits (B, C) of normalised images, and its maps where hints need them."""
        run = self.compiled or self.with_maps or self.student
        if self.with_maps is None:
            return run(inputs_BCSS), ()
        logits_BC, maps = run(inputs_BCSS)
        return logits_BC, maps

    @property
    def result(self) -> nn.Module:
        """The network that the run is about: the average where there is one, else the student."""
        return self.student if self.average is None else self.average.module


def open_session(inputs: Inputs, *, state: Mapping[str, Any] | None) -> Session:
    """Decode the data and build everything else.

    Args:
        inputs: from `open_inputs`.
        state: of the checkpoint that will be restored, or None: with one, the teacher is not
            asked again for the start of Q or for class weights.

    Raises:
        UsageError: the configuration does not fit the files it names.
        CoursepackError: those files cannot be read, or too many images cannot be used.
    """
    config, loading, teacher, team = inputs.config, inputs.loading, inputs.teacher, current_team()
    # Built before the data is decoded: a name that the zoo lacks should not take minutes to tell.
    student = build_student(
        config.student.name,
        num_classes=loading.num_classes,
        in_channels=loading.preprocessing.channels,
        seed=config.seed,
    ).to(loading.device)
    # A tenth faster on CPUs, more on GPUs; the numbers are those of the usual layout.
    student = student.to(memory_format=torch.channels_last)
    hints = _hints(config, teacher, student)
    evaluation = open_evaluation_set(loading)
    train = open_training_set(
        loading,
        inputs.train_index,
        inputs.lineage,
        supervised=isinstance(config.objective, SupervisedOptions),
        labelled=inputs.labelled_index,
    )
    run_teacher = open_run_teacher(config, teacher)
    transition = _transition(config, run_teacher, loading, resuming=state is not None)
    robust = _robust(config, teacher, run_teacher, train, state=state, team=team)
    if hints is not None and state is None:
        measure_scale(hints, train.images)
    learned = (transition, None if hints is None else hints.hints)
    for module in (student, *learned, None if robust is None else robust.adversary):
        if module is not None:  # each process has computed its own: equal, but for rounding
            team.broadcast_(module)
    return Session(
        config=config,
        device=loading.device,
        num_classes=loading.num_classes,
        preprocessing=loading.preprocessing,
        teacher=teacher,
        views=open_views(config, teacher, run_teacher, loading, train, hints),
        student=student,
        average=None if config.average is None else start_average(student, config.average),
        objective=Objective(
            config.objective,
            transition,
            None if robust is None else robust.adversary,
            label_weight=config.data.labelled_ce or 0.0,
        ),
        optimizer=build_optimizer(
            [*student.parameters(), *(() if hints is None else hints.hints.parameters())],
            config.optimizer,
        ),
        transition_optimizer=_transition_optimizer(config, transition),
        train=train,
        evaluation=evaluation,
        hints=None if hints is None else hints.hints,
        with_maps=None if hints is None else hints.student,
        compiled=compiled_for_training(student if hints is None else hints.student)
        if config.compile
        else None,
        robust=robust,
        reselection=_reselection(config, run_teacher, train),
        team=team,
        warnings=(
            *_warnings(config, train, evaluation),
            *(() if robust is None else robust.warnings(loading.class_names)),
        ),
    )


def _hints(config: DistillConfig, teacher: Teacher | None, student: nn.Module) -> HintStart | None:
    if config.hints is None:
        return None
    assert teacher is not None  # the configuration was checked for it
    return open_hints(
        config.hints,
        teacher=teacher,
        student=student,
        student_name=config.student.name,
        seed=config.seed,
    )


def _warnings(
    config: DistillConfig, train: TrainingSet, evaluation: EvaluationSet | None
) -> tuple[str, ...]:
    breaks = [*train.index.breaks, *(() if evaluation is None else evaluation.index.breaks)]
    told = [f"images may be missing, for a shard breaks off: {text}" for text in breaks]
    if _estimates_from_training_images(config):
        told.append(_NO_POOL_WARNING)
    return tuple(told)


def _estimates_from_training_images(config: DistillConfig) -> bool:
    options = config.objective
    return (
        isinstance(options, NoisyOptions)
        and options.transition.needs_pool
        and options.transition.pool is None
    )


def _transition(
    config: DistillConfig,
    run_teacher: Runtime | None,
    loading: Loading,
    *,
    resuming: bool,
) -> TransitionMatrix | None:
    if not isinstance(config.objective, NoisyOptions):
        return None
    options = config.objective.transition
    if options.mode == "none":
        return None
    assert run_teacher is not None  # noisy distillation needs one, and the configuration says so

    def pool_logits() -> Iterator[Tensor]:
        pool = open_pool_sample(
            loading,
            options.pool or config.data.train,
            num_images=options.pool_images,
            seed=config.seed,
        )
        for batch in each_once(pool, batch_size=config.batch_size):
            yield run_teacher(batch.images_BCSS)

    if resuming:
        start_CC = identity_start(loading.num_classes)
    else:
        start_CC = transition_start(
            options, num_classes=loading.num_classes, pool_logits=pool_logits
        )
    return TransitionMatrix(start_CC, mode=options.mode).to(loading.device)


def _robust(
    config: DistillConfig,
    teacher: Teacher | None,
    run_teacher: Runtime | None,
    train: TrainingSet,
    *,
    state: Mapping[str, Any] | None,
    team: Team,
) -> RobustStart | None:
    options = config.objective
    if not isinstance(options, RobustOptions):
        return None
    # Robust distillation needs one, and the configuration says so.
    assert teacher is not None
    assert run_teacher is not None
    if state is not None:
        return restored_start(
            options, state["robust"], seed=config.seed, device=teacher.device, team=team
        )
    return robust_start(
        options,
        run_teacher=run_teacher,
        num_classes=teacher.num_classes,
        device=teacher.device,
        train=train,
        labelled_share=config.data.labelled_share,
        batch_size=config.batch_size,
        seed=config.seed,
        team=team,
    )


def _reselection(
    config: DistillConfig, run_teacher: Runtime | None, train: TrainingSet
) -> Reselection | None:
    if config.reselect is None:
        return None
    assert run_teacher is not None  # the configuration was checked for it
    if config.reselect.n >= len(train.index):
        raise UsageError(
            f"reselect.n is {config.reselect.n:g}, but data.train has {len(train.index)} images to "
            "choose from; give more candidates, or leave reselect out"
        )
    return Reselection(
        config.reselect, train.images, teacher_logits=run_teacher, steps=config.steps
    )


def _transition_optimizer(
    config: DistillConfig, transition: TransitionMatrix | None
) -> torch.optim.Optimizer | None:
    if transition is None or not transition.is_learned:
        return None
    assert isinstance(config.objective, NoisyOptions)
    return torch.optim.Adam(transition.parameters(), lr=config.objective.transition.lr)

"""Training a student from start, or from where it was killed, to its card.

Legend: B = batch, C = channels or classes, S = image side.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from distiller.card import (
    build_card,
    read_card,
    write_card,
    write_confusion,
    write_student,
    write_transition,
)
from distiller.checkpoint import load_newest_checkpoint, save_checkpoint
from distiller.clock import Clock
from distiller.config import DistillConfig
from distiller.data.image_batch import ImageBatch
from distiller.data.order import index_batches, mixed_batches
from distiller.evaluate import Evaluation, evaluate, labelled_batches
from distiller.folder_lock import lock_folder
from distiller.identity import check_same_run
from distiller.inputs import open_inputs, pick_device
from distiller.metrics import MetricsLog
from distiller.optimizer import learning_rate
from distiller.portable import check_formats, write_portable
from distiller.progress import Progress, checkpoint_state, fresh, restore
from distiller.session import Session, open_session
from distiller.train_step import train_step
from distiller.training_data import EvaluationSet

WEIGHTS = "student.safetensors"
CARD = "card.json"
CONFUSION = "confusion.json"


@dataclass(frozen=True)
class Event:
    """Something that `distill` tells its caller while it runs.

    Attributes:
        kind: loading (data and networks), start (values: images, unusable, resumed_from), train
            (a line of metrics), eval, checkpoint, warning, done.
        step: updates done.
        steps: updates of the whole run.
        values: figures by name.
        message: one line for a human.
    """

    kind: Literal["loading", "start", "train", "eval", "checkpoint", "warning", "done"]
    step: int
    steps: int
    values: Mapping[str, float] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True)
class DistillResult:
    """A finished run.

    Attributes:
        out: its folder.
        steps: updates of the student.
        metrics: of the last step: training figures, and with data.eval accuracy with interval.
        student_weights: path of the last step's weights (safetensors).
        card: content of card.json.
    """

    out: Path
    steps: int
    metrics: dict[str, float]
    student_weights: Path
    card: dict[str, Any]


def distill(
    config: DistillConfig, *, on_event: Callable[[Event], None] | None = None
) -> DistillResult:
    """Train a student as `config` says; the weights of the LAST step are the result.

    Run again after any interruption, it continues from the last checkpoint, on the CPU bit by bit
    as if nothing had happened; run again after the end, it returns what is there.

    Args:
        config: from `load_config`, or built in Python.
        on_event: called with every `Event`, in the thread that trains.

    Raises:
        UsageError: the configuration does not fit its files, or `out` holds another run.
        DivergedError: the loss is not finite.
        CoursepackError: data or folder cannot be used.
    """
    tell = on_event or (lambda event: None)
    check_formats(config.export)
    out, device = Path(config.out), pick_device(config.device)
    with lock_folder(out), _torch_settings(config.threads, device) as threads:
        tell(Event("loading", 0, config.steps, message="loading the teacher and the shards' index"))
        inputs = open_inputs(config, device=device, threads=threads)
        identity = inputs.identity()
        card = read_card(out / CARD)
        if card is not None:
            check_same_run(card["identity"], identity, where=str(out))
            return _result(out, card)
        state, warnings = load_newest_checkpoint(out / "checkpoints")
        if state is not None:
            check_same_run(state["identity"], identity, where=str(out))
        decoding = f"decoding {len(inputs.train_index):,} images"
        tell(Event("loading", 0, config.steps, message=decoding))
        session = open_session(inputs, state=state)
        progress = restore(session, state) if state is not None else fresh(session)
        progress.warnings = list(dict.fromkeys([*progress.warnings, *warnings, *session.warnings]))
        for warning in progress.warnings:
            tell(Event("warning", progress.step, config.steps, message=warning))
        with MetricsLog(out, step=progress.step) as log:
            _train(session, progress, identity, out=out, log=log, tell=tell)
        return _finish(session, progress, identity, out=out, tell=tell)


def _train(
    session: Session,
    progress: Progress,
    identity: Mapping[str, Any],
    *,
    out: Path,
    log: MetricsLog,
    tell: Callable[[Event], None],
) -> None:
    """Run the missing steps. Per step: update, line of metrics, evaluation, checkpoint: in this
    order, so a checkpoint holds all that was said about its step."""
    config, train = session.config, session.train
    values = {
        "images": len(train.index),
        "unusable": train.images.bad.counts.total(),
        "resumed_from": progress.step,
    }
    tell(Event("start", progress.step, config.steps, values))
    clock = Clock(progress.seconds)

    def on_choice(step: int, figures: Mapping[str, float]) -> None:
        log.write("reselect", step, figures)
        clock.skip()

    with closing(_batches(session, start=progress.step, on_choice=on_choice)) as batches:
        for step, batch in enumerate(batches, start=progress.step):
            progress.add(train_step(session, batch, step=step, folder=out))
            clock.count(len(batch.indices_B))
            done, last = progress.step, progress.step == config.steps
            if done % config.log_every == 0 or last:
                line = progress.close_window()
                line |= {"lr": learning_rate(session.optimizer), "images_per_s": clock.rate()}
                progress.metrics |= {f"train_{name}": value for name, value in line.items()}
                log.write("train", done, line)
                tell(Event("train", done, config.steps, line))
            if session.evaluation is not None and (done % config.eval_every == 0 or last):
                evaluation = _evaluate(session, session.evaluation, with_teacher=last)
                figures = evaluation.figures
                progress.metrics |= figures
                if last:
                    write_confusion(out / CONFUSION, evaluation)
                log.write("eval", done, figures)
                tell(Event("eval", done, config.steps, figures))
                clock.skip()
            if done % config.checkpoint_every == 0 or last:
                progress.seconds = clock.seconds()
                path = save_checkpoint(
                    out / "checkpoints", done, checkpoint_state(session, progress, identity)
                )
                tell(Event("checkpoint", done, config.steps, message=str(path)))
                clock.skip()


def _batches(
    session: Session, *, start: int, on_choice: Callable[[int, Mapping[str, float]], None]
) -> Generator[ImageBatch, None, None]:
    """The batches of the steps that are missing.

    Where images are chosen anew, a set that reads ahead must not read past the next choice.
    """
    reselection, steps = session.reselection, session.config.steps
    while start < steps:
        stop = steps
        if reselection is not None:
            stop = reselection.next_stop(start)
            with _evaluating(session.student):
                figures = reselection.choose(start, _logits(session, session.student))
            if figures:
                on_choice(start, figures)
        order = _order(session, start=start, stop=stop)
        with closing(session.train.images.batches(order)) as batches:
            yield from batches
        start = stop


def _order(session: Session, *, start: int, stop: int) -> Iterator[Tensor]:
    """Image indices of the steps start <= step < stop."""
    config, train, reselection = session.config, session.train, session.reselection
    if config.data.labelled_share is not None:
        yield from mixed_batches(
            train.images.num_images - train.num_labelled,
            train.num_labelled,
            labelled_share=config.data.labelled_share,
            batch_size=config.batch_size,
            start=start,
            stop=stop,
            seed=config.seed,
        )
        return
    subset = None if reselection is None else reselection.subset_n
    for indices_B in index_batches(
        train.images.num_images if subset is None else len(subset),
        batch_size=config.batch_size,
        start=start,
        stop=stop,
        seed=config.seed,
    ):
        yield indices_B if subset is None else subset[indices_B]


def _finish(
    session: Session,
    progress: Progress,
    identity: Mapping[str, Any],
    *,
    out: Path,
    tell: Callable[[Event], None],
) -> DistillResult:
    digest = write_student(session, out / WEIGHTS)
    portable = write_portable(
        session.result, session.config.export, out, input_size=session.preprocessing.input_size
    )
    transition = session.objective.transition
    if transition is not None and progress.transition_start_CC is not None:
        write_transition(
            out / "transition.safetensors",
            start_CC=progress.transition_start_CC,
            end_CC=transition(),
        )
    card = build_card(
        session,
        identity=identity,
        metrics=progress.metrics,
        seconds=progress.seconds,
        weights_sha256=digest,
        portable=portable,
        warnings=tuple(progress.warnings),
    )
    write_card(out / CARD, card)
    result = _result(out, card)
    tell(Event("done", result.steps, result.steps, result.metrics, message=str(out / CARD)))
    return result


def _evaluate(session: Session, evaluation: EvaluationSet, *, with_teacher: bool) -> Evaluation:
    """Accuracy on data.eval; the teacher, which does not change, is asked at the end alone."""
    teacher, network = session.teacher if with_teacher else None, session.result
    with _evaluating(network):
        return evaluate(
            _logits(session, network),
            labelled_batches(
                evaluation.images, evaluation.labels_N, batch_size=session.config.batch_size
            ),
            teacher_fn=None if teacher is None else teacher.logits,
        )


def _logits(session: Session, network: nn.Module) -> Callable[[Tensor], Tensor]:
    """uint8 batch -> logits of a student."""

    def logits(images_BCSS: Tensor) -> Tensor:
        logits_BC: Tensor = network(session.preprocessing.normalize(images_BCSS))
        return logits_BC

    return logits


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode inside the block."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _result(out: Path, card: dict[str, Any]) -> DistillResult:
    return DistillResult(
        out=out,
        steps=card["steps"],
        metrics=card["metrics"],
        student_weights=out / WEIGHTS,
        card=card,
    )


@contextmanager
def _torch_settings(threads: int | None, device: torch.device) -> Iterator[int]:
    """Threads and global generators of torch are the run's own inside the block."""
    before = torch.get_num_threads()
    cuda_devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda_devices):
        try:
            if threads is not None:
                torch.set_num_threads(threads)
            yield torch.get_num_threads()
        finally:
            torch.set_num_threads(before)

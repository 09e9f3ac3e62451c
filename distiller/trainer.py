"""Training a student from start, or from where it was killed, to its card.

Legend: B = batch, C = channels or classes, S = image side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

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
from distiller.folder_lock import lock_folder
from distiller.identity import check_same_run
from distiller.inputs import open_inputs, pick_device
from distiller.measure import measure
from distiller.metrics import Log, MetricsLog
from distiller.optimizer import learning_rate
from distiller.portable import check_formats, write_portable
from distiller.progress import Progress, checkpoint_state, fresh, restore
from distiller.run_batches import run_batches
from distiller.session import Session, open_session
from distiller.team import Team, current_team
from distiller.train_step import train_step
from selector.memory import keep_memory_between_batches
from shards.errors import UsageError

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
    team = current_team()
    if team.size != config.workers:
        raise UsageError(
            f"workers is {config.workers}, but {team.size} process(es) train; start the run with "
            "`coursepack distill`, which starts as many"
        )
    tell = on_event if on_event is not None and team.leads else _silent
    check_formats(config.export)
    out, device = Path(config.out), pick_device(config.device)
    held = lock_folder(out) if team.leads else nullcontext()
    with held, _torch_settings(config.threads, device) as threads:
        tell(Event("loading", 0, config.steps, message="loading the teacher and the shards' index"))
        inputs = open_inputs(config, device=device, threads=threads)
        identity = inputs.identity()
        card = read_card(out / CARD)
        if card is not None:
            check_same_run(card["identity"], identity, where=str(out))
            return _result(out, card)
        team.wait()  # everybody has seen that there is no card yet
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
        with _metrics_log(out, progress.step, team) as log:
            _train(session, progress, identity, out=out, log=log, tell=tell)
        return _finish(session, progress, identity, out=out, tell=tell)


class _NoLog:
    """The diary of the processes that only help."""

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        return


@contextmanager
def _metrics_log(out: Path, step: int, team: Team) -> Iterator[Log]:
    if not team.leads:
        yield _NoLog()
        return
    with MetricsLog(out, step=step) as log:
        yield log


def _silent(event: Event) -> None:
    """What a caller is told who does not listen."""


def _train(
    session: Session,
    progress: Progress,
    identity: Mapping[str, Any],
    *,
    out: Path,
    log: Log,
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

    with closing(run_batches(session, start=progress.step, on_choice=on_choice)) as batches:
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
            evaluates = session.evaluation is not None and (done % config.eval_every == 0 or last)
            saves = done % config.checkpoint_every == 0 or last
            if evaluates or saves:
                session.team.average_statistics_(session.student)
            if evaluates and session.evaluation is not None and session.team.leads:
                evaluation = measure(session, session.evaluation, with_teacher=last)
                figures = evaluation.figures
                progress.metrics |= figures
                if last:
                    write_confusion(out / CONFUSION, evaluation)
                log.write("eval", done, figures)
                tell(Event("eval", done, config.steps, figures))
                clock.skip()
            if saves:
                session.team.wait()  # for the one who evaluates
            if saves and session.team.leads:
                progress.seconds = clock.seconds()
                path = save_checkpoint(
                    out / "checkpoints", done, checkpoint_state(session, progress, identity)
                )
                tell(Event("checkpoint", done, config.steps, message=str(path)))
                clock.skip()


def _finish(
    session: Session,
    progress: Progress,
    identity: Mapping[str, Any],
    *,
    out: Path,
    tell: Callable[[Event], None],
) -> DistillResult:
    if not session.team.leads:
        session.team.wait()  # until the card is there
        card = read_card(out / CARD)
        assert card is not None
        return _result(out, card)
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
    session.team.wait()
    result = _result(out, card)
    tell(Event("done", result.steps, result.steps, result.metrics, message=str(out / CARD)))
    return result


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
            keep_memory_between_batches()
            yield torch.get_num_threads()
        finally:
            torch.set_num_threads(before)

"""How far a run is, and how that goes into a checkpoint and comes out again.

Legend: C = classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from distiller.session import Session
from shards.errors import CoursepackError


@dataclass
class Progress:
    """What changes while a run goes on, besides networks and optimizers.

    Attributes:
        step: updates done.
        seconds: of training so far, over all continuations.
        window: sums of each figure since the last line of metrics. They are part of a checkpoint,
            so lines of metrics do not hang on where a run was killed.
        window_steps: how many steps are in these sums.
        metrics: the latest figures, by name.
        warnings: all that the user was told.
        transition_start_CC: the initial Q, where there is one.
    """

    step: int = 0
    seconds: float = 0.0
    window: dict[str, float] = field(default_factory=dict)
    window_steps: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    transition_start_CC: Tensor | None = None

    def add(self, values: Mapping[str, float]) -> None:
        """Take in the figures of one more update."""
        self.step += 1
        self.window_steps += 1
        for name, value in values.items():
            self.window[name] = self.window.get(name, 0.0) + value

    def close_window(self) -> dict[str, float]:
        """Means since the last call; the sums start anew."""
        means = {name: total / self.window_steps for name, total in self.window.items()}
        self.window, self.window_steps = {}, 0
        return means


def fresh(session: Session) -> Progress:
    """The progress of a run that starts."""
    transition = session.objective.transition
    start_CC = None if transition is None else transition().detach().clone()
    return Progress(transition_start_CC=start_CC)


def checkpoint_state(
    session: Session, progress: Progress, identity: Mapping[str, Any]
) -> dict[str, Any]:
    """Tensors and plain values from which `restore` continues bit by bit.

    There are no generators among them: every random number is derived from (seed, step). The
    unusable images met so far are, so that a set read on demand counts each of them once.
    """
    transition, optimizer = session.objective.transition, session.transition_optimizer
    return {
        "identity": dict(identity),
        "unusable": dict(session.train.images.bad.status_of),
        "progress": dict(vars(progress)),
        "student": session.student.state_dict(),
        "average": None if session.average is None else session.average.state_dict(),
        "optimizer": session.optimizer.state_dict(),
        "hints": None if session.hints is None else session.hints.state_dict(),
        "transition": None if transition is None else transition.state_dict(),
        "robust": None if session.robust is None else session.robust.state(),
        "reselection": None if session.reselection is None else session.reselection.state(),
        "transition_optimizer": None if optimizer is None else optimizer.state_dict(),
    }


def restore(session: Session, state: Mapping[str, Any]) -> Progress:
    """Put networks and optimizers into the state of a checkpoint and return how far that is.

    Raises:
        CoursepackError: the checkpoint does not fit the networks.
    """
    transition, optimizer = session.objective.transition, session.transition_optimizer
    try:
        session.student.load_state_dict(state["student"])
        if session.average is not None:
            session.average.load_state_dict(state["average"])
        session.optimizer.load_state_dict(state["optimizer"])
        if session.hints is not None:
            session.hints.load_state_dict(state["hints"])
        if session.reselection is not None:
            session.reselection.restore(state["reselection"])
        if transition is not None:
            transition.load_state_dict(state["transition"])
        if optimizer is not None:
            optimizer.load_state_dict(state["transition_optimizer"])
        for image, status in state["unusable"].items():
            session.train.images.bad.add_image(
                image, status, example=session.train.index.describe(image)
            )
        return Progress(**state["progress"])
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise CoursepackError(
            f"the checkpoint of step {state.get('step')} does not fit this run ({error}); it was "
            "written by another version: give another out to start over"
        ) from error

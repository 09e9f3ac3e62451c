"""The student as something that answers images, and how good it is on data.eval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from distiller.evaluate import Evaluation, evaluate, labelled_batches
from distiller.session import Session
from distiller.training_data import EvaluationSet


def measure(session: Session, evaluation: EvaluationSet, *, with_teacher: bool) -> Evaluation:
    """Accuracy on data.eval; the teacher, which does not change, is asked at the end alone."""
    teacher, network = session.teacher if with_teacher else None, session.result
    with evaluating(network):
        return evaluate(
            student_logits(session, network),
            labelled_batches(
                evaluation.images, evaluation.labels_N, batch_size=session.config.batch_size
            ),
            teacher_fn=None if teacher is None else teacher.logits,
        )


def student_logits(session: Session, network: nn.Module) -> Callable[[Tensor], Tensor]:
    """uint8 batch -> logits of a student."""

    def logits(images_BCSS: Tensor) -> Tensor:
        logits_BC: Tensor = network(session.preprocessing.normalize(images_BCSS))
        return logits_BC

    return logits


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode inside the block."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)

"""One update of the student, and with it of Q and of what hints learn."""

from __future__ import annotations

from pathlib import Path

import torch

from distiller.data.image_batch import ImageBatch
from distiller.divergence import stop_if_not_finite
from distiller.optimizer import parameters_of, set_learning_rate
from distiller.randomness import Purpose, torch_seed
from distiller.schedule import learning_rate_factor
from distiller.session import Session


def train_step(session: Session, batch: ImageBatch, *, step: int, folder: Path) -> dict[str, float]:
    """Update the student on one batch.

    Everything random hangs on (seed, step) alone. The order is: one view; teacher
    without gradient; the one normalisation; student; loss; gradient; a check that both are finite;
    update.

    Args:
        session: of the run; its student is in training mode.
        batch: images of this step.
        step: number of the update, from 0.
        folder: where a batch with a loss or gradient that is not finite is saved.

    Returns:
        loss, its unweighted parts as loss_NAME, its further figures, gradient_norm (before
        clipping), and with a teacher `agreement`: the share of the batch's views where both
        networks name the same class.

    Raises:
        DivergedError: loss or gradient is not finite; no weight was changed.
    """
    config, train = session.config, session.train
    factor = learning_rate_factor(step, steps=config.steps, options=config.schedule)
    set_learning_rate(session.optimizer, config.optimizer.lr * factor)
    # Of the batch of all processes, this one computes its rows: B is their number from here on.
    rows = session.team.rows(len(batch.indices_B))
    indices_B = batch.indices_B[rows]
    view_BCSS, teacher_logits_BC, teacher_maps = session.views(batch, step=step, rows=rows)
    inputs_BCSS = session.preprocessing.normalize(view_BCSS)
    # Dropout and the like draw from torch's global generator; the run has its own copy of it.
    torch.manual_seed(torch_seed(config.seed, Purpose.LAYERS, step))
    with torch.autocast(session.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        student_logits_BC, student_maps = session.answer(inputs_BCSS)
    student_logits_BC = student_logits_BC.float()
    labels_N, weights_N = train.labels_N, train.weights_N
    weights_B = None if weights_N is None else weights_N[indices_B].to(session.device)
    loss = session.objective(
        student_logits_BC,
        teacher_logits_NC=teacher_logits_BC,
        labels_N=None if labels_N is None else labels_N[indices_B].to(session.device),
        weights_N=weights_B,
        step=step,
    )
    if session.hints is not None:
        loss = loss.plus(*session.hints(student_maps, teacher_maps, weights_N=weights_B))
    evidence = {
        "indices": indices_B,
        "views": view_BCSS,
        "student_logits": student_logits_BC,
        "teacher_logits": teacher_logits_BC,
    }
    stop_if_not_finite(loss, step=step, folder=folder, evidence=evidence, team=session.team)
    optimizers = [session.optimizer]
    if session.transition_optimizer is not None:
        optimizers.append(session.transition_optimizer)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.total.backward()
    for optimizer in optimizers:
        session.team.average_([p.grad for p in parameters_of(optimizer) if p.grad is not None])
    # Without a limit nothing is scaled, but the norm still tells a gradient that is not finite.
    limit = config.optimizer.clip_norm or float("inf")
    norm = torch.nn.utils.clip_grad_norm_(parameters_of(session.optimizer), limit)
    stop_if_not_finite(
        loss, step=step, folder=folder, evidence=evidence, gradient_norm=norm, team=session.team
    )
    for optimizer in optimizers:
        optimizer.step()
    if session.average is not None:
        session.average.update_parameters(session.student)
    values = {"loss": float(loss.total.detach()), "gradient_norm": float(norm)}
    values |= {f"loss_{name}": float(value) for name, value in loss.parts.items()}
    values |= {name: float(value) for name, value in loss.figures.items()}
    if teacher_logits_BC is not None:
        same_B = student_logits_BC.argmax(dim=1) == teacher_logits_BC.argmax(dim=1)
        values["agreement"] = float(same_B.float().mean())
    return _averaged(values, session)


def _averaged(values: dict[str, float], session: Session) -> dict[str, float]:
    """Figures of the whole batch: the mean over the processes' equal shares."""
    if session.team.size == 1:
        return values
    means = torch.tensor(list(values.values()), dtype=torch.float64, device=session.device)
    session.team.average_([means])
    return dict(zip(values, means.tolist(), strict=True))

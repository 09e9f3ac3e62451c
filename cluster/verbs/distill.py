"""`distill`: train a student from a configuration; continues by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.config import load_config
from cluster.out_folder import refuse_job_folder
from cluster.progress import OnProgress, Progress
from cluster.train_together import train_together
from distiller import trainer
from distiller.config import DistillConfig
from distiller.trainer import DistillResult, Event


def distill(
    config: str | Mapping[str, Any] | DistillConfig,
    *,
    overrides: Mapping[str, Any] | None = None,
    address: str | None = None,
    on_progress: OnProgress | None = None,
) -> DistillResult:
    """Train the student that `config` describes; the weights of its last step are the result.

    Calling it again continues a training that was stopped, and returns what is there after its
    end.

    Args:
        config: A YAML file, its content, or the configuration itself.
        overrides: Dotted path -> value, in place of what the file says (not with a
            `DistillConfig`, which is complete).
        address: Ray cluster that starts the workers where the configuration asks for several;
            None = a private one on this machine.
        on_progress: Called now and then from this thread, in steps.

    Raises:
        UsageError: a wrong configuration; the folder holds another run.
        CoursepackError: data or folder cannot be used, the loss is not finite.
    """
    if not isinstance(config, DistillConfig):
        config = load_config(DistillConfig, config, overrides=overrides)
    refuse_job_folder(config.out)
    batch_size, start = config.batch_size, 0

    def on_event(event: Event) -> None:
        nonlocal start
        if event.kind == "start":
            start = event.step
        if on_progress is not None:
            images = (event.step - start) * batch_size
            on_progress(
                Progress(event.step, event.steps, unit="steps", images=images, note=_note(event))
            )

    if config.workers > 1:
        return train_together(config, address=address, on_event=on_event)
    return trainer.distill(config, on_event=on_event)


def _note(event: Event) -> str:
    """What is worth a line of its own: warnings, evaluations, and what it is waiting for."""
    if event.kind == "warning":
        return f"warning: {event.message}"
    if event.kind == "eval":
        figures = ", ".join(f"{name} {value:.4g}" for name, value in event.values.items())
        return f"step {event.step:,}: {figures}"
    if event.kind == "start" and event.step:
        return f"continues at step {event.step:,} of {event.steps:,}"
    return event.message if event.kind == "loading" else ""

"""What a finished run leaves: the student's weights, Q, and a card that says where they come from.

The card is written last, so its presence means that the run is complete.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from distiller.evaluate import Evaluation
from distiller.session import Session
from shards import atomic
from shards.errors import CoursepackError

CARD_FORMAT = 1


def write_student(session: Session, path: Path) -> str:
    """Write the student's tensors as safetensors; returns their sha256.

    The file's metadata (key `coursepack`, JSON) carry architecture, classes and preprocessing, so
    it can be used, also as a teacher, without the card.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in session.result.state_dict().items()
    }
    about = {
        "name": session.config.student.name,
        "num_classes": session.num_classes,
        "preprocessing": session.preprocessing.to_dict(),
    }
    # One key, because safetensors writes several in random order: equal runs, equal bytes.
    data = safetensors.torch.save(tensors, {"coursepack": json.dumps(about, sort_keys=True)})
    atomic.write_bytes(str(path), data)
    return hashlib.sha256(data).hexdigest()


def write_transition(path: Path, *, start_CC: Tensor, end_CC: Tensor) -> None:
    """Write Q before and after training; Q[i, j] = P(pseudo-label = i | true class = j)."""
    tensors = {"start": start_CC.cpu().contiguous(), "end": end_CC.detach().cpu().contiguous()}
    atomic.write_bytes(str(path), safetensors.torch.save(tensors))


def write_confusion(path: Path, evaluation: Evaluation) -> None:
    """Write accuracy by class and the counts behind it: rows are labels, columns predictions."""
    content = {
        "per_class_accuracy": evaluation.per_class(),
        "confusion": evaluation.confusion_CC.tolist(),
    }
    atomic.write_bytes(str(path), (json.dumps(content) + "\n").encode())


def build_card(
    session: Session,
    *,
    identity: Mapping[str, Any],
    metrics: Mapping[str, float],
    seconds: float,
    weights_sha256: str,
    portable: Mapping[str, Any],
    warnings: tuple[str, ...],
) -> dict[str, Any]:
    """The card as a dictionary of plain values.

    Args:
        session: of the run.
        identity: from `distiller.identity.run_identity`; compared when the run is asked for again.
        metrics: of the last step.
        seconds: of training, over all continuations of the run, without loading.
        weights_sha256: of student.safetensors.
        portable: further files of the student by format, see `distiller.portable`.
        warnings: all that the user was told.
    """
    config, train, teacher = session.config, session.train, session.teacher
    evaluation = session.evaluation
    return {
        "card_format": CARD_FORMAT,
        "student": {
            "name": config.student.name,
            "num_classes": session.num_classes,
            "weights": "student.safetensors",
            "sha256": weights_sha256,
            "exports": dict(portable),
            "preprocessing": session.preprocessing.to_dict(),
        },
        "teacher": None
        if teacher is None
        else {"name": teacher.name, "fingerprint": teacher.fingerprint},
        "data": {
            "train": list(config.data.train),
            "fingerprint": train.index.fingerprint,
            "labelled": None if config.data.labelled is None else list(config.data.labelled),
            "images": len(train.index),
            "labelled_images": train.num_labelled,
            "unusable": dict(sorted(train.images.bad.counts.items())),
            "exports": [] if train.lineage is None else list(train.lineage.exports),
            "weighted": train.weights_N is not None,
            "eval": None if config.data.eval is None else list(config.data.eval),
            "breaks": [*train.index.breaks, *(evaluation.index.breaks if evaluation else ())],
        },
        "hints": None if session.hints is None else session.hints.facts(),
        "class_weights": None if session.robust is None else session.robust.facts(),
        "metrics": dict(metrics),
        "steps": config.steps,
        "samples_seen": config.steps * config.batch_size,
        "seconds": round(seconds, 3),
        "recipe": config.recipe,
        "config": config.model_dump(mode="json"),
        "identity": dict(identity),
        "versions": _versions(),
        "hardware": _hardware(session.device),
        "warnings": list(warnings),
    }


def write_card(path: Path, card: Mapping[str, Any]) -> None:
    """Write the card as indented JSON."""
    atomic.write_bytes(str(path), (json.dumps(card, indent=2) + "\n").encode())


def read_card(path: Path) -> dict[str, Any] | None:
    """The card of a finished run, or None when there is none.

    Raises:
        CoursepackError: the file is no card of this format.
    """
    if not path.exists():
        return None
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = card["card_format"]
    except (ValueError, KeyError, TypeError) as error:
        raise CoursepackError(f"{path} is no card of a run; remove it or give another out") from (
            error
        )
    if found != CARD_FORMAT:
        raise CoursepackError(
            f"{path} has card format {found}, expected {CARD_FORMAT}; it was written by another "
            "version of coursepack"
        )
    return card


def _versions() -> dict[str, str]:
    try:
        own = version("coursepack")
    except PackageNotFoundError:
        own = "unknown (not installed)"
    return {"coursepack": own, "torch": torch.__version__, "python": platform.python_version()}


def _hardware(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"device": str(device), "name": name, "threads": torch.get_num_threads()}

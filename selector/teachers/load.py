"""From the name of a teacher to a network that runs: source, checks, fingerprint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from selector.teachers.class_names import read_class_names
from selector.teachers.preprocess import Preprocessing
from selector.teachers.probe import probe_num_classes
from selector.teachers.sources import Source, read_source
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError

__all__ = ["Teacher", "TeacherSpec", "load_teacher"]


@dataclass(frozen=True, eq=False)
class Teacher:
    """A network ready to answer.

    Attributes:
        name: as in the spec.
        module: in eval mode, without gradients; normalised floats (N, C, S, S) -> logits (N, K).
        preprocessing: how its input is made.
        num_classes: K.
        class_names: K names, or None.
        fingerprint: SHA-256 (hex) of sorted tensor names, shapes and bytes, architecture and
            preprocessing; equal for equal weights whatever file they came in.
        device: where the module lives.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    num_classes: int
    class_names: list[str] | None
    fingerprint: str
    device: str = "cpu"

    @torch.no_grad()
    def logits(self, batch_NCHW: Tensor) -> Tensor:
        """Logits (N, K) float32 of a uint8 batch, or of floats in 0..255, (N, C, S, S)."""
        return self.module(self.preprocessing.normalize(batch_NCHW.to(self.device))).float()


def load_teacher(spec: TeacherSpec, *, device: str = "cpu") -> Teacher:
    """Build the network, load its weights, and run it once on made-up images.

    Raises:
        UsageError: an unknown name; weights that are missing, unreadable or of another
            architecture (the first mismatches named); an output that is not (N, C) finite logits;
            class names of another count; code without `allow_code`; a missing package.
        StorageError: a file cannot be read.
    """
    source = read_source(spec, device=device)
    module = source.module.eval().requires_grad_(False).to(device)
    _check_input(spec.name, source)
    num_classes = probe_num_classes(module, source.preprocessing, name=spec.name, device=device)
    expected = spec.num_classes or source.num_classes
    if expected is not None and expected != num_classes:
        raise UsageError(
            f"{spec.name} answers with {num_classes} classes, num_classes says {expected}"
        )
    names = None if spec.class_names is None else read_class_names(spec.class_names)
    if names is not None and len(names) != num_classes:
        raise UsageError(
            f"{spec.class_names} has {len(names)} class names, {spec.name} has {num_classes} "
            "classes; one name a line, in the order of the logits"
        )
    # A file is what its bytes are, wherever it lies.
    architecture = "file" if spec.name.startswith("file:") else spec.name
    parts = (source.digest, architecture, source.preprocessing.fingerprint())
    return Teacher(
        name=spec.name,
        module=module,
        preprocessing=source.preprocessing,
        num_classes=num_classes,
        class_names=names,
        fingerprint=hashlib.sha256("\0".join(parts).encode()).hexdigest(),
        device=device,
    )


def _check_input(name: str, source: Source) -> None:
    wanted = source.input_shape[1:]
    made = source.preprocessing.input_size
    if any(want not in (None, have) for want, have in zip(wanted, made, strict=True)):
        shape = " x ".join("any" if side is None else str(side) for side in wanted)
        raise UsageError(
            f"{name} reads images of {shape} (channels x height x width), its preprocessing makes "
            f"{' x '.join(map(str, made))}; set channels, mean, std, resize and crop in "
            "`preprocessing`"
        )

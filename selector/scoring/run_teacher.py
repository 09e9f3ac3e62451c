"""The teacher that scored a run, found again from what the run says about itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from selector.scoring.spec import ScoreSpec, views_of
from selector.tables.layout import RunLayout
from selector.tables.run_files import read_json
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.open_runtime import runtime_of
from selector.teachers.spec import TeacherSpec
from shards import storage
from shards.errors import StorageError, UsageError
from shards.limits import DecodeLimits


@dataclass(frozen=True)
class RunTeacher:
    """How a run was scored.

    Attributes:
        spec: teacher, preprocessing, limits.
        fingerprint: of the teacher.
        batch_size, device: of the forward passes.
    """

    spec: ScoreSpec
    fingerprint: str
    batch_size: int
    device: str

    def load(self, *, device: str = "cpu") -> Teacher:
        """The network itself.

        Raises:
            UsageError: other weights than the run was scored with; as `load_teacher`.
        """
        teacher = load_teacher(self.spec.teacher_spec, device=device)
        if teacher.fingerprint != self.fingerprint:
            raise UsageError(
                f"{self.spec.teacher.name} with weights {self.spec.teacher.weights} has the "
                f"fingerprint {teacher.fingerprint[:12]}, the run was scored with "
                f"{self.fingerprint[:12]}: its features would not compare; give the weights that "
                "it was scored with"
            )
        return teacher


def teacher_of_run(
    layout: RunLayout, *, weights: str | None = None, allow_code: bool = False
) -> RunTeacher:
    """Read teacher, preprocessing and limits of a run.

    Args:
        weights: where they are now, if not where they were.
        allow_code: as in `TeacherSpec`, for a run that was scored with it.

    Raises:
        UsageError: no run.
        StorageError: its files are damaged.
    """
    if not storage.exists(layout.config):
        raise UsageError(f"{layout.root} is no run: it has no config.yaml")
    cure = "restore it"
    try:
        config: Any = yaml.safe_load(storage.read_bytes(layout.config))
        semantic, execution = config["semantic"], config["execution"]
        known = read_json(layout.provenance, cure=cure)["teacher"]
        spec = ScoreSpec(
            teacher=TeacherSpec(
                name=known["name"],
                weights=weights if weights is not None else known["weights"],
                num_classes=semantic["num_classes"],
                preprocessing=json.loads(json.dumps(semantic["preprocessing"])),
                allow_code=allow_code,
            ),
            image_ext=tuple(semantic["image_ext"]),
            limits=DecodeLimits(**semantic["limits"]),
            runtime=runtime_of(semantic["runtime"]),
            views=views_of(semantic),
        )
        return RunTeacher(
            spec, semantic["teacher_fingerprint"], execution["batch_size"], execution["device"]
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{layout.config} or {layout.provenance} does not say how the run was scored "
            f"({error}); {cure}"
        ) from error

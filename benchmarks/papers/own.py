"""A track of one's own: teacher, pool and test shards named by a YAML file.

    python -m benchmarks.papers dfnd --track mine.yaml --work DIR

    title: my student taught by my teacher; pool: my pool
    teacher: {name: torchvision/resnet34, weights: t.safetensors, num_classes: 100}
    student: torchvision/resnet18
    pool: pool/
    test: test/                   # labelled shards
    num_selected: 50000
    training: {steps: 20000, batch_size: 256, optimizer: {kind: sgd, lr: 0.1}}

Arms that need what the file does not name (`real` images, the pool's `truth`) are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.papers.track import Places, Track
from selector.strict_yaml import parse_mapping
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError


class OwnTrack(BaseModel):
    """What the file may say; a key that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    title: str
    """Pool, teacher and student in words: it stands beside every number."""
    teacher: TeacherSpec
    student: str
    pool: str
    test: str
    """Labelled shards that accuracy is measured on."""
    validation: str | None = None
    """Labelled shards for `--validate`."""
    real: str | None = None
    """Labelled shards of the teacher's own kind of images: for the arms that train on them, and
    for labelled images of PU."""
    truth: dict[str, Any] | None = None
    """Arguments of `coursepack truth`: member, field, mapping."""
    true_share: float | None = Field(default=None, gt=0, lt=1)
    """Of the pool, that is of the teacher's classes; null = PU fits estimate it."""
    num_classes: int = Field(ge=2)
    num_selected: int = Field(ge=1)
    training: dict[str, Any]
    """Fields of a distill.yaml that all arms share; steps and batch_size at least."""
    device: str = "cpu"
    threads: int = Field(default=1, ge=1)


def own_track(path: Path) -> Track:
    """The track of a file.

    Raises:
        UsageError: the file cannot be read, or says something else than the fields above.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--track {path}: {error.strerror}; give tiny, small, full or a YAML file"
        ) from error
    try:
        asked = OwnTrack.model_validate(parse_mapping(text, where=str(path)))
    except ValidationError as error:
        problems = "\n".join(
            f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        )
        raise UsageError(problems) from error
    for name in ("steps", "batch_size"):
        if name not in asked.training:
            raise UsageError(f"{path}: training.{name} is missing; expected a number")

    def prepare(work: Path, measured: str) -> Places:
        test = asked.test if measured == "test" else asked.validation
        if test is None:
            raise UsageError(f"{path} names no validation shards, which --validate measures on")
        return Places(
            pool=asked.pool,
            real=asked.real,
            test=test,
            teacher=asked.teacher.model_dump(exclude_none=True, exclude={"allow_code"})
            | {"num_classes": asked.num_classes},
            truth=asked.truth,
            device=asked.device,
            threads=asked.threads,
        )

    return Track(
        name="own",
        title=asked.title,
        prepare=prepare,
        student=asked.student,
        num_selected=asked.num_selected,
        num_classes=asked.num_classes,
        training={"augment": {}, **asked.training},
        true_share=asked.true_share,
        identity={"pool": asked.pool, "teacher": asked.teacher.weights, "test": asked.test},
    )

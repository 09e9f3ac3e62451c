"""What is computed for every image: the half of the configuration that scores depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, field_validator

from selector.tables.schema import SCHEMA_VERSION
from selector.teachers.spec import RuntimeName, TeacherSpec, ViewsName
from shards.limits import DEFAULT_LIMITS, DecodeLimits
from shards.sample import IMAGE_EXTENSIONS

if TYPE_CHECKING:  # a config file is read and checked without loading torch
    from selector.teachers.load import Teacher


LEFT_OUT = {"views": "one"}
"""Values that a semantic dict leaves out: runs from before there was a choice must go on."""


class ScoreSpec(BaseModel):
    """Teacher, choice of the image in a sample, and limits; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: TeacherSpec
    image_ext: tuple[str, ...] | None = None
    """Which member of a sample is its image: the first of these extensions; None = the usual."""
    limits: DecodeLimits = DEFAULT_LIMITS
    """Images beyond these become rows with status too_large."""
    preprocessing: dict[str, Any] | None = None
    """Fields of the preprocessing to change, over those that the teacher's own spec changes."""
    runtime: RuntimeName | Literal["auto"] = "eager"
    """How the network is run; auto = whichever a short probe finds fastest, kept by the run."""
    views: ViewsName = "one"
    """Over which views of an image the teacher's probabilities are averaged."""

    @field_validator("image_ext")
    @classmethod
    def _plain_extensions(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is None:
            return None
        extensions = tuple(extension.lower().lstrip(".") for extension in value)
        if not extensions or not all(extensions):
            raise ValueError("expected at least one extension, such as jpg")
        return extensions

    @property
    def image_extensions(self) -> tuple[str, ...]:
        """The extensions that hold, in order of preference."""
        return IMAGE_EXTENSIONS if self.image_ext is None else self.image_ext

    @property
    def teacher_spec(self) -> TeacherSpec:
        """The teacher with the preprocessing of this spec laid over its own."""
        if self.preprocessing is None:
            return self.teacher
        merged = {**(self.teacher.preprocessing or {}), **self.preprocessing}
        return self.teacher.model_copy(update={"preprocessing": merged})


def semantic_dict(spec: ScoreSpec, teacher: Teacher, *, device: str = "cpu") -> dict[str, Any]:
    """Everything that decides the values in a scores table, as plain JSON values.

    Two runs whose dicts are equal may share a table. Paths are not in it: the same weights from
    another place are the same teacher.

    Args:
        spec: its runtime is chosen: no longer `auto`.
        device: that the scores are computed on.
    """
    from selector.teachers.open_runtime import recorded_name

    assert spec.runtime != "auto"
    values: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "teacher": "file" if teacher.name.startswith("file:") else teacher.name,
        "teacher_fingerprint": teacher.fingerprint,
        "num_classes": teacher.num_classes,
        "preprocessing": teacher.preprocessing.to_dict(),
        "preprocessing_fingerprint": teacher.preprocessing.fingerprint(),
        "image_ext": list(spec.image_extensions),
        "limits": asdict(spec.limits),
        "runtime": recorded_name(spec.runtime, device),
    }
    given = {"views": spec.views}
    return values | {name: value for name, value in given.items() if value != LEFT_OUT[name]}


def views_of(semantic: Mapping[str, Any]) -> ViewsName:
    """The views that a stored semantic dict speaks of.

    Raises:
        ValueError: some that this version of coursepack does not know.
    """
    name: Any = (LEFT_OUT | dict(semantic))["views"]
    if name not in get_args(ViewsName):
        raise ValueError(f"views {name!r} are unknown")
    known: ViewsName = name
    return known

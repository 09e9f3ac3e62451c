"""The configuration of a training run: what a distill.yaml may say.

Paths are relative to the folder the command runs in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from distiller.augment import AugmentOptions
from distiller.average import AverageOptions
from distiller.config_errors import describe_errors
from distiller.data_options import DataOptions
from distiller.hint_options import HintOptions
from distiller.objective_options import (
    ObjectiveOptions,
    SupervisedOptions,
    needs_teacher,
)
from distiller.optimizer import OptimizerOptions
from distiller.options import Options
from distiller.portable import Format
from distiller.recipes import OPTIONS, TRAININGS, load_recipes, merge
from distiller.reselect import ReselectOptions
from distiller.schedule import ScheduleOptions
from distiller.targets import TargetOptions
from selector.teachers.spec import RuntimeName, TeacherSpec
from shards import storage
from shards.errors import UsageError


class StudentOptions(Options):
    """The network to train, from random weights."""

    name: str
    """A name of the model zoo, such as he/resnet8, cifar/resnet18 or lenet/5-half."""

    num_classes: int | None = Field(default=None, ge=2)
    """null = the teacher's; needed where there is no teacher."""

    preprocessing: dict[str, Any] | None = None
    """Only where there is no teacher: what turns an image into this network's input; null = the
    zoo's for this name. With a teacher, the teacher's own preprocessing serves both."""


class DistillConfig(Options):
    """A training run. Same configuration, same machine, CPU: same weights, bit by bit."""

    recipe: str | tuple[str, ...] | None = Field(
        default=None,
        description="A named recipe, or several, each over those before it, that fill in what is "
        f"not given here: {', '.join(TRAININGS)}; on top of one of these or alone: "
        f"{', '.join(OPTIONS)}. See docs/trainings.md.",
    )

    teacher: TeacherSpec | None = None
    """Who teaches; null only for the supervised objective."""

    student: StudentOptions
    """Who learns."""

    data: DataOptions
    """From what."""

    objective: ObjectiveOptions
    """What is minimised; `kind` is kd, pseudo_label, noisy, robust or supervised."""

    hints: HintOptions | None = None
    """Feature hints, added to the objective; null = only outputs are compared."""

    augment: AugmentOptions = AugmentOptions()
    """Random views of the training images; teacher and student see the same one."""

    targets: TargetOptions | None = None
    """Ask the teacher once for a few views of each image and replay its answers; null = a new view
    at every step, of which the teacher is asked."""

    reselect: ReselectOptions | None = None
    """Choose the images anew while training goes on; null = train on all of data.train."""

    optimizer: OptimizerOptions = OptimizerOptions()
    """What updates the student."""

    schedule: ScheduleOptions = ScheduleOptions()
    """How the learning rate moves."""

    average: AverageOptions | None = None
    """A running average of the weights, which then is what is evaluated and kept; null = none."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the student's forward pass: bf16 = automatic mixed precision with logits and losses in
    float32; for GPUs, and CPUs with native bf16."""

    compile: bool = False
    """Run both networks through torch.compile: faster steps after some minutes of compiling, for
    long runs on GPUs above all, where the teacher then computes in bf16. Free to change between a
    run and its continuation; results are bit-equal only for the same."""

    teacher_runtime: RuntimeName | None = None
    """How the teacher is run, by the names of `coursepack score --runtime`; null = eager, or
    compile where `compile` is true. openvino-bf16 is several times faster on CPUs with bf16.
    Where `hints` read its stages it is eager, whatever this says."""

    steps: int = Field(ge=1)
    """Updates of the student."""

    batch_size: int = Field(default=128, ge=1)
    """Images per step."""

    seed: int = Field(default=0, ge=0)
    """Decides initial weights, order of images and every random view."""

    eval_every: int = Field(default=1000, ge=1)
    """Steps between evaluations on data.eval; the last step is always evaluated."""

    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints; a killed run loses at most so many."""

    log_every: int = Field(default=50, ge=1)
    """Steps between lines of metrics.jsonl; a line averages over them."""

    out: str
    """Local folder for checkpoints, metrics, student.safetensors and card.json. A run found there
    with the same configuration is continued."""

    workers: int = Field(default=1, ge=1)
    """Processes that train together, each on its share of every batch; above 1 they are started by
    Ray, one per GPU where there are GPUs. Free to change between a run and its continuation."""

    export: tuple[Format, ...] = ()
    """Further files of the finished student, beside its safetensors: onnx, torch_export."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """auto = cuda where there is one, else cpu."""

    threads: int | None = Field(default=None, ge=1)
    """CPU threads of the model and of decoding; null = as many as torch takes by itself. Results
    are bit-equal only for the same number."""

    @property
    def asks_teacher(self) -> bool:
        """Whether the loss needs the teacher's answers, be it logits or features."""
        return needs_teacher(self.objective) or self.hints is not None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_recipe(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or data.get("recipe") is None:
            return data
        try:
            return merge(load_recipes(data["recipe"]), data)
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_validator("out")
    @classmethod
    def _out_is_local(cls, out: str) -> str:
        if not storage.is_local(out):  # a path of that name would be made here, unnoticed
            raise ValueError("expected a local folder; copy the student from there")
        return out

    @model_validator(mode="after")
    def _labelled_fits_objective(self) -> DistillConfig:
        if self.data.labelled is not None and isinstance(self.objective, SupervisedOptions):
            raise ValueError(
                "data.labelled is given, but the supervised objective takes every image's label; "
                "list those shards in data.train"
            )
        return self

    @model_validator(mode="after")
    def _mixed_images_have_no_label(self) -> DistillConfig:
        uses_labels = isinstance(self.objective, SupervisedOptions) or self.data.labelled_ce
        if self.augment.mix is not None and uses_labels:
            raise ValueError(
                "augment.mix is given, but known labels are used, and a mix of two images has no "
                "label: leave it out, or learn from the teacher alone"
            )
        return self

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> DistillConfig:
        if self.batch_size % self.workers:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared out evenly among {self.workers} "
                "workers; make it a multiple of workers"
            )
        return self

    @model_validator(mode="after")
    def _reselection_is_possible(self) -> DistillConfig:
        if self.reselect is None:
            return self
        if not self.asks_teacher:
            raise ValueError("reselect is given, but the objective asks no teacher; leave it out")
        if self.data.labelled is not None:
            raise ValueError(
                "reselect is given beside data.labelled, whose images would compete with the "
                "pool's; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _targets_have_a_teacher(self) -> DistillConfig:
        if self.targets is None:
            return self
        if self.hints is not None:
            raise ValueError(
                "hints are given beside targets, but a store of targets holds the teacher's logits "
                "and not its features: leave targets out, so that the teacher is asked at every "
                "step, or hints"
            )
        if not self.asks_teacher:
            raise ValueError("targets are given, but the objective asks no teacher; leave them out")
        return self

    @model_validator(mode="after")
    def _teacher_is_there(self) -> DistillConfig:
        if self.teacher is None:
            if needs_teacher(self.objective):
                raise ValueError(f"objective {self.objective.kind!r} needs a teacher")
            if self.hints is not None:
                raise ValueError("hints need a teacher; give one, or leave hints out")
            if self.student.num_classes is None:
                raise ValueError("without a teacher, student.num_classes has to be given")
        elif self.student.preprocessing is not None:
            raise ValueError(
                "student.preprocessing is given beside a teacher, whose own serves both; "
                "set teacher.preprocessing instead"
            )
        return self


def load_config(source: str | Path | Mapping[str, Any]) -> DistillConfig:
    """Read a configuration from a YAML file or a mapping.

    Raises:
        UsageError: the file is missing or no YAML mapping, or fields are wrong; every wrong field
            is named by its path, such as `distill.yaml: optimizer.lr`.
    """
    if isinstance(source, Mapping):
        name, data = "config", dict(source)
    else:
        name, data = str(source), _read_yaml(Path(source))
        if isinstance(data.get("teacher"), dict) and data["teacher"].get("allow_code"):
            raise UsageError(
                f"{name}: teacher.allow_code cannot be set in a file: code runs only on the word "
                "of whoever starts the command"
            )
    try:
        return DistillConfig.model_validate(data)
    except ValidationError as error:
        raise UsageError("\n".join(describe_errors(error, DistillConfig, name))) from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path}: holds {type(data).__name__}, expected a mapping of fields")
    return data

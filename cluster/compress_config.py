"""What a compress.yaml may say: from a teacher, a few labelled images and a pool to a student."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cluster.score_config import ExecutionSection
from selector.teachers.spec import TeacherSpec
from shards import storage

Baseline = Literal["random", "ground_truth", "labelled_only"]

OF_COMPRESS = frozenset({"teacher", "student", "out", "device", "seed"})
"""Fields of a distill.yaml that compress.yaml has itself."""


FILLED_IN = ("train", "labelled", "eval", "label", "image_ext")
"""Fields of its `data` that compress fills in."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class StudentSection(_Section):
    """The network to train, from random weights."""

    name: str
    """A name of the model zoo, such as he/resnet8, cifar/resnet18 or lenet/5-half."""


class PUSection(_Section):
    """How the images of the teacher's domain are told from the rest of the pool."""

    prior: float | Literal["auto"] = Field(default="auto")
    """Share of the pool that is of the domain; auto = estimated, with a warning where it is
    fragile."""

    recipe: Literal["default", "paper"] = "default"
    """Training settings to start from."""

    settings: dict[str, Any] = {}
    """Single settings in place of the recipe's, as for `coursepack pu fit --set`."""

    @field_validator("prior")
    @classmethod
    def _inside(cls, prior: float | str) -> float | str:
        if isinstance(prior, float) and not 0 < prior < 1:
            raise ValueError("expected a share inside (0, 1), or auto")
        return prior


class SelectSection(_Section):
    """Which images of the pool join the labelled ones."""

    recipe: str | dict[str, Any] = "pu-s1"
    """A recipe that ships (pu-s1 = all with F > 0; pu-s2 = n of those, drawn at random; pu-noise =
    n of those per class with the lowest noise value), a recipe file, or the recipe itself."""

    n: int | None = Field(default=None, ge=1)
    """In place of the recipe's only n."""


class TruthSection(_Section):
    """Where the pool's samples say what they are: for figures alone, never for training the student
    (but for the baseline ground_truth, which is made of it)."""

    member: Literal["cls", "json"] = "json"
    """The member of a sample that holds it."""

    field: str | None = None
    """Which field of a .json member."""

    mapping: dict[str, int | str]
    """Value of that field -> the teacher's class (number or name) that it is; what is not listed
    is off the domain."""


class CompressConfig(_Section):
    """A whole compression: score, PU fit, selection, export, robust distillation, report."""

    teacher: TeacherSpec
    """Who teaches. Its predictions and stage features are computed over the pool once."""

    student: StudentSection
    """Who learns."""

    labelled: str = Field(min_length=1)
    """The few labelled images: a folder of class folders (named as the teacher's class names, or by
    class numbers), or shards whose samples have a .cls member."""

    pool: tuple[str, ...] = Field(min_length=1)
    """Shards of unlabelled images: folders, .tar files, globs, brace patterns; local or remote."""

    eval: tuple[str, ...] | None = None
    """Labelled shards to measure the students on; null = no accuracies."""

    image_ext: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Which members of the pool's samples are images, in order of preference; null = the usual
    image extensions."""

    features: str = Field(default="full", pattern=r"^(full|pca:[1-9]\d*)$")
    """What of the stage features is kept: full, or pca:D for D numbers an image."""

    pu: PUSection = PUSection()
    """How the domain is recognised."""

    select: SelectSection = SelectSection()
    """What is selected."""

    truth: TruthSection | None = None
    """What the pool's samples say of themselves, where they do."""

    baselines: tuple[Baseline, ...] = ()
    """Students to train beside, all in the same way and on as many samples. random: as many pool
    images drawn at random; ground_truth: those that `truth` calls of the domain; labelled_only: the
    labelled images alone."""

    distill: dict[str, Any]
    """The training, as in distill.yaml, without teacher, student and out; `steps` is required. The
    objective is robust unless it is said; of `data` only labelled_share, labelled_ce, memory_bytes
    and max_bad may be given."""

    seed: int = Field(default=0, ge=0)
    """Of everything random."""

    out: str
    """Local folder of all that is made; called again, what is done is kept."""

    max_bad: str = "5%"
    """Failed images of the pool that are put up with: a share such as 5%, or a count."""

    execution: ExecutionSection = ExecutionSection()
    """Where and how wide to score. Free to change between calls."""

    @field_validator("out")
    @classmethod
    def _out_is_local(cls, out: str) -> str:
        if not storage.is_local(out):
            raise ValueError("expected a local folder")
        return out

    @field_validator("distill")
    @classmethod
    def _only_the_training(cls, distill: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(OF_COMPRESS & distill.keys()):
            raise ValueError(f"{', '.join(taken)}: given at the top of compress.yaml, not here")
        data = distill.get("data", {})
        if not isinstance(data, dict):
            raise ValueError("data: expected a section")
        if taken := sorted(set(FILLED_IN) & data.keys()):
            raise ValueError(f"data.{', data.'.join(taken)}: filled in by compress")
        return distill

    @model_validator(mode="after")
    def _baselines_have_what_they_need(self) -> CompressConfig:
        if len(set(self.baselines)) != len(self.baselines):
            raise ValueError("baselines: one is named twice")
        if "ground_truth" in self.baselines and self.truth is None:
            raise ValueError(
                "baselines: ground_truth needs a section truth, which says where the "
                "pool's samples tell what they are"
            )
        if self.baselines and self.eval is None:
            raise ValueError("baselines are compared by accuracy: give labelled shards as eval")
        return self


FREE_FIELDS = ("baselines", "max_bad", "execution", "out")
"""Fields that may change between two calls: they change nothing that is made already."""


def fixed_part(config: CompressConfig) -> dict[str, Any]:
    """What a later call has to repeat, as plain values."""
    content = config.model_dump(mode="json", exclude=set(FREE_FIELDS))
    # The teacher's fingerprint is compared by every step, wherever its files lie.
    for field in ("allow_code", "weights", "class_names"):
        content["teacher"].pop(field, None)
    return content

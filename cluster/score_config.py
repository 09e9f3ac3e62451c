"""What a score.yaml may say: a scoring run as a file.

Every field can be given on the command line too, where it wins over the file.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cluster.bad_budget import BadBudget
from cluster.execution import ExecutionConfig
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.teachers.spec import DecodeMode, RuntimeName, TeacherSpec, ViewsName
from shards.errors import UsageError
from shards.limits import DEFAULT_LIMITS, DecodeLimits


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LimitsSection(_Section):
    """The most that one image may cost; what is beyond becomes a row with status too_large."""

    max_pixels: int = Field(default=DEFAULT_LIMITS.max_pixels, ge=1)
    """Width times height, checked before anything is decoded."""

    max_bytes: int = Field(default=DEFAULT_LIMITS.max_bytes, ge=1)
    """Encoded size."""


class ExecutionSection(_Section):
    """Where and how wide to run. Free to change between calls; null = chosen, or kept as it was."""

    executor: Literal["local", "ray", "inline"] | None = None
    """local = processes on this machine, ray = actors on a cluster, inline = in the driver itself.
    null = ray if an address is given, else local."""

    address: str | None = None
    """Ray cluster: auto or host:port."""

    actors: int | None = Field(default=None, ge=1)
    """Workers; null = one per GPU, or one per core where memory and the number of shards allow."""

    threads: int | None = Field(default=None, ge=1)
    """Threads per worker; null = the cores that there are for each."""

    batch_size: int | None = Field(default=None, ge=1)
    """Images per forward pass. On a CPU the tables are byte-identical for one batch size, whatever
    the number of workers and threads."""

    device: str | None = None
    """cpu or cuda; null = cuda where there is one."""

    split_bytes: int | None = Field(default=None, ge=0)
    """Uncompressed shards larger than this are scored in parts of about this size, which keeps all
    workers busy at the end of a run; 0 = never. Kept by a run; null = 1 GiB."""

    memory: int | None = Field(default=None, ge=1)
    """Bytes that one Ray actor claims; null = none is claimed."""

    stall_s: float | None = Field(default=None, ge=1)
    """A worker whose task makes no progress for this many seconds, and for ten times what such
    tasks took so far, is ended and replaced; null = 600."""

    silence_s: float | None = Field(default=None, ge=1)
    """The same for a worker process that gives no sign of life; null = 120."""

    def to_config(self) -> ExecutionConfig:
        return ExecutionConfig(**self.model_dump())


class PreprocessingSection(_Section):
    """How images become the teacher's input, over what the teacher says."""

    decode: DecodeMode | None = None
    """exact = the pixels of the teacher's stock transform; fast = JPEGs with many more pixels than
    the teacher looks at are decoded to fewer, see docs/speed.md. null = as the teacher says,
    exact if it says nothing."""


class FeaturesSection(FeatureSpec):
    """Stage features, for PU fits, neighbours and maps; see docs/features.md."""


class ScoreConfig(_Section):
    """A scoring run."""

    pool: tuple[str, ...] = Field(min_length=1)
    """Shards: folders, .tar files, globs, brace patterns; local, s3://, gs:// or http(s)."""

    out: str
    """Folder or URI of the run; made, or continued if it is there."""

    teacher: TeacherSpec
    """Whose predictions are the scores. Fixed for a run."""

    image_ext: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Which member of a sample is its image: the first of these it has; null = the usual ones.
    Fixed for a run."""

    runtime: RuntimeName | Literal["auto"] = "eager"
    """How the network is run: eager PyTorch, compile (torch.compile; bf16 on a GPU), onnxruntime,
    openvino or openvino-bf16 (CPU); auto = whichever a short probe finds fastest. Fixed for a
    run."""

    views: ViewsName = "one"
    """Over which views of an image the teacher's probabilities are averaged: its own; that and its
    mirror image (flip); that and four corner crops (five); those and their mirror images (ten).
    Each costs a forward pass. Fixed for a run."""

    limits: LimitsSection = LimitsSection()
    """How large an image may be. Fixed for a run."""

    preprocessing: PreprocessingSection = PreprocessingSection()
    """How images become the teacher's input. Fixed for a run."""

    features: FeaturesSection | None = None
    """Stage features to store beside the scores; null = none. May be added to a scored run."""

    max_bad: str = "5%"
    """Failed images allowed before the exit code is 3: a share such as 5%, or a count."""

    execution: ExecutionSection = ExecutionSection()
    """Where and how wide to run."""

    @field_validator("image_ext")
    @classmethod
    def _extensions(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and not all(extension.strip(".") for extension in value):
            raise ValueError("expected extensions such as jpg")
        return value

    @field_validator("max_bad", mode="before")
    @classmethod
    def _share_or_count(cls, value: object) -> str:
        try:
            BadBudget.parse(str(value))
        except UsageError as error:
            # Without the name of the option, which may be none in a file.
            raise ValueError(str(error).partition(": ")[2]) from error
        return str(value)

    def spec(self) -> ScoreSpec:
        """The semantic half: what decides the content of the tables."""
        return ScoreSpec(
            teacher=self.teacher,
            image_ext=self.image_ext,
            limits=DecodeLimits(**self.limits.model_dump()),
            preprocessing=self.preprocessing.model_dump(exclude_none=True) or None,
            runtime=self.runtime,
            views=self.views,
        )

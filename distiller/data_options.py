"""What a training run reads: the `data` section of its configuration."""

from __future__ import annotations

from pydantic import Field, model_validator

from distiller.options import Options


class DataOptions(Options):
    """What to train on and, optionally, what to measure on."""

    train: tuple[str, ...] = Field(min_length=1)
    """Shards: files, folders, globs, brace patterns or URLs. Labels are needed only by the
    supervised objective. A lineage.parquet beside them gives the images' weights."""

    labelled: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Shards of a few labelled images to train on as well, beside those of `train`, which are then
    the selected ones. Not with the supervised objective, whose images are all labelled."""

    labelled_share: float | None = Field(default=None, gt=0, lt=1)
    """Share of all images seen that are labelled ones: they are repeated as often as it takes.
    null = their natural share, every image once per epoch."""

    labelled_ce: float | None = Field(default=None, gt=0)
    """Whether the labelled images' known labels are used: weight of a cross-entropy against them,
    added to the loss of those images alone. null = they are treated as unlabelled."""

    eval: tuple[str, ...] | None = None
    """Labelled shards for accuracy; null = measure only agreement with the teacher in training."""

    label: str = Field(default="cls", pattern=r"^(cls|json:.+)$")
    """Where labels are: cls = a .cls member with a class number; json:FIELD = a field of .json."""

    image_ext: tuple[str, ...] | None = None
    """Which members are images, in order of preference; null = the usual image extensions."""

    memory_bytes: int = Field(default=4 * 1024**3, ge=0)
    """Budget for decoded images. A set that fits is decoded once and kept; one that does not is
    read and decoded on demand. The batches are the same either way."""

    max_bad: float = Field(default=0.05, ge=0)
    """How many undecodable images are put up with: below 1 a share, from 1 on a count."""

    @model_validator(mode="after")
    def _labelled_is_there(self) -> DataOptions:
        for name in ("labelled_share", "labelled_ce"):
            if self.labelled is None and getattr(self, name) is not None:
                raise ValueError(f"{name} is given, but no labelled shards; give labelled too")
        return self

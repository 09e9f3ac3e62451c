"""Which features a user wants beside the scores: all of them, or their principal components."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, field_validator

from shards.errors import UsageError

_MODE = re.compile(r"full|pca:([1-9][0-9]*)")


class FeatureSpec(BaseModel):
    """Stage features to be stored; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    mode: str = "full"
    """full = every feature (2 bytes each an image), pca:D = the first D principal components."""
    taps: tuple[str, ...] | None = None
    """Modules whose averaged outputs are the features; null = the stage ends that coursepack knows
    for the teacher. `@nhwc` behind one whose channels come last."""
    name: str = ""
    """Of the table, for SQL and recipes: features_NAME; its id serves too."""

    @field_validator("mode")
    @classmethod
    def _known_mode(cls, value: str) -> str:
        if not _MODE.fullmatch(value):
            raise ValueError("expected full, or pca:D with D dimensions such as pca:64")
        return value

    @property
    def pca_dim(self) -> int | None:
        """D of pca:D, None for full."""
        match = _MODE.fullmatch(self.mode)
        assert match is not None
        return int(match[1]) if match[1] else None


def parse_features(text: str) -> FeatureSpec:
    """`full` or `pca:64`, as on the command line.

    Raises:
        UsageError: anything else.
    """
    if not _MODE.fullmatch(text):
        raise UsageError(f"--features {text!r}: expected full, or pca:D such as pca:64")
    return FeatureSpec(mode=text)

"""The one rule set of all option models: immutable, and a key nobody knows is an error."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Options of one part, kept beside the code that reads them; `distiller.config` joins them.

    A docstring under a field becomes its description, so the reference in the docs and the model
    cannot disagree.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

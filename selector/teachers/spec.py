"""What a user says about a teacher: one frozen, validated value."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RuntimeName = Literal["eager", "compile", "onnxruntime", "openvino", "openvino-bf16"]
"""How a network is run; see `selector.teachers.open_runtime`."""

ViewsName = Literal["one", "flip", "five", "ten"]
"""Over which views of an image its scores are averaged; see `selector.teachers.views`."""

DecodeMode = Literal["exact", "fast"]
"""exact: as the teacher's stock transform; fast: large JPEGs are decoded to fewer pixels."""


class TeacherSpec(BaseModel):
    """Which teacher; everything here but `allow_code` changes what is computed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """`family/variant`, `file:PATH.onnx`, `file:PATH.pt2` or `py:package.module:builder`."""
    weights: str | None = None
    """Path or URI of a .safetensors, .pt or .npz file; None where the name brings its own."""
    num_classes: int | None = Field(default=None, ge=2)
    """None: as many as the weights have."""
    class_names: str | None = None
    """Path or URI of a text file with one name a line, or of JSON."""
    preprocessing: dict[str, Any] | None = None
    """Fields of `Preprocessing` that differ from the teacher's own; `preset: NAME` starts from
    the stock transform of a model of the zoo. A black box has none of its own."""
    allow_code: bool = False
    """Run code named by `py:` or held in a .pt2 file; only ever set on the command line."""

"""Whatever a verb returns becomes JSON values."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from cluster.cli.plain import to_json, to_plain


@dataclass(frozen=True)
class _Inner:
    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class _Outer:
    inner: _Inner
    counts: dict[int, float]


class _Model(BaseModel):
    size: tuple[int, int] = (1, 2)


def test_nested_dataclasses_become_objects():
    value = _Outer(_Inner("a", (Path("x/y"),)), {1: 0.5})
    assert to_plain(value) == {"inner": {"name": "a", "paths": ["x/y"]}, "counts": {"1": 0.5}}


def test_models_numpy_scalars_bytes_and_sets():
    assert to_plain(_Model()) == {"size": [1, 2]}
    assert to_plain([np.int64(3), np.float32(0.5), np.bool_(True)]) == [3, 0.5, True]
    assert to_plain(b"\x00\xff") == "00ff"
    assert to_plain({"b", "a"}) == ["a", "b"]


def test_what_json_cannot_say_is_null():
    text = to_json({"a": float("nan"), "b": float("inf"), "c": np.float32("nan")})
    assert json.loads(text) == {"a": None, "b": None, "c": None}


def test_lone_surrogates_survive_an_ascii_terminal():
    assert to_json({"key": "a\udcff\x1b"}).isascii()


def test_a_value_without_plain_form_is_refused():
    with pytest.raises(TypeError, match="object"):
        to_plain({"a": object()})

"""payload: nothing in the data of a page can end its element, and a script reads what was meant."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.report.payload import binary_text, json_text


@given(st.lists(st.text(), max_size=5))
def test_any_text_survives_and_none_is_markup(texts: list[str]) -> None:
    text = str(json_text({"keys": texts}))
    assert json.loads(text) == {"keys": texts}
    assert not {"<", ">", "&"} & set(text)
    assert text.isascii()


def test_known_attacks() -> None:
    hostile = "</script><script>alert(1)</script><!--\u2028"
    text = str(json_text(hostile))
    assert "</" not in text
    assert json.loads(text) == hostile


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text(float("nan"))


def test_arrays_are_little_endian() -> None:
    text = binary_text(np.array([1, 258], dtype=">u2"))
    assert base64.b64decode(text) == b"\x01\x00\x02\x01"

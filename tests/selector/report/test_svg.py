"""svg: well-formed whatever the strings, and none of them becomes markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from selector.report.svg import drawing, element, line, rectangle, text

xml_text = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]))


@given(xml_text, xml_text)
def test_strings_come_back_as_they_were(content: str, attribute: str) -> None:
    node = ET.fromstring(element("g", {"class": attribute}, [content]))
    assert (node.text or "") == content
    assert node.get("class") == attribute
    assert len(node) == 0


def test_markup_is_nested_and_strings_are_not() -> None:
    inner = text("<b>", 1, 2, css="label")
    node = ET.fromstring(element("g", None, [inner]))
    assert node[0].tag == "text"
    assert node[0].text == "<b>"


def test_a_hint_shows_under_the_pointer() -> None:
    node = ET.fromstring(rectangle(0, 0, 3.14159, -2, css="pool", hint="5 < 6"))
    assert (node.get("width"), node.get("height")) == ("3.14", "0")
    assert node[0].tag == "title"
    assert node[0].text == "5 < 6"


def test_a_drawing_has_a_name_for_those_who_cannot_see_it() -> None:
    node = ET.fromstring(
        drawing([line(0, 0, 1, 1, css="axis")], width=10, height=5.5, label="a & b", css="wide")
    )
    assert node.get("role") == "img"
    assert node.get("aria-label") == "a & b"
    assert node.get("viewBox") == "0 0 10 5.5"

"""catalog: the list of panels is one that a page can be made of."""

from __future__ import annotations

import re

from selector.report.catalog import PANELS
from selector.report.template import packaged


def test_names_are_distinct_and_fit_for_an_anchor() -> None:
    names = [panel.name for panel in PANELS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z-]*", name) for name in names)
    assert (names[0], names[-1]) == ("overview", "origin")


def test_scripts_are_in_the_package() -> None:
    for panel in PANELS:
        assert all(packaged(f"panels/{name}") for name in panel.scripts)

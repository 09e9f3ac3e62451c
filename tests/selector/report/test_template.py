"""template: strings are escaped, and what a template lacks is an error."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from selector.report.album import Thumb
from selector.report.pictures import Picture
from selector.report.template import fill, packaged


def test_a_missing_name_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="side"):
        fill("panels/gallery.html")


def test_strings_are_escaped() -> None:
    thumb = Thumb(1, "<b>&'\"", "s.tar", "<i>", 0.5, Picture(problem="<u>"))
    from selector.report.album import Album
    from selector.report.panels.gallery import Band, Gallery

    gallery = Gallery((Band(0.0, 0.5, 0.5, (1,)),), thinned=False)
    html = fill("panels/gallery.html", side="kept", gallery=gallery, album=Album({1: thumb}))
    assert not {"<b>", "<i>", "<u>"} & {tag for tag in ("<b>", "<i>", "<u>") if tag in html}
    assert "&lt;b&gt;" in html


def test_packaged_files_are_read() -> None:
    assert packaged("style.css").startswith(":root")

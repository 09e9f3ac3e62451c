"""page: everything is there, hostile strings stay strings, and nothing reaches for the network."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from selector.report.page import report
from selector.selection import select
from selector.tables.layout import RunLayout
from selector.tables.selections import read_selection, selection_part
from selector.tables.write import write_part
from shards import atomic
from shards.errors import UsageError
from tests.selector.report.real_run import HOSTILE, write_real_run

RECIPE = {"name": "top", "steps": [{"quota": {"by": "pseudo_label", "n": 20,
                                              "order": "noise_value"}}]}  # fmt: skip


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.source = Path(path).read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def values(self, name: str) -> list[str]:
        return [value for _, found, value in self.attributes if found == name]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    layout = write_real_run(tmp_path_factory.mktemp("real"), num_compressed=1)
    select(layout.root, RECIPE)
    return layout


@pytest.fixture(scope="module")
def page(run: RunLayout) -> Page:
    return Page(report(run.root, "top"))


def test_every_panel_is_there(page: Page) -> None:
    panels = {"overview", "noise", "classes", "kept", "dropped", "by-class", "failed", "origin"}
    assert panels <= set(page.values("id"))
    targets = {link[1:] for link in page.values("href")}
    assert targets <= panels


def test_the_numbers_of_the_run_are_told(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "180 pool images 3 shards" in text
    assert "60 selected 33.3 % of the pool" in text
    assert "undecodable" in text
    assert "f00d" * 16 in text
    assert "quota of 20 lowest noise_value per pseudo_label" in text
    assert "2026-01-02T03:04:05+00:00" in text
    assert "cuts of 3 classes" in text


def test_hostile_strings_are_data(page: Page) -> None:
    assert "script" not in page.tags
    assert HOSTILE in page.text  # as a class name, an error and the teacher
    assert any(HOSTILE in title for title in page.values("title"))
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<script" not in page.source


def test_the_page_stands_alone(page: Page) -> None:
    assert all(link.startswith("#") for link in page.values("href"))
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert not {"link", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    (policy,) = [v for _, name, v in page.attributes if name == "content" and "default-src" in v]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    # A style attribute would be refused by that policy.
    assert "style" not in {name for _, name, _ in page.attributes}


def test_images_are_inside(page: Page) -> None:
    images = page.values("src")
    assert len(images) > 50
    assert all(image.startswith("data:image/") for image in images)
    assert all(alt for tag, name, alt in page.attributes if (tag, name) == ("img", "alt"))


def test_the_same_run_makes_the_same_bytes(run: RunLayout, page: Page, tmp_path: Path) -> None:
    out = str(tmp_path / "deep" / "other.html")
    assert report(run.root, "top", out) == out
    assert Path(out).read_text(encoding="utf-8") == page.source


def test_it_lands_in_the_run_by_default(run: RunLayout, page: Page) -> None:
    assert (Path(run.report_dir) / "top.html").is_file()
    assert page.source.rstrip().endswith("</html>")


def test_a_lost_pool_is_told_and_the_rest_stands(tmp_path: Path) -> None:
    layout = write_real_run(tmp_path)
    select(layout.root, RECIPE)
    shutil.rmtree(tmp_path / "pool")
    told: list[str] = []
    page = Page(report(layout.root, "top", on_warning=told.append))
    assert "img" not in page.tags
    assert page.text.count("images cannot be shown: part-00") == len(told) == 2
    assert all(warning in page.text for warning in told)
    assert "cuts of 3 classes" in page.text
    assert [v for _, name, v in page.attributes if name == "class" and v == "missing"]


def test_a_lost_pool_of_many_shards_does_not_flood_the_page(tmp_path: Path) -> None:
    layout = write_real_run(tmp_path, num_plain=9, per_shard=20)
    select(layout.root, RECIPE)
    shutil.rmtree(tmp_path / "pool")
    page = Page(report(layout.root, "top"))
    assert page.text.count("cannot be shown: part-") == 5
    assert "more cannot be shown for other reasons" in page.text


def test_classes_without_names_have_numbers(tmp_path: Path) -> None:
    layout = write_real_run(tmp_path, class_names=None)
    select(layout.root, RECIPE)
    page = Page(report(layout.root, "top"))
    assert "class 2" in page.values("title")


def test_an_unknown_selection_writes_nothing(run: RunLayout, tmp_path: Path) -> None:
    out = tmp_path / "none.html"
    with pytest.raises(UsageError, match="did you mean 'top'"):
        report(run.root, "topp", str(out))
    assert not out.exists()


def test_a_selection_of_nothing_has_a_page(run: RunLayout, tmp_path: Path) -> None:
    made = select(run.root, {**RECIPE, "name": "nothing"})
    stats = {**made.stats, "num_rows": 0, "steps": [{**made.stats["steps"][0], "rows_out": 0}]}
    atomic.write_bytes(f"{made.path}/stats.json", json.dumps(stats).encode())
    rows = read_selection(run, "nothing")
    write_part(selection_part(run, "nothing"), rows.slice(0, 0))
    page = Page(report(run.root, "nothing", str(tmp_path / "page.html"), compare="top"))
    text = " ".join(page.text.split())
    assert "0 selected 0 % of the pool" in text
    assert "There are none" in text
    assert "Nothing: top has all of it" in text

"""The pages in docs say what the commands and models say."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from cluster.cli.reference import commands, main, pages
from cluster.config_reference import PAGES, sections

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", ["cli.md", "config.md"])
def test_pages_are_not_stale(name):
    again = "python docs/make_reference.py"
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], f"stale: run `{again}`"


def test_every_command_is_in_the_docs():
    text = pages()["cli.md"]
    for name, command in commands():
        assert f"## {name}\n" in text
        for param in command.params:
            assert param.help.replace("|", r"\|") in text


@pytest.mark.parametrize(("title", "model"), PAGES, ids=["score", "distill", "compress"])
def test_every_field_has_a_description(title, model):
    models: list[type[BaseModel]] = [model, *(inner for _, inner in sections(model))]
    missing = [
        f"{one.__name__}.{name}"
        for one in models
        for name, field in one.model_fields.items()
        if not field.description
    ]
    assert missing == []


def test_check_tells_stale_pages(tmp_path, capsys):
    assert main(tmp_path, check=True) == 1
    assert "cli.md" in capsys.readouterr().err
    assert main(tmp_path, check=False) == 0
    assert main(tmp_path, check=True) == 0
    (tmp_path / "cli.md").write_text("old")
    assert main(tmp_path, check=True) == 1

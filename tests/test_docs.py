"""What the documents name must exist: commands, options, recipes, files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main
import yaml

from cluster.cli.main import app
from cluster.compress_config import CompressConfig
from distiller.config import DistillConfig
from selector.recipe import load_recipe

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def commands(text: str) -> list[list[str]]:
    """Every `coursepack ...` command line in the code blocks of a document."""
    found = []
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            match = re.search(r"^(?:\$ |.*-- )?(coursepack .*)", line)
            if match and "..." not in match[1]:
                found.append(shlex.split(match[1], comments=True)[1:])
    return found


ALL_COMMANDS = [
    pytest.param(words, id=f"{path.name}-{number}")
    for path in DOCUMENTS
    for number, words in enumerate(commands(path.read_text()))
]


def test_there_are_commands_to_check() -> None:
    assert len(ALL_COMMANDS) >= 10


@pytest.mark.parametrize("words", ALL_COMMANDS)
def test_every_command_in_the_documents_parses(words: list[str]) -> None:
    command, rest = typer.main.get_command(app), list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        command = command.commands[rest.pop(0)]
    if "--help" not in rest and "--version" not in rest:
        command.make_context(words[0], rest)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_recipe_and_training_in_the_documents_loads(path: Path) -> None:
    for block in re.findall(r"^```yaml\n(.*?)^```", path.read_text(), re.S | re.M):
        if "labelled:" in block and "pool:" in block:
            CompressConfig.model_validate(yaml.safe_load(block))
        elif "student:" in block:
            DistillConfig.model_validate(yaml.safe_load(block))
        elif "steps:" in block:
            load_recipe(block)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_named_file_exists(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists(), target
    for named in re.findall(r"`((?:shards|selector|distiller|cluster|benchmarks)/[\w/.]+)`", text):
        assert (ROOT / named).exists(), named

"""docs/cli.md and docs/config.md, written from the command line and the models themselves.

`python docs/make_reference.py` calls `main`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

EXIT_CODES = {
    0: "done; failed images are within `--max-bad`",
    1: "failed",
    2: "wrong use: an option, a configuration, a recipe, SQL",
    3: "finished, but shards are damaged or quarantined, or more images failed than allowed",
    130: "interrupted",
}


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, in the order of `--help`."""
    from cluster.cli.main import app

    yield from _walk("coursepack", typer.main.get_command(app))


def cli_markdown() -> str:
    """The page of all commands."""
    lines = [
        "# Command line",
        "",
        "Written by `python docs/make_reference.py` from the commands themselves.",
        "",
        "Results go to standard output, everything else to standard error. With `--json` a command",
        "prints exactly one JSON object: its result and `exit_code`, or `error`.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()),
    ]
    for name, command in commands():
        lines += ["", f"## {name}", "", *_paragraphs(command.help)]
        lines += ["", "```console", *examples(command), "```"]
        lines += ["", "| | | |", "|---|---|---|"]
        lines += [_row(param) for param in command.params if not getattr(param, "hidden", False)]
    return "\n".join(lines) + "\n"


def examples(command: Any) -> list[str]:
    """The runnable lines of a command's epilog, as a reader would type them."""
    lines = (command.epilog or "").replace(r"\[", "[").split("\n\n")
    return [line for line in lines if line.startswith("$ ")]


def pages() -> dict[str, str]:
    """File name -> content of each generated page."""
    from cluster.config_reference import config_markdown

    return {"cli.md": cli_markdown(), "config.md": config_markdown()}


def main(folder: Path, *, check: bool) -> int:
    """Write the pages into `folder`, or only compare them; returns the exit code."""
    stale = []
    for name, content in pages().items():
        path = folder / name
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(str(path))
        if not check:
            path.write_text(content, encoding="utf-8")
    if check and stale:
        print(f"stale: {', '.join(stale)}; run `python docs/make_reference.py`", file=sys.stderr)
        return 1
    return 0


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child_name, child in children.items():
        yield from _walk(f"{name} {child_name}", child)


def _paragraphs(text: str) -> list[str]:
    return "\n".join(line.strip() for line in text.strip().splitlines()).split("\n")


def _row(param: Any) -> str:
    if param.param_type_name == "argument":
        name = f"`{param.metavar or param.name}`"
    else:
        name = ", ".join(f"`{option}`" for option in param.opts)
        if param.metavar:
            name += f" `{param.metavar}`"
    default = "" if param.default in (None, False, ()) or param.required else f"`{param.default}`"
    note = "required" if param.required else default and f"default {default}"
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in (name, param.help, note)) + " |"

"""Every way a command can end: its code, its one message, and nothing else on stdout."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.table import Table
from typer.testing import CliRunner

from cluster.cli.options import AsJson, Debug
from cluster.cli.output import command
from cluster.progress import Progress
from shards.errors import CoursepackError, ShardError, UsageError

ENDINGS = {
    "failed": CoursepackError("shard a.tar: not a tar\x1b[2J; build it again"),
    "usage": UsageError("--n 0: expected at least 1"),
    "shard": ShardError("a.tar is empty; remove it", shard="a.tar"),
    "place": PermissionError(13, "Permission denied", "/data/run"),
    "bug": ZeroDivisionError("division by zero"),
    "interrupt": KeyboardInterrupt(),
}

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def end(how: str, as_json: AsJson = False, debug: Debug = False) -> None:
    with command("end", as_json=as_json, debug=debug, continues=True) as out:
        print("a library that prints")
        if how in ENDINGS:
            raise ENDINGS[how]
        with out.progress() as on_progress:
            on_progress(Progress(1, 1, note="a note"))
        table = Table("key")
        table.add_row("k" * 300)
        out.finish(
            {"rows": 3, "path": Path("run")},
            text=["3 rows [bold]in\x1b[2J run", table],
            exit_code=3 if how == "part" else 0,
        )


def _invoke(*arguments: str, **env: str):
    return CliRunner().invoke(app, list(arguments), env={"COURSEPACK_DEBUG": "", **env})


def test_success_tells_text_on_stdout_and_the_rest_on_stderr():
    result = _invoke("well")
    assert result.exit_code == 0
    assert result.stdout.startswith("3 rows [bold]in\\x1b[2J run\n")
    assert "k" * 300 in result.stdout  # a pipe is no reason to fold a cell
    assert result.stderr == "a library that prints\nend: a note\n"


def test_success_with_json_is_one_object():
    result = _invoke("well", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"exit_code": 0, "rows": 3, "path": "run"}
    assert result.stdout.count("\n") == 1


def test_a_partial_success_is_never_zero():
    result = _invoke("part", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["exit_code"] == 3


@pytest.mark.parametrize(("how", "code"), [("failed", 1), ("usage", 2), ("shard", 1), ("place", 1)])
def test_errors_of_the_user_are_one_message(how, code):
    result = _invoke(how)
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")


def test_errors_with_json_are_objects_too():
    result = _invoke("usage", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout) == {
        "exit_code": 2,
        "error": {"type": "UsageError", "message": "--n 0: expected at least 1"},
    }
    assert "error: --n 0" in result.stderr


@pytest.mark.parametrize("arguments", [["--debug"], []])
def test_debug_shows_the_traceback(arguments):
    env = {} if arguments else {"COURSEPACK_DEBUG": "1"}
    result = _invoke("usage", *arguments, **env)
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1] == "error: --n 0: expected at least 1"


def test_a_bug_names_the_file_of_its_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = _invoke("bug")
    assert result.exit_code == 1
    assert "internal error: ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" not in result.stderr
    (path,) = re.findall(r"full traceback is in (\S+)", result.stderr)
    assert "raise ENDINGS[how]" in Path(path).read_text()


def test_a_bug_with_no_room_for_its_traceback_shows_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    result = _invoke("bug")
    assert result.exit_code == 1
    assert "raise ENDINGS[how]" in result.stderr


def test_an_interrupt_says_that_the_command_continues():
    result = _invoke("interrupt", "--json")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "interrupted; the same command continues"
    assert json.loads(result.stdout)["error"]["type"] == "KeyboardInterrupt"


def test_a_closed_pipe_ends_quietly():
    code = (
        "from cluster.cli.output import command\n"
        "import typer\n"
        "app = typer.Typer(pretty_exceptions_enable=False)\n"
        "@app.command()\n"
        "def many():\n"
        "    with command('many', as_json=False, debug=False) as out:\n"
        "        out.finish({}, text=['x' * 100] * 100_000)\n"
        "app()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 1

"""The command as a whole: fast help, every verb documented, one JSON object, exit codes."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from cluster.cli.reference import commands, examples

HEAVY = {"torch", "pyarrow", "duckdb", "pydantic", "numpy", "ray", "yaml", "PIL"}

EVERY_COMMAND = {name.removeprefix("coursepack "): command for name, command in commands()}


def _run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", "from cluster.cli.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def test_every_verb_of_the_design_is_there():
    assert list(EVERY_COMMAND) == [
        "demo", "shards build", "shards verify", "shards info", "shards resize", "score",
        "query", "select", "explain", "map", "report", "export", "distill", "compress", "doctor",
        "plan", "bench", "submit", "jobs list", "jobs status", "jobs logs", "jobs stop",
        "status", "runs list", "runs gc",
        "duplicates", "compact", "diff",
        "pu fit", "pu score", "pu show", "truth",
        "neighbors build", "similar", "clusters", "leakage",
        "quantize",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["score", "--help"], {"pydantic"}),  # recent typers parse options with it
    ],
)
def test_help_imports_nothing_heavy(arguments, allowed):
    code = (
        "import sys\n"
        "from cluster.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"print(sorted({HEAVY - allowed!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.stderr.strip() == "[]"
    assert "coursepack" in done.stdout


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_command_has_help_and_a_runnable_example(name):
    command = EVERY_COMMAND[name]
    assert len(command.help) > 20
    assert examples(command)
    for line in examples(command):
        assert line.startswith(f"$ coursepack {name}")
    for param in command.params:
        assert param.help, f"{param.name} has no help"
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for line in examples(command):
        assert line in shown.stdout  # rich markup has eaten nothing


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_command_has_the_shared_options(name):
    options = {option for param in EVERY_COMMAND[name].params for option in param.opts}
    assert {"--json", "--debug"} <= options


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_the_words_of_an_example_are_arguments_of_its_command(name):
    """An example that was not changed along with the options is worse than none."""
    command = EVERY_COMMAND[name]
    options = {option for param in command.params for option in param.opts}
    for line in examples(command):
        own = line.partition(" -- ")[0]  # what follows is another command's
        used = {word for word in own.split() if word.startswith("--")}
        assert used <= options


def test_wrong_options_with_json_are_one_object():
    done = _run("score", "pool", "--no-such-option", "--json")
    assert done.returncode == 2
    answer = json.loads(done.stdout)
    assert answer["exit_code"] == 2
    assert "--no-such-option" in answer["error"]["message"]
    assert "--no-such-option" in done.stderr
    nested = _run("shards", "verify", "--json")
    assert nested.returncode == 2
    assert "POOL" in json.loads(nested.stdout)["error"]["message"]


def test_wrong_options_without_json_leave_stdout_empty():
    done = _run("shards", "resize", "pool", "--out", "o", "--encoding", "gif")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'jpeg'" in done.stderr


def test_no_verb_shows_the_help():
    done = _run()
    assert "Usage: coursepack" in done.stdout + done.stderr


def test_an_unknown_verb_is_wrong_use():
    done = _run("scroe")
    assert done.returncode == 2
    assert "score" in done.stderr  # did you mean


def test_a_terminal_without_unicode_does_not_end_a_command(tmp_path):
    pool = tmp_path / "pöol"
    done = _run("shards", "info", str(pool), env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": "."})
    assert done.returncode == 1
    assert "p\\xf6ol" in done.stderr

from __future__ import annotations

import json
from pathlib import Path

import yaml
from typer.testing import CliRunner

from cluster.cli.main import app
from tests.cluster.test_compress_config import MINIMAL


def test_a_wrong_file_is_wrong_use_in_one_object(tmp_path: Path) -> None:
    path = tmp_path / "compress.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, "pu": {"prior": 2.0}, "labeled": "x"}))
    done = CliRunner().invoke(app, ["compress", str(path), "--json"])
    assert done.exit_code == 2
    message = json.loads(done.stdout)["error"]["message"]
    assert "pu.prior" in message
    assert "did you mean 'labelled'" in message


def test_options_of_the_command_line_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "compress.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    taken = tmp_path / "taken"
    taken.write_text("a file")
    done = CliRunner().invoke(app, ["compress", str(path), "--out", str(taken)])
    assert done.exit_code == 2
    assert "is a file; give a folder" in done.output

"""`coursepack demo`: wrong use; the whole demo has its own tests."""

from typer.testing import CliRunner

from cluster.cli.main import app


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "taken").write_text("something else")
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "taken")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give a folder" in result.stderr
    assert (tmp_path / "taken").read_text() == "something else"


def test_at_least_one_seed_is_needed(tmp_path):
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo"), "--seeds", "0"])
    assert result.exit_code == 2
    assert not (tmp_path / "demo").exists()
